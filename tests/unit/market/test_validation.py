"""Each row is refused for the first validation rule that it breaks."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpreted import interpreted
from kurswerk.core.errors import DataError
from kurswerk.market import COINS, Kind, validation
from kurswerk.market.validation import Cell, Violation, validate_rows, violation_message

COLUMNS = ("price_open", "price_high", "price_low", "price_close", "net_volume_sol", "num_buys", "is_koth")
NUMBERS = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 2.0, 3.0, -1.0, 0.5, np.nan, np.inf, -np.inf, 1e308, 2147483647.0, 2147483648.0]),
    st.floats(allow_nan=True, allow_infinity=True),
)
CELLS = st.tuples(NUMBERS, st.sampled_from([Cell.PRESENT, Cell.PRESENT, Cell.PRESENT, Cell.MISSING, Cell.UNREADABLE]))
HOSTILE = st.lists(CELLS, min_size=len(COLUMNS), max_size=len(COLUMNS))
# Rows that only their candle can condemn.
NEARLY = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([Cell.PRESENT] * 7 + [Cell.MISSING])),
    min_size=len(COLUMNS),
    max_size=len(COLUMNS),
)
ROWS = st.lists(st.one_of(HOSTILE, NEARLY, NEARLY), max_size=20)


def expected(row: list[tuple[float, Cell]]) -> tuple[int, int]:
    """Validate one row in words of the standard library."""
    for place, (name, (value, cell)) in enumerate(zip(COLUMNS, row, strict=True)):
        if cell == Cell.MISSING:
            continue
        if cell == Cell.UNREADABLE:
            return Violation.UNREADABLE, place
        if not math.isfinite(value):
            return Violation.NOT_FINITE, place
        if value < 0 and name != "net_volume_sol":
            return Violation.NEGATIVE, place
        if COINS.columns[name].kind is not Kind.FLOAT and not value.is_integer():
            return Violation.NOT_WHOLE, place
        if COINS.columns[name].kind is not Kind.FLOAT and value > 2**31 - 1:
            return Violation.OUT_OF_RANGE, place
    return expected_of_candle(row), -1


def expected_of_candle(row: list[tuple[float, Cell]]) -> int:
    """Validate the prices that are there."""
    given_prices = {name: value for name, (value, cell) in zip(COLUMNS, row, strict=True) if cell == Cell.PRESENT}
    low, high = given_prices.get("price_low", -math.inf), given_prices.get("price_high", math.inf)
    if high < low:
        return Violation.HIGH_BELOW_LOW
    for name, violation in (("price_close", Violation.CLOSE_OUTSIDE), ("price_open", Violation.OPEN_OUTSIDE)):
        if name in given_prices and not low <= given_prices[name] <= high:
            return violation
    return Violation.NONE


def as_arrays(rows: list[list[tuple[float, Cell]]]) -> tuple[np.ndarray, np.ndarray]:
    values = np.array([[value for value, _ in row] for row in rows], dtype=np.float64).reshape(len(rows), len(COLUMNS))
    cells = np.array([[cell for _, cell in row] for row in rows], dtype=np.uint8).reshape(len(rows), len(COLUMNS))
    return np.ascontiguousarray(values.T), np.ascontiguousarray(cells.T)


@given(ROWS)
def test_agrees_with_the_rules_in_words(rows):
    violations, offending = validate_rows(*as_arrays(rows), COLUMNS, COINS)
    assert list(zip(violations.tolist(), offending.tolist(), strict=True)) == [expected(row) for row in rows]


@given(ROWS)
@settings(max_examples=30)
def test_interpreted_kernels_agree_with_compiled(rows):
    values, cells = as_arrays(rows)
    compiled = validate_rows(values, cells, COLUMNS, COINS)
    with interpreted(validation):
        plain = validate_rows(values, cells, COLUMNS, COINS)
    assert all(np.array_equal(a, b) for a, b in zip(compiled, plain, strict=True))


@given(ROWS, st.integers(1, 7))
def test_a_violation_found_before_stays(rows, violation):
    values, cells = as_arrays(rows)
    violations, offending = validate_rows(values, cells, COLUMNS, COINS, np.full(len(rows), violation, dtype=np.uint8))
    assert (violations == violation).all()
    assert (offending == -1).all()


def test_missing_prices_break_nothing():
    violations, _ = validate_rows(np.full((4, 1), np.nan), np.full((4, 1), Cell.MISSING, np.uint8), COLUMNS[:4], COINS)
    assert violations.tolist() == [Violation.NONE]


def test_arguments_are_not_changed():
    values, cells, before = np.full((1, 1), -1.0), np.zeros((1, 1), np.uint8), np.zeros(1, np.uint8)
    validate_rows(values, cells, ["price_low"], COINS, before)
    assert before[0] == 0


@pytest.mark.parametrize(
    ("values", "cells", "violations"),
    [((2, 3), (2, 4), None), ((2, 3), (2, 3), None), ((1, 3), (1, 3), 2)],
)
def test_refuses_shapes_that_disagree(values, cells, violations):
    given_violations = None if violations is None else np.zeros(violations, np.uint8)
    with pytest.raises(DataError, match=r"fit together|one for each row"):
        validate_rows(np.zeros(values), np.zeros(cells, np.uint8), ["price_low"], COINS, given_violations)


@pytest.mark.parametrize("violation", [one for one in Violation if one is not Violation.NONE])
def test_every_violation_has_words(violation):
    message = violation_message(violation, "price_low")
    assert message.is_known
    assert "{" not in str(message)
    assert violation_message(violation).is_known
