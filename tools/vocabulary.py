"""Refuse private words where the field has a term, in code, texts and documentation alike.

Identifiers are split into their words (``heard_at``, ``OrderDesk``), so a name, a comment, a docstring and a message
are all judged by the same list. `TERMS` lists what to use; `ALLOWED` lists uses that are ordinary English or somebody
else's name, each with its reason.

``python tools/vocabulary.py [PATH…]`` lists every place, without paths in the whole project.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOTS = (
    *("src", "benchmarks", "tests", "tools", "docs", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile"),
    *(".env.example", "pyproject.toml", "mkdocs.yml"),
)
SUFFIXES = frozenset({".py", ".md", ".po", ".js", ".css", ".sql", ".j2", ".toml", ".yml", ".example", ""})

# Old words -> the term to use instead.
TERMS: Mapping[str, str] = {
    "agreed": "met the rule",
    "audience audiences": "what it is: subscribers, viewers, a live reader",
    "courier couriers": "dispatcher",
    "culprit culprits": "offending column",
    "desk desks": "job service",
    "ear ears": "listener",
    "farewell": "close message",
    "figures": "metrics, values or charts",
    "fleet fleets": "active models",
    "foresee foresees foreseen foreseeing": "predict, target",
    "hear hears heard hearing": "receive, notify, invalidate",
    "impatient impatiently": "with a timeout",
    "law laws lawful": "property, validation rule",
    "lookout lookouts": "health service",
    "mend mends mended mending": "fix, correct",
    "morsel morsels": "cookie, part",
    "owe owes owed owing": "backfill, missed predictions",
    "phrasebook": "message catalogue",
    "remnant remnants": "leftover",
    "say says said saying unsaid": "state, report, name, read",
    "settle settles settled settling": "backfill, complete",
    "shelf shelves": "model cache",
    "sift sifts sifted sifting": "filter, search",
    "tally tallies tallied": "counts",
    "tell tells told telling untold": "report, state, show, distinguish",
    "ticket tickets": "queue entry",
    "tidy tidies tidied tidying": "retention, clean up",
    "wish wishes wished wishing": "subscription filter, request",
}
PHRASES: Mapping[str, str] = {
    r"beside\s+(?:the\s+)?naive|naive\s+beside": "metrics against baselines",
    r"taken\s+for\s+dead": "stalled",
    r"who\s+listens": "subscriber",
}
INSTEAD: Mapping[str, str] = {word: term for words, term in TERMS.items() for word in words.split()}


@dataclass(frozen=True)
class Allowed:
    """A use that stays: `pattern` in files that match `where` (a glob)."""

    pattern: str
    reason: str
    where: str = "**"


ALLOWED: Sequence[Allowed] = (
    Allowed(r"power\s+law", "the distribution"),
    Allowed(r"file\.tell\(", "a method of Python's files", "src/kurswerk/sources/*"),
    Allowed(r"[\"'`.]owed\b|\bowed: int|AS owed|\bowed \(rows", "a field of GET /api/models/active"),
    Allowed(r"significant figures", "the term for digits that count"),
    Allowed(r"Intended Audience", "a classifier of the package index", "pyproject.toml"),
)
EXEMPT: Mapping[str, str] = {
    "tests/golden/data/*": "recorded from an earlier commit",
    "src/kurswerk/features/_kernels.py": "feature hashes cover its source text",
    "src/kurswerk/storage/server/migrations/*": "released migrations and the names they created stay",
    "src/kurswerk/storage/server/migrations/*/*": "released migrations and the names they created stay",
    "tools/vocabulary.py": "lists the old words",
    "tests/unit/tools/test_vocabulary.py": "uses the old words",
}

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_PHRASE = {re.compile(pattern, re.IGNORECASE): term for pattern, term in PHRASES.items()}


@dataclass(frozen=True)
class Use:
    """One use of an old word: the file, its line (0: the path itself), the word and the term to use."""

    path: str
    line: int
    word: str
    instead: str

    def __str__(self) -> str:
        """Return the place as editors understand it, and what to write."""
        return f"{self.path}:{self.line}: '{self.word}': use {self.instead}"


def uses(path: str, text: str) -> Iterator[Use]:
    """Yield the old words in a path and its text, in order."""
    for allowed in ALLOWED:
        if Path(path).match(allowed.where) or allowed.where == "**":
            text = re.sub(allowed.pattern, lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    yield from (Use(path, 0, word, INSTEAD[word]) for word in _words(path) if word in INSTEAD)
    for number, line in enumerate(text.splitlines(), 1):
        yield from (Use(path, number, word, INSTEAD[word]) for word in _words(line) if word in INSTEAD)
    for pattern, term in _PHRASE.items():
        for match in pattern.finditer(text):
            yield Use(path, text.count("\n", 0, match.start()) + 1, " ".join(match[0].split()), term)


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def files(roots: Sequence[Path]) -> Iterator[Path]:
    """Yield the files to judge below some roots, sorted."""
    for root in roots:
        for path in [root] if root.is_file() else sorted(root.rglob("*")):
            name = path.relative_to(ROOT)
            if path.is_file() and path.suffix in SUFFIXES and not any(name.match(glob) for glob in EXEMPT):
                yield path


def all_uses(roots: Sequence[Path]) -> list[Use]:
    """Return every use below some roots."""
    return [use for path in files(roots) for use in uses(str(path.relative_to(ROOT)), path.read_text("utf-8"))]


def main() -> int:
    """Print what is found; return 1 if there is any."""
    paths = [Path(path).resolve() for path in sys.argv[1:]] or [ROOT / root for root in ROOTS]
    found = all_uses(paths)
    print("\n".join(map(str, found)) or "vocabulary: fine")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
