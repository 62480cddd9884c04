"""The layers and the house plan of docs/architecture.md, compared with the code and with import-linter's layers."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "src" / "kurswerk"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, without its head."""
    section = re.split(rf"^#+ {re.escape(heading)}\n", PAGE, flags=re.MULTILINE)[1]
    lines = re.search(r"(?:^\|.*\|\n)+", section, re.MULTILINE)
    assert lines is not None, heading
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[0].splitlines()[2:]]


STEPS = [*table("The way of one row"), *table("The way of one order")]
REACHED = [
    (origin, name, path.strip("` "))
    for path, _, reached in STEPS
    if (found := re.fullmatch(r"`(\S+)`: `(\w+)` ?", reached))
    for origin, name in [found.groups()]
]


@cache
def names(path: Path) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names that a file defines, and those it uses."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    defined = {node.name for node in nodes if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)}
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    return frozenset(defined), frozenset(used | {node.attr for node in nodes if isinstance(node, ast.Attribute)})


@pytest.mark.parametrize("path", [step[0].strip("` ") for step in STEPS])
def test_every_file_of_a_way_exists(path):
    assert (PACKAGE / path).is_file()


@pytest.mark.parametrize(("origin", "name", "path"), REACHED)
def test_a_file_is_reached_as_the_plan_shows(origin, name, path):
    assert name in names(PACKAGE / path)[0], f"{path} defines no {name}"
    assert name in names(PACKAGE / origin)[1], f"{origin} does not use {name}"


def test_a_step_without_an_origin_is_a_beginning():
    begins = [path for path, _, reached in STEPS if not re.fullmatch(r"`\S+`: `\w+` ?", reached)]
    assert len(begins) == len(STEPS) - len(REACHED) == 4


def test_every_package_stands_in_one_layer_and_in_the_order_that_is_checked():
    rows = [re.findall(r"`(\w+)`", packages) for _, packages, _ in table("Layers")]
    listed = [name for row in rows for name in row]
    there = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert sorted(listed) == sorted(there)
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = next(one for one in config["tool"]["importlinter"]["contracts"] if one["name"].startswith("Layers: "))
    checked = [set(re.findall(r"\w+", layer)) - {"__main__"} for layer in contract["layers"]]
    assert [set(row) for row in rows] == [layer for layer in checked if layer]


@pytest.mark.parametrize("cell", [cell for row in table("Where something new goes") for cell in row[1:]])
def test_every_place_for_something_new_exists(cell):
    for path in re.findall(r"`([\w/.]+)`", cell):
        assert (PACKAGE / path).exists(), path
