"""Messages keep their values and are put into words in the reader's language."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.core import _rendering
from kurswerk.core.errors import DataError, RequestRefusedError
from kurswerk.core.messages import Message

WORDS = {
    "en": {
        "a.amount": "{rows:n} rows, {share:n1} GiB",
        "a.moment": "from {start:t}",
        "a.choice": "{names:or}",
        "a.nested": "failed: {cause}; {names}",
        "a.only_english": "english",
        "a.quoted": "{value!r}",
    },
    "de": {
        "a.amount": "{rows:n} Zeilen, {share:n1} GiB",
        "a.moment": "ab {start:t}",
        "a.choice": "{names:or}",
        "a.nested": "gescheitert: {cause}; {names}",
        "a.quoted": "{value!r}",
    },
}
PLURALS = {"en": ("{count:n} coin", "{count:n} coins"), "de": ("{count:n} Coin", "{count:n} Coins")}


class Words:
    def __init__(self, locale: str) -> None:
        self.locale = locale

    def gettext(self, code: str) -> str:
        return WORDS[self.locale].get(code, code)

    def ngettext(self, code: str, _: str, count: int) -> str:
        return PLURALS[self.locale][count != 1] if code == "a.plural" else code


@pytest.fixture(autouse=True)
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rendering, "catalogue", lambda _, locale: Words(locale))


@pytest.mark.parametrize(
    ("message", "english", "german"),
    [
        (Message("a.amount", rows=1234567, share=2.25), "1,234,567 rows, 2.2 GiB", "1.234.567 Zeilen, 2,2 GiB"),
        (Message("a.amount", rows=0.0625, share=3), "0.0625 rows, 3.0 GiB", "0,0625 Zeilen, 3,0 GiB"),
        (Message("a.amount", rows="many", share=float("inf")), "many rows, ∞ GiB", "many Zeilen, ∞ GiB"),
        (
            Message("a.moment", start=datetime(2024, 7, 1, 2, tzinfo=UTC)),
            "from 2024-07-01T02:00:00Z",
            "ab 01.07.2024, 02:00:00 UTC",
        ),
        (Message("a.moment", start="soon"), "from soon", "ab soon"),
        (Message("a.choice", names=("a", "b")), "a or b", "a oder b"),
        (Message("a.plural", count=1), "1 coin", "1 Coin"),
        (Message("a.plural", count=1200), "1,200 coins", "1.200 Coins"),
        (Message("a.nested", cause=Message("a.choice", names="x"), names=[1, None]), "failed: x; 1, None", None),
        (Message("a.nested", cause=DataError("a.plural", count=2), names=[]), "failed: 2 coins; ", None),
        (Message("a.quoted", value="x"), "'x'", "'x'"),
        (Message("a.only_english"), "english", "english"),
        (Message("no code: {at all}"), "no code: {at all}", "no code: {at all}"),
        (Message("a.choice"), "{names}", "{names}"),
    ],
)
def test_words_of_a_message(message: Message, english: str, german: str | None):
    assert str(message) == message.render("en") == english
    assert message.render("de") == german or german is None


def test_a_message_within_another_is_in_the_same_language():
    cause = DataError("a.amount", rows=1, share=0)
    assert Message("a.nested", cause=cause, names=[cause]).render("de") == (
        "gescheitert: 1 Zeilen, 0,0 GiB; 1 Zeilen, 0,0 GiB"
    )


def test_values_become_what_json_has():
    given_values = {"a": np.int64(3), "b": Path("x"), "c": np.float64(0.5), "d": {1: {2}}, "e": ValueError("no")}
    assert Message("a.b", **given_values).params == {"a": 3, "b": "x", "c": 0.5, "d": {"1": [2]}, "e": "no"}
    assert Message("a.b", low=float("-inf")).as_json()["params"] == {"low": "-inf"}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.builds(lambda value: Message("a.b", value=value), inner),
    max_leaves=5,
)


@given(VALUES)
def test_a_message_comes_back_from_json(value: object):
    message = Message("a.nested", cause=value)
    assert Message.from_json(message.as_json()) == message


@given(VALUES, st.sampled_from(["en", "de"]))
def test_every_message_can_be_rendered(value: object, locale: str):
    for code in WORDS["en"]:
        assert isinstance(Message(code, rows=value, share=value, start=value, names=value).render(locale), str)


def test_texts_are_changed_wherever_they_stand():
    message = Message("a.nested", cause=Message("a.choice", names=["secret"]), names="secret")
    assert str(message.map_text(lambda text: text.replace("secret", "***"))) == "failed: ***; ***"


def test_what_a_service_reports_is_in_its_words_where_ours_are_missing():
    error = RequestRefusedError(Message("x.newer", text="t"), text="what the service wrote", status=409)
    assert str(error) == error.render("de") == "what the service wrote"
    known = RequestRefusedError(Message("a.choice", names=["a", "b"]), text="a or b", status=409)
    assert known.render("de") == "a oder b"
