"""Every message that the source reports has its words, in every language and with the same values."""

from functools import cache
from string import Formatter

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from kurswerk.checks import (
    COMPARISON_PROPERTIES,
    LABEL_COMPARISON_PROPERTIES,
    LABEL_PROPERTIES,
    PIPELINE_PROPERTIES,
    PROBED_FEATURE_PROPERTIES,
    SPLIT_PROPERTIES,
)
from kurswerk.core.catalogues import LOCALES, catalogue
from message_codes import CODE, KEPT, ROOT, code_prefixes, literal_codes, reports


@cache
def source(locale: str) -> Catalog:
    with (ROOT / "locale" / locale / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=locale, abort_invalid=True)


@cache
def templates(locale: str) -> dict[str, tuple[str, ...]]:
    """Return code → its templates, one for each plural form."""
    found = {}
    for message in source(locale):
        if message.id:
            code = message.id if isinstance(message.id, str) else message.id[0]
            found[code] = (message.string,) if isinstance(message.string, str) else tuple(message.string)
    return found


def holes(template: str) -> dict[str, str]:
    """Return value → how it is written."""
    return {name: hint or "" for _, name, hint, _ in Formatter().parse(template) if name is not None}


@pytest.fixture
def english() -> dict[str, tuple[str, ...]]:
    return templates("en")


def test_the_source_is_read():
    """Else nothing would be missed."""
    assert len(reports()) > 300
    assert {"column.unknown", "hint.did_you_mean"} <= {one.code for one in reports()}


def test_every_code_has_its_words(english):
    assert [one.place for one in reports() if one.code and one.code not in english] == []


def test_every_probe_of_a_certificate_has_its_words(english):
    alone = (*PROBED_FEATURE_PROPERTIES, *LABEL_PROPERTIES, *SPLIT_PROPERTIES, *PIPELINE_PROPERTIES)
    properties = (*alone, *COMPARISON_PROPERTIES, *LABEL_COMPARISON_PROPERTIES)
    probes = {f"check.{one.name}" for one in properties} | {"check.served_row_by_row"}
    assert {code for code in english if code.startswith("check.")} == probes


def test_no_words_are_left_without_use(english):
    used, begins = literal_codes(), tuple(code_prefixes())
    assert [code for code in english if code not in used and not code.startswith(begins)] == []


def test_values_are_those_of_the_template(english):
    wrong = []
    for one in reports():
        if one.values is not None and one.code in english:
            wanted = set().union(*map(holes, english[one.code]))
            if not wanted <= one.values | {"count"} or one.values - wanted - KEPT - {"count"}:
                wrong.append(f"{one.place}: {one.code} takes {sorted(wanted)}, given {sorted(one.values)}")
    assert wrong == []


@pytest.mark.parametrize("locale", [locale for locale in LOCALES if locale != "en"])
def test_every_language_has_the_same_codes_and_values(locale: str, english):
    other = templates(locale)
    assert other.keys() == english.keys()
    for code, texts in english.items():
        assert [set(holes(one)) for one in other[code]] == [set(holes(one)) for one in texts], code


@pytest.mark.parametrize("locale", LOCALES)
def test_codes_are_dotted_names_and_all_have_words(locale: str):
    for code, texts in templates(locale).items():
        assert CODE.fullmatch(code), code
        assert all(texts), code
        assert not source(locale).get(code).fuzzy, code


@pytest.mark.parametrize("locale", LOCALES)
def test_values_are_written_in_ways_that_there_are(locale: str):
    for code, texts in templates(locale).items():
        hints = {hint for text in texts for hint in holes(text).values()}
        assert hints <= {"", "n", "n0", "n1", "n2", "t", "or", "and", "status"}, code


def test_catalogues_are_sorted_by_code():
    """So that two people who add messages meet as rarely as possible."""
    for locale in LOCALES:
        assert list(templates(locale)) == sorted(templates(locale))


def test_a_locale_without_catalogues_has_no_words():
    assert catalogue("messages", "fr").gettext("column.unknown") == "column.unknown"
