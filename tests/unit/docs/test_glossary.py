"""The glossary gives the German terms that the dashboard shows."""

import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parents[3]
CATALOGUE = ROOT / "src" / "kurswerk" / "locale" / "de" / "LC_MESSAGES" / "dashboard.po"
PAGE = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
TERMS = [
    (term.strip(), german.strip())
    for term, german in re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \|$",
        (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    if term not in ("term", "---")
]


@pytest.fixture(scope="module")
def translations():
    with CATALOGUE.open("rb") as file:
        return {entry.id.lower(): entry.string for entry in read_po(file) if isinstance(entry.id, str) and entry.id}


def test_terms_are_listed_once():
    listed = [term for term, _ in TERMS]
    assert len(listed) == len(set(listed)) > 50


@pytest.mark.parametrize(("term", "german"), TERMS)
def test_the_german_term_is_the_one_that_is_shown(term, german, translations):
    plurals = {f"{term}s", f"{term}es", term}
    shown = [translations[one] for one in plurals if one in translations]
    stem = german.lower()[:5]
    assert all(stem in text.lower() for text in shown), f"'{term}' is shown as {shown}"


def test_most_terms_are_those_of_the_interface(translations):
    texts = " ".join(translations).lower()
    used = [term for term, _ in TERMS if term.lower() in texts]
    assert len(used) > len(TERMS) / 2
