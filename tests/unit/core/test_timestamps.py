"""Moments and their text."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.core.errors import InvalidInputError
from kurswerk.core.timestamps import format_timestamp, parse_timestamp, to_datetime, to_us

MOMENTS = st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)


@given(MOMENTS)
def test_text_and_datetime_come_back(moment):
    assert parse_timestamp(format_timestamp(moment)) == moment
    assert to_us(to_datetime(moment)) == moment


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)), st.integers(-23, 23))  # noqa: DTZ001  naive on purpose
def test_naive_is_utc_and_offsets_count(moment, hours):
    aware = moment.replace(tzinfo=timezone(timedelta(hours=hours)))
    assert to_us(moment) - to_us(aware) == hours * 3_600_000_000
    assert to_us(moment) == to_us(moment.replace(tzinfo=UTC))


@given(MOMENTS, MOMENTS)
def test_order_of_datetimes_is_order_of_moments(a, b):
    assert (to_datetime(a) < to_datetime(b)) == (a < b)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2024-13-01", "2024-02-30", "01/03/2017", "9999-12-31T23:59:59-23:00x"]
)
def test_refuses_what_is_no_time(text):
    with pytest.raises(InvalidInputError, match="write it like 2024-07-01T00:00:00Z"):
        parse_timestamp(text)
