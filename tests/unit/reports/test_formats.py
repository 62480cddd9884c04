"""Numbers and addresses as a person reads them."""

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.reports._formats import duration, number, signed, span, without_secret


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9))
def test_a_number_reads_back_within_its_digits(value: float) -> None:
    read = float(number(value).replace(",", "").replace("−", "-"))
    assert read == pytest.approx(value, abs=0.0005, rel=0.051)
    assert signed(value)[0] in "+−"


@pytest.mark.parametrize("value", [None, math.nan, math.inf, True, "text"])
def test_what_is_no_number_is_a_dash(value: object) -> None:
    assert number(value) == "–"


@given(st.floats(min_value=0, max_value=1e6))
def test_durations_are_short(seconds: float) -> None:
    assert 0 < len(duration(seconds)) <= 12


def test_durations_round_where_units_meet() -> None:
    assert duration(59.99) == "1 min 0 s"
    assert duration(0.9999) == "1.0 s"
    assert duration(3599.9) == "1 h 0 min"


def test_span_of_seconds() -> None:
    assert span(timedelta(seconds=90)) == "90 seconds"


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:s3cret@host/db",
        "postgresql://:s3cret@host/db",
        "postgresql://me@host/db?password=s3cret&x=1",
        "host=h password=s3cret user=me",
        "postgresql://me:s3c%40s3cret@host/db",
        "postgresql://me:s3cret@x@host/db",
    ],
)
def test_no_password_survives(address: str) -> None:
    assert "s3cret" not in without_secret(address)


def test_an_address_without_a_password_stays() -> None:
    assert without_secret("postgresql://me@host:5432/db") == "postgresql://me@host:5432/db"
    assert without_secret("/srv/me/exports") == "/srv/me/exports"
