"""Actions derived from factor files, and adjustments undone."""

from datetime import date, timedelta
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.core.errors import DataError
from kurswerk.market.adjustment import (
    CorporateAction,
    FactorRow,
    actions_from_factors,
    rational,
    undo_split_adjustment,
)

DAYS = np.arange(np.datetime64("2020-01-01"), np.datetime64("2020-01-21"))
FIRST = date(2020, 1, 1)


@given(st.integers(1, 300), st.integers(1, 300))
def test_a_fraction_comes_back_from_its_first_six_digits(numerator: int, denominator: int):
    """Two fractions of small numbers differ by more than the digits leave open."""
    value = Fraction(numerator, denominator)
    text = np.format_float_positional(float(f"{float(value):.6g}"), trim="0")
    assert rational(text) == value


@pytest.mark.parametrize("text", ["", "0", "0.0", "-1", "1e-3", "nan", "1/2", "٣"])
def test_what_is_no_factor_is_refused(text: str):
    with pytest.raises(DataError, match="is no factor"):
        rational(text)


SPLITS = st.lists(
    st.tuples(st.integers(1, 18), st.sampled_from([Fraction(2), Fraction(7), Fraction(3, 2), Fraction(1, 8)])),
    max_size=4,
    unique_by=lambda one: one[0],
)


def next_day(day: date) -> date:
    return day + timedelta(days=1)


@given(SPLITS, st.randoms(use_true_random=False))
def test_splits_come_back_from_a_factor_file(splits: list[tuple[int, Fraction]], random):
    """The file is written from the splits, by the rule in its description; its rows may stand in any order."""
    rows = []
    for last in sorted({0, 19, *(day - 1 for day, _ in splits)}):
        factor = Fraction(1)
        for day, ratio in splits:
            factor /= ratio if day > last else 1
        text = np.format_float_positional(float(f"{float(factor):.6g}"), trim="0")
        rows.append(FactorRow("A", FIRST + timedelta(days=last), 1.0, text, 10.0))
    random.shuffle(rows)
    found = list(actions_from_factors(rows, next_day))
    assert found == [
        CorporateAction("A", FIRST + timedelta(days=day), "split", float(ratio)) for day, ratio in sorted(splits)
    ]


def test_a_dividend_is_its_share_of_the_close_before():
    rows = [FactorRow("A", FIRST, 0.98, "1.0", 50.0), FactorRow("A", date(2050, 12, 31), 1.0, "1.0", 0.0)]
    (found,) = actions_from_factors([*rows, FactorRow("B", FIRST, 0.5, "1.0", 1.0)], next_day)
    assert (found.kind, found.day, found.amount) == ("dividend", date(2020, 1, 2), pytest.approx(1.0))
    assert found.factor == pytest.approx(50.0 / 49.0)


@given(SPLITS, st.lists(st.floats(0.98, 1.02), min_size=20, max_size=20))
def test_an_adjustment_is_undone_by_its_own_splits(splits: list[tuple[int, Fraction]], steps: list[float]):
    """Adjusted prices are made from paid ones day by day, and come back; unadjusted ones are noticed."""
    adjusted = 100.0 * np.cumprod(steps)
    paid = [value * float(np.prod([float(r) for day, r in splits if day > k])) for k, value in enumerate(adjusted)]
    events = [(FIRST + timedelta(days=day), float(ratio)) for day, ratio in splits]
    assert undo_split_adjustment(DAYS, adjusted, events) == pytest.approx(paid, rel=1e-12)
    for event in events:
        with pytest.raises(DataError, match="prices are not adjusted for the split"):
            undo_split_adjustment(DAYS, np.array(paid), [event])


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
def test_a_factor_is_above_zero(factor: float):
    with pytest.raises(DataError, match="is not above 0"):
        CorporateAction("A", FIRST, "split", factor)


def test_a_kind_is_one_of_three():
    with pytest.raises(DataError, match="merger is no kind of corporate action"):
        CorporateAction("A", FIRST, "merger", 1.0)
