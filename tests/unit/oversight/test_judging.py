"""Labels and reasons of single rows against brute force; the same whether instruments come in one group or many."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.labels import LabelSpec
from kurswerk.market import Panel
from kurswerk.market.calendar import calendar_of
from kurswerk.oversight import REASONS, JudgedModel, judge, judge_rows
from kurswerk.oversight import _judging as judging
from kurswerk.oversight.ports import Int
from outcome_days import SECOND_US, TARGETS, Rows, expected

PRICES = st.one_of(st.sampled_from([0.5, 0.94, 0.95, 0.99, 1.0, 1.01, 1.02, 2.0]), st.just(math.nan))
ROWS = st.dictionaries(
    st.tuples(st.sampled_from("abc"), st.integers(0, 40).map(lambda k: k * 60 * SECOND_US)), PRICES, max_size=40
)


def spec_of(name: str) -> LabelSpec:
    target = TARGETS[name]
    return LabelSpec(
        "price_close",
        operator=target.get("operator"),
        target_value=target.get("target_value"),
        minutes=target.get("future_minutes"),
        min_percent_change=target.get("min_percent_change"),
        direction=target.get("direction"),
        mode=target.get("horizon_mode", "at"),
    )


def panel_of(rows: Rows) -> Panel:
    prices = np.array(list(rows.values()), dtype=np.float64)
    return Panel.from_columns(
        [coin for coin, _ in rows], np.array([us for _, us in rows], np.int64), {"price_close": prices}
    )


class Source:
    """Gives exactly the rows that it is asked for, and notes how many instruments at a time."""

    def __init__(self, rows: Rows) -> None:
        self.kept, self.groups = rows, []

    def rows(self, instruments: Sequence[str], from_us: Int, until_us: Int, columns: Sequence[str]) -> Panel:
        assert list(columns) == ["price_close"]
        self.groups.append(len(instruments))
        found: Rows = {}
        for name, first, last in zip(instruments, from_us.tolist(), until_us.tolist(), strict=True):
            own = sorted(us for coin, us in self.kept if coin == name)
            beyond = [us for us in own if us > last][:1]
            found |= {(name, us): self.kept[name, us] for us in own if first <= us <= last or us in beyond}
        return panel_of(found)


@pytest.mark.parametrize("name", TARGETS)
@given(rows=ROWS, extra=st.lists(st.tuples(st.sampled_from("abd"), st.integers(0, 10**9)), max_size=3))
def test_each_row_has_the_label_or_the_reason_that_brute_force_finds(name: str, rows: Rows, extra):
    keys = [*rows, *extra]
    found = judge(panel_of(rows), spec_of(name), [coin for coin, _ in keys], np.array([us for _, us in keys], np.int64))
    shown = [
        int(label) if label >= 0 else REASONS[reason] for label, reason in zip(found.labels, found.reasons, strict=True)
    ]
    wanted = expected(rows, TARGETS[name])
    assert shown == [wanted.get(key, "no_row") for key in keys]
    assert ((found.labels < 0) == (found.reasons >= 0)).all()
    assert (found.end_us > [us for _, us in keys]).all()


@given(rows=ROWS)
def test_reading_no_more_than_the_horizons_changes_nothing(rows: Rows):
    models = {k: JudgedModel(k, spec_of(name)) for k, name in enumerate(TARGETS)}
    keys = [(*key, k) for key in rows for k in models]
    names, times = [coin for coin, _, _ in keys], np.array([us for _, us, _ in keys], np.int64)
    found = judge_rows(Source(rows), models, names, times, np.array([k for *_, k in keys], np.int64))
    shown = [
        int(label) if label >= 0 else REASONS[reason] for label, reason in zip(found.labels, found.reasons, strict=True)
    ]
    wanted = [expected(rows, target) for target in TARGETS.values()]
    assert shown == [wanted[k][coin, us] for coin, us, k in keys]


def test_instruments_are_read_in_groups_as_large_as_memory_allows(monkeypatch):
    monkeypatch.setattr(judging, "_ROWS_AT_ONCE", 100)
    rows = {(f"{coin:03d}", k * SECOND_US): 1.0 for coin in range(300) for k in range(10)}
    source, names = Source(rows), [coin for coin, _ in rows]
    times = np.array([us for _, us in rows], np.int64)
    found = judge_rows(source, {1: JudgedModel(1, spec_of("next"))}, names, times, np.ones(len(names), np.int64))
    assert source.groups == [64] + [10] * 23 + [6]
    assert found.labels.tolist() == [0 if us < 9 * SECOND_US else -1 for us in times.tolist()]


def test_horizons_in_sessions_read_as_far_as_their_deadlines():
    """Over weekends and holidays; the label of the n-th session after a row is that of the n-th row after it."""
    sessions = calendar_of("XNYS").sessions
    first = int(np.searchsorted(sessions.dates, np.datetime64("2024-11-20")))
    closes = sessions.closes_us[first : first + 40]
    prices = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.02, len(closes))))
    rows = {("AAPL", int(us)): float(price) for us, price in zip(closes, prices, strict=True)}
    models = {
        n: JudgedModel(n, LabelSpec("price_close", min_percent_change=1, direction="up", sessions=n, calendar="XNYS"))
        for n in (1, 5)
    }
    keys = [(name, us, n) for name, us in rows for n in models]
    names, times, ids = [key[0] for key in keys], np.array([key[1] for key in keys]), np.array([key[2] for key in keys])
    found = judge_rows(Source(rows), models, names, times, ids)
    place = {int(us): k for k, us in enumerate(closes)}
    for (_, us, n), label, reason, end_us in zip(keys, found.labels, found.reasons, found.end_us, strict=True):
        later = place[us] + n
        if later < len(closes):
            assert (label, end_us) == (prices[later] / prices[place[us]] >= 1.01, closes[later])
        else:
            assert (label, REASONS[reason]) == (-1, "ended")


def test_a_model_whose_labels_cannot_be_computed_holds_up_no_other():
    spec = LabelSpec("price_close", min_percent_change=1, direction="up", sessions=1)  # of no exchange
    models = {1: JudgedModel(1, spec), 2: JudgedModel(2, spec_of("next"))}
    rows = {("a", 0): 1.0, ("a", 60 * SECOND_US): 2.0}
    found = judge_rows(Source(rows), models, ["a", "a"], np.zeros(2, np.int64), np.array([1, 2]))
    assert found.reasons.tolist() == [judging.FAILED, -1]
    assert found.labels.tolist() == [-1, 1]
