"""What the rest of Kurswerk reports is shown in the reader's language."""

import pytest

from kurswerk.core.errors import KurswerkError, UnknownNameError
from kurswerk.core.messages import Message
from kurswerk.dashboard.widgets.specification_document import field_errors
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.training import ModelSpec
from memory_market import a_spec

GERMAN = UserContext(language="de")


@pytest.mark.parametrize(
    ("message", "german"),
    [
        (
            UnknownNameError("column.unknown", name="price_clse", known=["price_close"]),
            "Spalte „price_clse“ ist unbekannt; war „price_close“ gemeint?",
        ),
        (
            Message("job.given_up", count=1, reason=Message("job.process_killed_memory", signal=9)),
            "Aufgegeben nach 1 Versuch: Sein Prozess wurde durch Signal 9 beendet (vielleicht war der Speicher voll)",
        ),
        (
            Message("model.not_ready", name="a", status="TRAINING", remedy=Message("training.again")),
            "Modell „a“ ist nicht bereit (Zustand: lernt); bitte neu trainieren",
        ),
        (
            Message("model.certificate_failed", name="m", checks=[Message("check.future_rows"), "of_a_later_version"]),
            (
                "Modell „m“ ist nicht zertifiziert: spätere Zeilen, of_a_later_version; "
                "bitte das Modell korrigieren oder es mit Begründung erzwingen"
            ),
        ),
        (Message("progress.probe_held", check=Message("check.future_rows")), "spätere Zeilen: eingehalten"),
        (Message("health.database_answered", milliseconds=1234.5), "hat in 1.234,5 ms geantwortet"),
        ("text of an older version", "text of an older version"),
        ("", ""),
    ],
)
def test_messages_are_in_the_readers_language(message: object, german: str):
    assert GERMAN.message(message) == german
    assert UserContext().message(message) == str(message)


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
    with pytest.raises(KurswerkError) as caught:
        ModelSpec.parse(a_spec().as_json() | WRONG)
    by_field = field_errors(caught.value, GERMAN)
    assert by_field.keys() == WRONG.keys()
    for field, english in field_errors(caught.value, UserContext()).items():
        assert by_field[field] != english
    whole = GERMAN.message(caught.value)
    assert [text for text in by_field.values() if text not in whole] == []
    assert "(given: " not in whole
    assert whole.count("(angegeben: ") == str(caught.value).count("(given: ")
