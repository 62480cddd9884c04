"""Two documents held against each other, and against the written list of what may differ."""

import json
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal["added", "removed", "changed"]
_MOST_SHOWN = 160


@dataclass(frozen=True)
class Difference:
    """One place at which two documents differ; ``expected`` is what was recorded."""

    path: str
    kind: Kind
    expected: Any = None
    actual: Any = None

    def __str__(self) -> str:
        """Return one readable line."""
        expected, actual = _shown(self.expected), _shown(self.actual)
        what = {"added": f"+ {actual}", "removed": f"- {expected}", "changed": f"{expected} -> {actual}"}[self.kind]
        return f"{self.path}  {self.kind}: {what}"


@dataclass(frozen=True)
class IntendedDifference:
    """An entry of the written list: where a golden may differ, how, and why."""

    golden: str
    path: str
    kind: Kind
    why: str

    def covers(self, golden: str, found: Difference) -> bool:
        """Whether it is this difference that was meant; ``*`` in the path stands for any text."""
        pattern = re.escape(self.path).replace(r"\*", ".*")
        return (self.golden, self.kind) == (golden, found.kind) and re.fullmatch(pattern, found.path) is not None


@dataclass
class Judgement:
    """What is wrong with a golden: differences nobody intended, and entries that match nothing any more."""

    unexplained: list[Difference] = field(default_factory=list)
    stale: list[IntendedDifference] = field(default_factory=list)

    def __str__(self) -> str:
        """Return one line for each, with what to do."""
        lines = [f"  {difference}" for difference in self.unexplained]
        lines += [f"  intended, but no longer there: {entry.path} ({entry.kind})" for entry in self.stale]
        return "\n".join(lines)


def read_intended(path: Path) -> list[IntendedDifference]:
    """Read the list of intended differences."""
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("difference", [])
    return [IntendedDifference(**entry) for entry in entries]


def judge(golden: str, found: Sequence[Difference], intended: Collection[IntendedDifference]) -> Judgement:
    """Hold the differences of a golden against the written list."""
    entries = [entry for entry in intended if entry.golden == golden]
    return Judgement(
        unexplained=[one for one in found if not any(entry.covers(golden, one) for entry in entries)],
        stale=[entry for entry in entries if not any(entry.covers(golden, one) for one in found)],
    )


def differences(expected: Any, actual: Any, *, numbers: bool = True, path: str = "") -> Iterator[Difference]:
    """Yield the places at which two JSON documents differ, outermost first.

    Entries of a list are distinguished by their ``name`` where each has one, texts by themselves, others by position.

    Parameters
    ----------
    numbers
        Whether the values of numbers and digests count; without, that there is one is enough, and lists may be of
        other lengths.

    Examples
    --------
    >>> [str(one) for one in differences({"a": [1, 2], "b": "x"}, {"a": [1, 3], "c": None})]
    ['a.1  changed: 2 -> 3', 'b  removed: - "x"', 'c  added: + null']
    >>> list(differences({"a": 1, "b": [0.5]}, {"a": 2, "b": []}, numbers=False))
    []
    """
    if isinstance(expected, dict) and isinstance(actual, dict):
        yield from _of_mappings(expected, actual, numbers, path)
    elif isinstance(expected, list) and isinstance(actual, list):
        yield from _of_lists(expected, actual, numbers, path)
    elif not _same(expected, actual, numbers):
        yield Difference(path, "changed", expected, actual)


def _of_mappings(
    expected: Mapping[str, Any], actual: Mapping[str, Any], numbers: bool, path: str
) -> Iterator[Difference]:
    for key in sorted({*expected, *actual}):
        place = f"{path}.{key}" if path else key
        if key not in actual:
            yield Difference(place, "removed", expected[key])
        elif key not in expected:
            yield Difference(place, "added", actual=actual[key])
        else:
            yield from differences(expected[key], actual[key], numbers=numbers, path=place)


def _of_lists(expected: list[Any], actual: list[Any], numbers: bool, path: str) -> Iterator[Difference]:
    before, after = _by_name(expected), _by_name(actual)
    if before is not None and after is not None:
        yield from _of_mappings(before, after, numbers, path)
        kept, found = [name for name in before if name in after], [name for name in after if name in before]
        if kept != found:
            yield Difference(f"{path}.(order)", "changed", kept, found)
        return
    if not numbers:
        expected, actual = expected[: len(actual)], actual[: len(expected)]
    both = zip(expected, actual, strict=False)
    for position, (one, other) in enumerate(both):
        yield from differences(one, other, numbers=numbers, path=f"{path}.{position}")
    for position in range(len(actual), len(expected)):
        yield Difference(f"{path}.{position}", "removed", expected[position])
    for position in range(len(expected), len(actual)):
        yield Difference(f"{path}.{position}", "added", actual=actual[position])


def _by_name(entries: list[Any]) -> dict[str, Any] | None:
    """Return the entries of a list by what distinguishes them, None if nothing does."""
    names = [entry.get("name") if isinstance(entry, dict) else entry for entry in entries]
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        return None
    return {str(name): entry for name, entry in zip(names, entries, strict=True)}


def _same(expected: Any, actual: Any, numbers: bool) -> bool:
    if not numbers and _measured(expected) and _measured(actual):
        return True
    return type(expected) is type(actual) and bool(expected == actual)


def _measured(value: Any) -> bool:
    if isinstance(value, str):
        return re.search(r"\d", value) is not None
    return value is None or isinstance(value, bool | int | float)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
