"""Cells of any kind come out as numbers, one bad cell at a time."""

import math
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.core.errors import DataFileError
from kurswerk.ingest._cells import as_text, number_in, read_numbers
from kurswerk.market.validation import Cell


def read(values, kind=None, **options):
    numbers, states = read_numbers(pa.array(values, kind, from_pandas=False), "x", **options)
    return [
        number if state == Cell.PRESENT else Cell(state).name
        for number, state in zip(numbers.tolist(), states.tolist(), strict=True)
    ]


@given(st.lists(st.floats(allow_nan=False), max_size=8), st.integers(0, 2))
def test_text_of_numbers_comes_back_also_beside_bad_cells(values, bad):
    texts = [repr(value) for value in values]
    assert read([*texts, *["bad"] * bad], pa.string()) == values + ["UNREADABLE"] * bad
    assert read([f"  {text} " for text in texts], pa.string()) == values


@given(st.text(max_size=6))
def test_slow_and_fast_reading_agree(text):
    fast, slow = read([text], pa.string()), read([text, "bad"], pa.string())[:1]
    assert fast == slow or (math.isnan(fast[0]) and math.isnan(slow[0]))


@given(st.lists(st.one_of(st.none(), st.integers(-(2**40), 2**40)), max_size=8))
def test_whole_numbers_and_nulls(values):
    expected = ["MISSING" if value is None else float(value) for value in values]
    for kind in (pa.int64(), pa.float64(), pa.decimal128(20, 0)):
        assert (
            read([None if v is None else Decimal(v) for v in values] if kind == pa.decimal128(20, 0) else values, kind)
            == expected
        )


def test_words():
    assert read(["", " na ", "N/A", "null", "None", None, "yes", "F", "-Infinity", "1,5", "0x10", "١"]) == [
        *["MISSING"] * 6,
        1.0,
        0.0,
        -np.inf,
        *["UNREADABLE"] * 3,
    ]
    assert math.isnan(number_in("nan"))


def test_decimal_comma():
    assert read(["1,5", "-2", "1.234,5"], decimal_comma=True) == [1.5, -2.0, "UNREADABLE"]


def test_flags_nulls_and_dictionaries():
    assert read([True, None, False]) == [1.0, "MISSING", 0.0]
    assert read([None, None], pa.null()) == ["MISSING"] * 2
    assert read_numbers(pa.array(["1", "2", "1"]).dictionary_encode(), "x")[0].tolist() == [1.0, 2.0, 1.0]
    assert read([1], pa.uint64()) == [1.0]


def test_a_column_that_cannot_hold_numbers_is_refused():
    with pytest.raises(DataFileError, match=r"column 'x' holds timestamp\[us, tz=UTC\], where numbers"):
        read([datetime(2024, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC"))


def test_any_cell_as_text():
    assert as_text(pa.array([1.5, None])).to_pylist() == ["1.5", None]
    assert as_text(pa.array([[1], None])).to_pylist() == ["[1]", None]
    assert as_text(pa.array([b"\xff"])).to_pylist() == ["b'\\xff'"]
