"""What the rest of Kurswerk says to a reader of the dashboard is known in every language."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurswerk.checks import LABEL_PROPERTIES, SPLIT_PROPERTIES
from kurswerk.checks._probes import PIPELINE_PROPERTIES, PROBED_FEATURE_PROPERTIES
from kurswerk.core.errors import KurswerkError, UnknownNameError
from kurswerk.dashboard.widgets.specification_document import field_errors
from kurswerk.dashboard.words.catalogue import LANGUAGES
from kurswerk.dashboard.words.messages import Phrasebook, phrasebook, phrases
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.market.validation import Violation, describe_violation
from kurswerk.training import ModelSpec
from memory_market import a_spec

OTHERS = [language for language in LANGUAGES if language != "en"]
GERMAN = phrases("de")
HOLE = re.compile(r"\{(\w*)(?::n)?\}")
# Pydantic's words for choices, which are no template of it.
CHOICES = "{} or '{}'"


def bare(template: str) -> str:
    return HOLE.sub("{}", template)


@pytest.mark.parametrize("language", OTHERS)
def test_values_keep_their_names(language: str):
    for english, other in phrases(language).items():
        names = HOLE.findall(english)
        assert sorted(names) == sorted(HOLE.findall(other)), english
        assert len(names) == len(set(names)), english


@given(st.data())
@settings(max_examples=300)
def test_what_is_said_with_any_values_is_known_again(data: st.DataObject):
    english = data.draw(st.sampled_from(sorted(GERMAN)))
    word = st.text(st.characters(categories=["L", "N"], include_characters="_-"), min_size=1)
    unknown = word.filter(lambda text: text not in GERMAN)
    values = {
        name: data.draw(st.sampled_from(["starting PostgreSQL", "an integer"]) if name.endswith("_") else unknown)
        for name in HOLE.findall(english)
    }
    plain = GERMAN[english].replace(":n}", "}")
    expected = plain.format(**{name: GERMAN.get(value, value) for name, value in values.items()})
    assert phrasebook("de").translated(english.format(**values)) == expected


@pytest.mark.parametrize("violation", [violation for violation in Violation if violation is not Violation.NONE])
def test_reasons_of_refused_rows_are_known(violation: Violation):
    said = describe_violation(violation, "price_low")
    assert UserContext(language="de").message(said) != said


def test_checks_of_a_certificate_are_known():
    laws = (*PROBED_FEATURE_PROPERTIES, *LABEL_PROPERTIES, *SPLIT_PROPERTIES, *PIPELINE_PROPERTIES)
    assert [law.name for law in laws if law.name not in GERMAN] == []


@pytest.mark.parametrize(
    ("said", "german"),
    [
        (
            UnknownNameError("column.unknown", name="price_clse", known=["price_close"]),
            "Spalte „price_clse“ ist unbekannt; war „price_close“ gemeint?",
        ),
        (
            "given up after 3 tries: its process was killed by signal 9 (perhaps out of memory)",
            "Aufgegeben nach 3 Versuchen: Sein Prozess wurde durch Signal 9 beendet (vielleicht war der Speicher voll)",
        ),
        (
            "given up after 3 tries: model 'a' is TRAINING, not READY; train it again",
            "Aufgegeben nach 3 Versuchen: Modell „a“ ist nicht bereit (Zustand: lernt); bitte neu trainieren",
        ),
        (
            "model 'model' is not certified: future_rows, purge; mend the model, or force it with a reason",
            (
                "Modell „model“ ist nicht zertifiziert: spätere Zeilen, Abstand zur Prüfung; "
                "bitte das Modell berichtigen oder es mit Begründung erzwingen"
            ),
        ),
        (
            "no rows of a, b and others in phases 1, 2 from S to E; the data reach from F to L with 9 rows of 3 coins",
            (
                "Es gibt keine Zeilen von a, b und anderen in den Phasen 1, 2 von S bis E; "
                "die Daten reichen von F bis L mit 9 Zeilen von 3 Coins"
            ),
        ),
        (
            (
                "no connection to database d on h:5432 as me: connection failed: FATAL: no; sorry; "
                "check that the server runs and that KURSWERK_DATABASE_URL is right"
            ),
            (
                "Keine Verbindung zu Datenbank d auf h:5432 als me: connection failed: FATAL: no; sorry; "
                "bitte prüfen, ob der Server läuft und KURSWERK_DATABASE_URL stimmt"
            ),
        ),
        (
            "parameter 'max_depth' is 0; allowed: an integer in [1, 64] or null",
            "Parameter „max_depth“ ist 0; erlaubt: eine ganze Zahl aus [1, 64] oder null",
        ),
        ("my file.csv: does not exist", "my file.csv: gibt es nicht"),
        ("answered in 1,234.5 ms", "hat in 1.234,5 ms geantwortet"),
        ("evaluating 12,345,678 rows", "wertet 12.345.678 Zeilen aus"),
        ("evaluating 1,2 rows", "wertet 1,2 Zeilen aus"),
        ("at revision 1.5", "auf Stand 1.5"),
        ("future_rows: held", "spätere Zeilen: eingehalten"),
        ("nothing known: neither this; nor that", "nothing known: neither this; nor that"),
        ("", ""),
    ],
)
def test_messages_with_others_in_them(said: object, german: str):
    assert UserContext(language="de").message(said) == german
    assert UserContext().message(said) == str(said)


WRONG = {
    "name": "\0",
    "features": [],
    "train_start": "soon",
    "target_value": "many",
    "future_minutes": -1,
    "direction": "sideways",
    "operator": "!",
    "phases": [1.5],
    "mints": [3],
    "use_smote": "perhaps",
    "cv_splits": 99,
    "params": [],
    "description": "x" * 10_001,
}


def test_all_that_is_wrong_in_a_specification_is_known():
    """As the form shows it, field by field, and as one message, which jobs keep."""
    user = UserContext(language="de")
    with pytest.raises(KurswerkError) as caught:
        ModelSpec.parse(a_spec().as_json() | WRONG)
    by_field = field_errors(caught.value, user)
    assert by_field.keys() == WRONG.keys()
    for field, english in field_errors(caught.value, UserContext()).items():
        assert by_field[field] != english
    whole = user.message(caught.value)
    assert [text for text in by_field.values() if text not in whole] == []
    assert "(given: " not in whole
    assert whole.count("(angegeben: ") == str(caught.value).count("(given: ")


@pytest.mark.parametrize("one", ["; x", ": x", " and others", "a: b (given: c); ", " of a in phases 1", "'; '"])
def test_what_is_very_long_comes_back(one: str):
    assert phrasebook("de").translated(one * 1000)


def test_a_known_word_alone_may_stand_where_others_would_be_mistaken():
    book = Phrasebook({"{what_} failed: {said}": "{what_}: {said}", "starting": "Start"}, "de")
    assert book.translated("starting failed: no") == "Start: no"
    assert book.translated("connection failed: no") == "connection failed: no"
