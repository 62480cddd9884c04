"""Goldens on disk: one compact JSON file each, one line for each of its top entries."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldens._platform import environment, platform_key

DATA = Path(__file__).resolve().parents[2] / "tests" / "golden" / "data"


@dataclass(frozen=True)
class Golden:
    """A recorded document.

    Attributes
    ----------
    environment
        Where it was recorded, if its numbers depend on that; None if they are the same everywhere.
    """

    name: str
    document: dict[str, Any]
    environment: dict[str, Any] | None = None

    @property
    def exact(self) -> bool:
        """Whether the numbers in it must come out here too."""
        return self.environment is None or platform_key(self.environment) == platform_key()


def write_golden(name: str, document: dict[str, Any], *, portable: bool, folder: Path = DATA) -> None:
    """Write a document; ``portable`` if it does not depend on where it was recorded."""
    where = None if portable else environment()
    lines = [f"{json.dumps(key)}: {_compact(value)}" for key, value in sorted(document.items())]
    body = ",\n".join(lines)
    folder.mkdir(parents=True, exist_ok=True)
    text = f'{{"environment": {_compact(where)},\n"document": {{\n{body}\n}}}}\n'
    (folder / f"{name}.json").write_text(text, encoding="utf-8")


def read_golden(name: str, folder: Path = DATA) -> Golden:
    """Read a document."""
    found = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return Golden(name, found["document"], found["environment"])


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
