"""``compose.yaml`` and ``Containerfile`` as a program reads them, and the services of the one as plain processes."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def interpolate(value: Any, variables: Mapping[str, str]) -> Any:
    """Return a document of Compose with ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?message}`` filled in."""
    if isinstance(value, dict):
        return {key: interpolate(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item, variables) for item in value]
    if not isinstance(value, str):
        return value

    def found(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        given = variables.get(name, "")
        if not given and kind == "?":
            raise KeyError(f"{name}: {rest}")
        return given or (rest if kind == "-" else "")

    return _VARIABLE.sub(found, value)


def services(variables: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the services of ``compose.yaml`` by name."""
    document = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    return dict(interpolate(document, variables)["services"])


def image_environment() -> dict[str, str]:
    """Return what the image sets for every process, by its last stage."""
    stage = (ROOT / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ").rpartition("\nFROM ")[2]
    lines = [line for line in stage.splitlines() if line.startswith("ENV ")]
    return dict(word.partition("=")[::2] for line in lines for word in shlex.split(line.removeprefix("ENV ")))
