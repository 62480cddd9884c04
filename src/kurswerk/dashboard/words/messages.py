"""What other parts of Kurswerk say, such as errors and progress, in the reader's language.

They say it in English, with their values in it, and some of it is stored. So it is known again here by templates:
``translations/messages.<language>.json`` holds for each English one the same in another language.

- ``{name}`` stands for a value. What stands in it may itself be known and is then translated too, unless the English
  template quotes it: ``'{name}'`` holds what somebody has given.
- ``{_name}`` may end in known tails: templates that begin with a blank, a comma or a semicolon, as ``" and others"``.
  Those in brackets, as ``" (perhaps out of memory)"``, may end any message.
- ``{name_}`` holds nothing but a known word, where else what others say would be taken for ours.
- ``{name:n}`` in a translation is an amount, written with the marks of its language: 1,200.5 becomes 1.200,5.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from kurswerk.dashboard.words.catalogue import mark_number

_FOLDER: Final = Path(__file__).parent / "translations"
_HOLE: Final = re.compile(r"\{(\w+)\}")
_AMOUNT: Final = re.compile(r"-?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?")
# As what is wrong in a specification begins, a clause for each field.
_FIELD: Final = re.compile(r"[\w.]+: ")
# A cause within a cause within a cause is the most that occurs.
_DEEPEST: Final = 6
# More clauses are no message of ours, and no clause consists of more parts.
_MOST_CLAUSES: Final = 50
_MOST_PARTS: Final = 4
_TAIL_BEGINS: Final = (" ", ",", ";")


@dataclass(frozen=True)
class _Said:
    """A value in a message."""

    text: str
    language: str

    def __format__(self, spec: str) -> str:
        return mark_number(self.text, self.language) if spec == "n" and _AMOUNT.fullmatch(self.text) else self.text


class _Template:
    """An English template and what it becomes."""

    def __init__(self, english: str, translation: str) -> None:
        self._fixed = _HOLE.split(english)[::2]
        self._names = _HOLE.findall(english)
        pairs = zip(self._names, self._fixed, self._fixed[1:], strict=False)
        self._quoted = {name for name, before, behind in pairs if before.endswith("'") and behind.startswith("'")}
        self._translation = translation
        self.begin, self.mark = self._fixed[0], max(self._fixed, key=len)
        self.weight = sum(map(len, self._fixed))

    def render(self, text: str, book: "Phrasebook", depth: int) -> str | None:
        """Return the translation of a text, None if it is another one."""
        values = _values_between(text, self._fixed)
        pairs = list(zip(self._names, values or (), strict=values is not None))
        if values is None or any(name.endswith("_") and not book.knows(value) for name, value in pairs):
            return None
        said = {name: value if name in self._quoted else book.value(name, value, depth) for name, value in pairs}
        return self._translation.format(**{name: _Said(text, book.language) for name, text in said.items()})


class Phrasebook:
    """Translates what is known, and leaves the rest as it is.

    Parameters
    ----------
    templates
        English template → the same in another language.
    language
        That of the translations; decides how amounts are written.

    Examples
    --------
    >>> book = Phrasebook({"no {thing} '{name}'": "„{name}“ ({thing}) fehlt", "model": "Modell"}, "de")
    >>> book.translated("no model 'model'"), book.translated("try 2: no model 'a'; nothing else")
    ('„model“ (Modell) fehlt', 'try 2: „a“ (Modell) fehlt; nothing else')
    """

    def __init__(self, templates: Mapping[str, str], language: str) -> None:
        self.language = language
        found = [_Template(english, translation) for english, translation in templates.items()]
        # Of several that fit the one that says most is meant.
        self._templates = sorted(found, key=lambda one: -one.weight)
        self._tails = [one for one in self._templates if one.begin.startswith(_TAIL_BEGINS)]
        self._remarks = [one for one in self._tails if one.begin.startswith(" (")]
        self._words = {english: word for english, word in templates.items() if not _HOLE.search(english)}

    def translated(self, text: str, depth: int = 0) -> str:
        """Return a text in the other language; of clauses that semicolons join, those that are known."""
        if " " not in text:
            return self._words.get(text, text)
        parts = text.split("; ")
        if len(parts) > _MOST_CLAUSES:
            return self._clause(text, depth) or text
        # What ends in a value would take the fields behind for a part of it, so they are first tried one by one.
        found = self._clauses(parts, depth, shortest=True) if _FIELD.match(text) else []
        if not found or any(one is None for _, one in found):
            whole = self._clause(text, depth)
            found = self._clauses(parts, depth, shortest=False) if whole is None else [(text, whole)]
        return "; ".join(clause if one is None else one for clause, one in found)

    def knows(self, text: str) -> bool:
        """Whether a text without values is known."""
        return text in self._words

    def _clauses(self, parts: Sequence[str], depth: int, *, shortest: bool) -> list[tuple[str, str | None]]:
        """Return clauses, each of one or some of the parts, with their translations."""
        found: list[tuple[str, str | None]] = []
        at = 0
        while at < len(parts):
            counts = range(1, min(len(parts) - at, _MOST_PARTS) + 1)
            ways = ("; ".join(parts[at : at + count]) for count in (counts if shortest else reversed(counts)))
            known = ((way, self._clause(way, depth)) for way in ways)
            found.append(next((pair for pair in known if pair[1] is not None), (parts[at], None)))
            at += found[-1][0].count("; ") + 1
        return found

    def value(self, name: str, text: str, depth: int) -> str:
        """Return what stands in a hole of that name."""
        if depth > _DEEPEST:
            return text
        items = text.split(", ")
        if all(item in self._words for item in items):
            return ", ".join(self._words[item] for item in items)
        for tail in self._tails if name.startswith("_") else ():
            at = text.rfind(tail.begin)
            behind = tail.render(text[at:], self, depth + 1) if at >= 0 else None
            if behind is not None:
                return self.value(name, text[:at], depth + 1) + behind
        return self.translated(text, depth + 1)

    def _clause(self, text: str, depth: int) -> str | None:
        if text in self._words or depth > _DEEPEST:
            return self._words.get(text)
        # Before what ends in a value, which would take the remark for a part of it.
        found = self._with_remark(text, depth)
        if found is not None:
            return found
        for template in self._templates:
            found = template.render(text, self, depth) if template.mark in text else None
            if found is not None:
                return found
        return self._after_place(text, depth)

    def _with_remark(self, text: str, depth: int) -> str | None:
        """Translate what ends in brackets."""
        for remark in self._remarks:
            at = text.rfind(remark.begin)
            behind = remark.render(text[at:], self, depth + 1) if at > 0 else None
            before = self._clause(text[:at], depth + 1) if behind is not None else None
            if before is not None and behind is not None:
                return before + behind
        return None

    def _after_place(self, text: str, depth: int) -> str | None:
        """Translate what follows a name and a colon."""
        place, _, rest = text.partition(": ")
        found = self._clause(rest, depth + 1) if rest and "; " not in place else None
        return None if found is None else f"{self._words.get(place, place)}: {found}"


def _values_between(text: str, fixed: Sequence[str]) -> list[str] | None:
    """Return what stands between the fixed parts, each taken where it comes first; None if they are not all there."""
    if len(fixed) == 1:
        return [] if text == fixed[0] else None
    first, *middle, last = fixed
    at, end = len(first), len(text) - len(last)
    if at > end or not text.startswith(first) or not text.endswith(last):
        return None
    values = []
    for part in middle:
        place = text.find(part, at, end)
        if place < 0:
            return None
        values.append(text[at:place])
        at = place + len(part)
    return [*values, text[at:end]]


@cache
def phrases(language: str) -> dict[str, str]:
    """Return English template → template of a language; empty for English."""
    path = _FOLDER / f"messages.{language}.json"
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


@cache
def phrasebook(language: str) -> Phrasebook:
    """Return what translates into a language."""
    return Phrasebook(phrases(language), language)
