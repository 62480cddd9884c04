"""Every text that a reader sees stands in the catalogue."""

import ast
import re
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from babel.messages.pofile import read_po

import kurswerk.dashboard
from kurswerk.bootstrap.job_kinds import job_kinds
from kurswerk.channels import KINDS
from kurswerk.dashboard.words.catalogue import translate
from kurswerk.models import FAMILIES

FOLDER = Path(kurswerk.dashboard.__file__).parent
ROOT = FOLDER.parent
FILES = sorted(FOLDER.rglob("*.py"))
# What a component shows or a screen reader reads.
SHOWN = {"label", "title", "placeholder", "description", "aria-label", "headerName", "children", "headerTooltip"}
# The same in every language.
UNIVERSAL = {"Kurswerk", "JSON", "curl", "F1", "ROC-AUC", "MCC", "PR-AUC", "Kurs", "werk"}
# An axis of reports/_metric_charts.py, named by its metric.
COMPOSED = {"PR-AUC: model minus baseline"}
_WORDS = re.compile(r"[A-Za-z]{2,}")


def entries() -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return the English and the German forms of each entry: one, or that for one and that for more."""
    with (ROOT / "locale/de/LC_MESSAGES/dashboard.po").open("rb") as file:
        found = [(message.id, message.string) for message in read_po(file, locale="de") if message.id]
    return [((ids,), (texts,)) if isinstance(ids, str) else (tuple(ids), tuple(texts)) for ids, texts in found]


def words() -> dict[str, str]:
    """Return English text → German text."""
    return {english: german for ids, texts in entries() for english, german in zip(ids, texts, strict=True)}


def translated(tree: ast.AST) -> set[str]:
    """Return the texts given to ``user.t`` or ``user.tn``, or marked by ``N_``."""
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        given = node.args[: {"t": 1, "N_": 1, "tn": 2}.get(name, 0)]
        found |= {argument.value for argument in given if isinstance(argument, ast.Constant)}
    return found


def texts() -> set[str]:
    return set().union(*(translated(ast.parse(path.read_text())) for path in FILES))


def test_every_text_is_in_the_catalogue():
    assert sorted(texts() - words().keys()) == []


def test_values_keep_their_names():
    for english, german in words().items():
        assert sorted(re.findall(r"\{(\w*)\}", english)) == sorted(re.findall(r"\{(\w*)\}", german)), english


def shown_texts(tree: ast.AST) -> list[str]:
    """Return texts handed to a component as they are."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        pairs = [(keyword.arg, keyword.value) for keyword in node.keywords]
        for keyword in node.keywords:
            if keyword.arg is None and isinstance(keyword.value, ast.Dict):
                pairs += [
                    (getattr(k, "value", None), v)
                    for k, v in zip(keyword.value.keys, keyword.value.values, strict=True)
                ]
        owner = getattr(getattr(node.func, "value", None), "id", "")
        first = node.args[:1] if owner in {"dmc", "html"} else []
        values = [value for name, value in pairs if name in SHOWN] + first
        found += [v.value for v in values if isinstance(v, ast.Constant) and isinstance(v.value, str)]
    return [text for text in found if _WORDS.search(text) and text not in UNIVERSAL]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nothing_is_shown_past_the_catalogue(path: Path):
    assert shown_texts(ast.parse(path.read_text())) == []


def test_a_text_past_the_catalogue_would_be_found():
    assert shown_texts(ast.parse("dmc.Button('Go on', id='x')\nf(label='Name of it', **{'aria-label': 'Search'})")) == [
        "Go on",
        "Name of it",
        "Search",
    ]


def test_what_is_unknown_stays_as_it_is():
    assert translate("no such text", "de") == "no such text"
    assert translate("Jobs", "en") == "Jobs"
    assert translate("", "de") == ""


def registered_texts() -> set[str]:
    """Return what registers declare for pages: kinds of job, model families with their fields, channels."""
    found = {kind.title for kind in job_kinds(MagicMock(), MagicMock())}
    for family in FAMILIES.values():
        found |= {family.title, family.description, *family.facts.values()}
        for field in family.hyper_parameters.form_fields():
            found |= {field.title, field.description}
    for kind in KINDS.values():
        found |= {kind.label, kind.summary, kind.secret or ""}
    return found - {""}


def test_every_registered_text_is_in_the_catalogue():
    assert sorted(registered_texts() - words().keys()) == []


def test_no_entry_of_the_catalogue_is_left_without_use():
    """An entry is used as long as its English stands in the source, where pages, charts or registers show it."""
    nodes = (node for path in ROOT.rglob("*.py") for node in ast.walk(ast.parse(path.read_text())))
    literals = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert sorted(words().keys() - literals - COMPOSED) == []
