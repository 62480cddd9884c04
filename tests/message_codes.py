"""Which messages the source reports, read from its syntax: every error raised and every ``Message`` made."""

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import kurswerk

ROOT = Path(kurswerk.__file__).parent
CODE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")
# Parameters of errors that are no values of their message, and those that become some.
NO_VALUES = {"known", "kinds", "headers", "status_code", "failed_checks", "keys"}
BECOME = {"known": "hint"}
# Kept by their error whether or not its message shows them.
KEPT = {"constraint", "job_id", "status", "field", "retry_after_s"}
# Make errors or messages out of others.
NO_REPORTS = {"RequestRefusedError"}


@dataclass(frozen=True)
class Report:
    """One place that reports something.

    Attributes
    ----------
    code
        None where it is no literal.
    values
        Names of the values; None where they cannot be read from the place.
    """

    place: str
    code: str | None
    values: frozenset[str] | None


@cache
def trees() -> dict[str, ast.Module]:
    """Return every module of the package by its path in it."""
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}


@cache
def errors() -> frozenset[str]:
    """Return the names of our errors' classes."""
    found, before = {"KurswerkError"}, 0
    classes = [node for tree in trees().values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    while len(found) > before:
        before = len(found)
        found |= {one.name for one in classes if any(last_name(base) in found for base in one.bases)}
    return frozenset(found - NO_REPORTS)


@cache
def reports() -> tuple[Report, ...]:
    """Return every place that makes an error of ours or a message."""
    makers = errors() | {"Message", "Refusal"}
    calls = ((name, node) for name, tree in trees().items() for node in ast.walk(tree) if isinstance(node, ast.Call))
    return tuple(_report(name, node) for name, node in calls if last_name(node.func) in makers)


def literal_codes() -> set[str]:
    """Return every text in the source that looks like a code, wherever it stands."""
    nodes = (node for tree in trees().values() for node in ast.walk(tree))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text for text in texts if CODE.fullmatch(text)}


def code_prefixes() -> set[str]:
    """Return what codes begin with that are put together, such as ``"check."``."""
    joined = (node for tree in trees().values() for node in ast.walk(tree) if isinstance(node, ast.JoinedStr))
    begins = (node.values[0] for node in joined if node.values)
    texts = {begin.value for begin in begins if isinstance(begin, ast.Constant)}
    return {text for text in texts if re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*\.", text)}


def last_name(node: ast.AST) -> str:
    """Return the name that an expression ends in."""
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def _report(name: str, node: ast.Call) -> Report:
    place = f"{name}:{node.lineno}"
    first = node.args[0] if node.args else None
    if last_name(node.func) == "Refusal":
        first = node.args[1] if len(node.args) > 1 else None
    if isinstance(first, ast.Starred) or first is None:
        return Report(place, None, None)
    if any(keyword.arg is None for keyword in node.keywords):
        values = None
    else:
        given = {str(keyword.arg) for keyword in node.keywords}
        values = frozenset(given - NO_VALUES | {BECOME[one] for one in given if one in BECOME})
    literal = isinstance(first, ast.Constant) and isinstance(first.value, str)
    if isinstance(first, ast.JoinedStr) or (literal and not CODE.fullmatch(first.value)):
        return Report(place, ast.unparse(first), None)
    return Report(place, first.value if literal else None, values)
