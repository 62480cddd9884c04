"""Moments of any kind come out in microseconds."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from interpreted import interpreted
from kurswerk.core.errors import DataFileError
from kurswerk.core.timestamps import format_timestamp
from kurswerk.ingest import _moments
from kurswerk.ingest._moments import from_epochs, from_fractional_epochs, read_moments
from kurswerk.market.validation import END_MOMENT_US, Violation

MOMENTS = st.integers(0, END_MOMENT_US - 1)
# Moments whose seconds, milli- and nanoseconds are not mistaken for another unit or a date.
MODERN = st.integers(1_000_000_000, 9_000_000_000)


def read(values, kind=None, **options):
    moments, violations = read_moments(pa.array(values, kind), "ts", **options)
    return [
        Violation(violation).name if violation else moment
        for moment, violation in zip(moments.tolist(), violations.tolist(), strict=True)
    ]


@given(
    st.lists(MOMENTS, min_size=1, max_size=8),
    st.sampled_from(["s", "ms", "us", "ns"]),
    st.sampled_from([None, "UTC", "Asia/Tokyo"]),
)
def test_arrow_timestamps_of_any_unit_and_zone(moments, unit, zone):
    per = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 1}[unit]
    raw = [moment // per * (1_000 if unit == "ns" else 1) for moment in moments]
    kind = pa.timestamp(unit, zone)
    got, violations = read_moments(pa.array(raw, pa.int64()).view(kind), "ts")
    assert got.tolist() == [moment // per * per for moment in moments]
    assert not violations.any()


@given(st.lists(MOMENTS, min_size=1, max_size=8), st.integers(0, 3))
def test_iso_text_comes_back_also_beside_bad_cells(moments, bad):
    texts = [format_timestamp(moment) for moment in moments]
    naive = [text.replace("Z", "").replace("T", " ") for text in texts]
    for variant in (texts, naive, [*texts, *naive]):
        got = read([*variant, *["soon"] * bad], pa.string())
        assert got == moments * (len(variant) // len(moments)) + ["TIME_UNREADABLE"] * bad


@given(st.lists(MODERN, min_size=1, max_size=8))
def test_epochs_of_any_unit(seconds):
    expected = [second * 1_000_000 for second in seconds]
    for factor in (1, 1_000, 1_000_000, 1_000_000_000):
        numbers = [second * factor for second in seconds]
        assert read(numbers, pa.int64()) == expected
        assert read([str(number) for number in numbers], pa.string()) == expected
        assert read([Decimal(number) for number in numbers], pa.decimal128(30, 0)) == expected
    assert read([float(second) for second in seconds], pa.float64()) == expected


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=10), st.lists(st.floats(), max_size=10))
@example([20240229, 20231231, 20240230, 10**10, 10**12, 10**15, 10**18], [1e10, 1e12, 1e15, 1e18])
@settings(max_examples=40)
def test_interpreted_kernels_agree_with_compiled(whole, fractions):
    whole, fractions = np.array(whole, dtype=np.int64), np.array(fractions, dtype=np.float64)
    compiled = from_epochs(whole), from_fractional_epochs(fractions)
    with interpreted(_moments):
        assert np.array_equal(_moments.from_epochs(whole), compiled[0])
        assert np.array_equal(_moments.from_fractional_epochs(fractions), compiled[1])


@given(st.dates(date(1970, 1, 1), date(2261, 12, 31)))
def test_dates_of_arrow_and_of_eight_digits(day):
    expected = [int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000]
    assert read([day], pa.date32()) == expected
    assert read([day], pa.date64()) == expected
    assert read([int(day.strftime("%Y%m%d"))], pa.int32()) == expected
    assert read([day.strftime("%Y/%m/%d")], pa.string()) == expected
    assert read([day.strftime("%m/%d/%Y"), ""], pa.string(), date_format="%m/%d/%Y") == [*expected, "TIME_MISSING"]


def test_eight_digits_that_are_no_date_are_seconds():
    assert read([20240230, 20241301, 20240100]) == [20240230_000_000, 20241301_000_000, 20240100_000_000]


def test_fractions_of_seconds_are_kept():
    assert read([1_700_000_000.25, 1_700_000_000_000.5, 1_700_000_000_000_000.0, 1.7e18]) == [
        1_700_000_000_250_000,
        1_700_000_000_000_500,
        1_700_000_000_000_000,
        1_700_000_000_000_000,
    ]
    assert read(["1700000000.25", "x"]) == [1_700_000_000_250_000, "TIME_UNREADABLE"]


@pytest.mark.parametrize(
    ("cells", "kind", "expected"),
    [
        ([None, -1], pa.int64(), ["TIME_MISSING", "TIME_OUT_OF_RANGE"]),
        ([2**64 - 1, None], pa.uint64(), ["TIME_OUT_OF_RANGE", "TIME_MISSING"]),
        ([np.nan, np.inf, None, -0.5], pa.float64(), ["TIME_UNREADABLE"] * 2 + ["TIME_MISSING", "TIME_OUT_OF_RANGE"]),
        ([None, None], pa.null(), ["TIME_MISSING"] * 2),
        (["", " NULL ", None, "x"], pa.string(), ["TIME_MISSING"] * 3 + ["TIME_UNREADABLE"]),
        (["1969-12-31", "2262-01-01", "0001-01-01"], pa.string(), ["TIME_OUT_OF_RANGE"] * 3),
        (["1" * 30, "-1", "x"], pa.string(), ["TIME_OUT_OF_RANGE"] * 2 + ["TIME_UNREADABLE"]),
        (
            ["2024-02-30", "01/03/2017", "9999-12-31T23:59:59-23:00"],
            pa.string(),
            ["TIME_UNREADABLE"] * 2 + ["TIME_OUT_OF_RANGE"],
        ),
        ([2**62], pa.timestamp("s"), ["TIME_OUT_OF_RANGE"]),
        ([-(2**62)], pa.timestamp("ms"), ["TIME_OUT_OF_RANGE"]),
    ],
)
def test_what_is_no_moment_names_the_reason(cells, kind, expected):
    array = pa.array(cells, pa.int64()).view(kind) if pa.types.is_timestamp(kind) else pa.array(cells, kind)
    moments, violations = read_moments(array, "ts")
    assert [Violation(violation).name for violation in violations] == expected
    assert len(moments) == len(expected)


def test_dictionaries_are_read():
    assert read_moments(pa.array(["1970-01-02"] * 2).dictionary_encode(), "ts")[0].tolist() == [86_400_000_000] * 2


def test_a_format_alone_decides():
    assert read(["2024-01-01", "01/02/2024", None], date_format="%d/%m/%Y") == [
        "TIME_UNREADABLE",
        1_706_745_600_000_000,
        "TIME_MISSING",
    ]


def test_a_column_that_cannot_hold_moments_is_refused():
    with pytest.raises(DataFileError, match="column 'ts' holds bool, where moments"):
        read([True])
    with pytest.raises(DataFileError, match="holds duration"):
        read([timedelta(1)])
