"""Deadlines of rows: horizons in sessions against brute force over real bars, and what holds for any horizon."""

from bisect import bisect_left
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurswerk.core.errors import DataError, SpecError, UnknownNameError
from kurswerk.core.timestamps import DAY_US, HOUR_US, MINUTE_US, to_us
from kurswerk.evaluation import purged_hold_out, purged_walk_forward
from kurswerk.labels import (
    LabelSpec,
    compute_labels,
    deadlines,
    embargoes,
    label_name,
    latest_deadline,
    latest_due,
)
from kurswerk.market import Panel
from kurswerk.market.calendar import ALWAYS_OPEN, calendar_of, session_closes

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "stocks_daily_505_2013_2018.parquet"
# Of them, five were listed or delisted within the file's five years.
SYMBOLS = (
    "AAPL",
    "AAP",
    "APTV",
    "BHF",
    "BRK.B",
    "CSRA",
    "DXC",
    "GE",
    "GOOGL",
    "HLT",
    "KO",
    "NVDA",
    "WRK",
    "XOM",
    "ZTS",
)
EXCHANGES = ("XNYS", "XETR", "XTKS", ALWAYS_OPEN)
RISE = {"target_var": "close", "min_percent_change": 1.0, "direction": "up"}
BEGIN, END = to_us(datetime(2012, 1, 5, tzinfo=UTC)), to_us(datetime(2025, 1, 1, tzinfo=UTC))
moments = st.integers(BEGIN, END)
horizons = st.one_of(
    st.builds(LabelSpec, **{name: st.just(value) for name, value in RISE.items()}, minutes=st.floats(0.01, 50_000)),
    st.builds(
        LabelSpec,
        **{name: st.just(value) for name, value in RISE.items()},
        sessions=st.integers(1, 30),
        calendar=st.sampled_from(EXCHANGES),
    ),
)


@st.composite
def panels(draw: st.DrawFn) -> Panel:
    """Some instruments with rows at any time, each on an exchange of its own or on none."""
    names = "abcd"[: draw(st.integers(1, 4))]
    times = {name: sorted(draw(st.sets(moments, min_size=1, max_size=12))) for name in names}
    keys = [name for name in names for _ in times[name]]
    panel = Panel.from_columns(keys, np.concatenate([times[name] for name in names]), {"close": np.ones(len(keys))})
    stated = st.dictionaries(st.sampled_from(names), st.sampled_from(EXCHANGES))
    return panel.with_exchanges(draw(stated)) if draw(st.booleans()) else panel


@pytest.fixture(scope="module")
def bars():
    """Daily bars at the close of their session."""
    if not REAL.exists():
        pytest.skip(f"{REAL} is absent")
    table = pq.read_table(REAL, columns=["symbol", "date", "close"])
    table = table.filter(pc.is_in(table["symbol"], value_set=pc.cast(list(SYMBOLS), "large_string")))
    times = session_closes("XNYS", table["date"].to_numpy())
    return Panel.from_columns(table["symbol"].to_pylist(), times, {"close": table["close"].to_numpy()})


@cache
def closes_of(exchange):
    return calendar_of(exchange).sessions.closes_us.tolist()


def sessions(n=1, **changes):
    return LabelSpec(**{**RISE, "sessions": n, "calendar": "XNYS"} | changes)


@pytest.mark.parametrize(("n", "mode"), [(1, "at"), (5, "at"), (5, "within")])
def test_labels_of_real_daily_bars_equal_a_loop_over_them(bars, n, mode):
    """The oracle counts the days on which any of the stocks traded, and knows no calendar."""
    found = compute_labels(bars, sessions(n, mode=mode))
    days = sorted(set(bars.timestamps.tolist()))
    number = {day: place for place, day in enumerate(days)}
    price, times = bars.column("close"), bars.timestamps
    for k in range(len(bars.instruments)):
        start, stop = int(bars.offsets[k]), int(bars.offsets[k + 1])
        for i in range(start, stop):
            reached = number[int(times[i])] + n
            if reached >= len(days) or times[stop - 1] < days[reached]:
                assert found.values[i] == -1
                continue
            window = [j for j in range(i + 1, min(i + n + 1, stop)) if times[j] <= days[reached]]
            moved = [(price[j] - price[i]) / price[i] * 100 >= 1.0 for j in window]
            assert found.end_us[i] == days[reached]
            assert found.values[i] == (int(any(moved) if mode == "within" else moved[-1]) if window else -1)
            assert found.exit_row[i] == (window[-1] if window else -1)


def test_a_day_of_elapsed_time_loses_labels_of_real_bars_that_a_session_keeps(bars):
    by_time = compute_labels(bars, LabelSpec(**RISE, minutes=24 * 60))
    by_session = compute_labels(bars, sessions(1))
    # The last bar of each stock has no next one either way.
    assert np.count_nonzero(~by_session.known) == len(bars.instruments)
    assert 0.21 < np.mean(~by_time.known) < 0.23
    # Those that are lost stand before a weekend, a holiday or a longer session.
    lost = by_session.known & ~by_time.known
    assert (by_session.end_us[lost] > bars.timestamps[lost] + DAY_US).all()


@settings(max_examples=150, deadline=None)
@given(panels(), horizons)
def test_deadlines_ascend_within_an_instrument_and_lie_after_the_row(panel: Panel, spec: LabelSpec) -> None:
    found = deadlines(panel, spec)
    assert (found > panel.timestamps).all()
    for k in range(len(panel.instruments)):
        assert (np.diff(found[panel.offsets[k] : panel.offsets[k + 1]]) >= 0).all()
    assert np.array_equal(compute_labels(panel, spec).end_us, found)


@settings(max_examples=150, deadline=None)
@given(panels(), horizons)
def test_each_row_follows_the_calendar_of_its_own_instrument(panel: Panel, spec: LabelSpec) -> None:
    found = deadlines(panel, spec)
    for i, moment in enumerate(panel.timestamps.tolist()):
        exchange = (panel.exchanges or ("",) * 4)[panel.codes[i]] or spec.calendar
        if spec.sessions is None:
            assert found[i] == moment + round(spec.minutes * MINUTE_US)
        else:
            closes = closes_of(exchange)
            assert found[i] == closes[bisect_left(closes, moment) + spec.sessions]


@settings(max_examples=100, deadline=None)
@given(moments, horizons, st.sets(st.sampled_from(EXCHANGES)))
def test_latest_deadline_and_latest_due_row_belong_together(now: int, spec: LabelSpec, stated: set[str]) -> None:
    exchanges = tuple(sorted(stated))
    due = latest_due(now, spec, exchanges)
    assert latest_deadline(due, spec, exchanges) <= now
    later = latest_deadline(due + 1, spec, exchanges)
    assert later > now
    names = (*exchanges, "") if spec.calendar or not exchanges else exchanges
    panel = Panel.from_columns([*"abcde"[: len(names)]], np.full(len(names), due + 1), {}).with_exchanges(
        dict(zip("abcde", names, strict=False))
    )
    assert deadlines(panel, spec).max() == later


def test_embargo_in_minutes_is_the_horizon_and_at_least_a_minute():
    panel = Panel.from_columns(["a"], np.array([BEGIN]), {"close": np.ones(1)})
    for minutes, expected in ((60, HOUR_US), (0.5, MINUTE_US)):
        assert embargoes(panel, panel.timestamps, LabelSpec(**RISE, minutes=minutes)).tolist() == [expected]
    next_row = LabelSpec("close", ">", 1.0)
    assert deadlines(panel, next_row) is None
    assert embargoes(panel, panel.timestamps, next_row).tolist() == [MINUTE_US]


@settings(max_examples=100, deadline=None)
@given(panels(), horizons, st.integers(1, 3), st.booleans())
def test_no_label_of_training_reaches_the_test_part_nor_the_embargo_before_it(
    panel: Panel, spec: LabelSpec, splits: int, walk: bool
) -> None:
    """Whether a row is purged, looked up row by row in the list of closes."""
    ends, times = deadlines(panel, spec), panel.timestamps
    embargo_us = embargoes(panel, ends, spec)
    try:
        folds = (
            purged_walk_forward(times, ends, splits, embargo_us)
            if walk
            else [purged_hold_out(times, ends, 0.3, embargo_us)]
        )
    except DataError:  # too few rows for the folds
        return
    for fold in folds:
        for i in np.flatnonzero(times < fold.test_start_us).tolist():
            exchange = (panel.exchanges or ("",) * 4)[panel.codes[i]] or spec.calendar
            if spec.sessions is None:
                clear = int(ends[i]) + max(int(spec.minutes * MINUTE_US), MINUTE_US)
            else:
                closes = closes_of(exchange)
                clear = closes[bisect_left(closes, int(times[i])) + 2 * spec.sessions]
            assert (i in fold.train) == (clear < fold.test_start_us)


def test_all_bars_of_a_session_share_a_deadline_over_half_days_and_changes_of_clock():
    five_minutes = np.arange(to_us(datetime(2024, 7, 2, 13, 35, tzinfo=UTC)), END, 5 * MINUTE_US)[: 12 * 24 * 4]
    calendar = calendar_of("XNYS").sessions
    inside = ((five_minutes[:, None] > calendar.opens_us) & (five_minutes[:, None] <= calendar.closes_us)).any(axis=1)
    times = five_minutes[inside]
    panel = Panel.from_columns(["a"] * len(times), times, {"close": np.ones(len(times))})
    found = deadlines(panel, sessions(1))
    # 3 July 2024 closes at 17:00 UTC, and the 4th is a holiday.
    expected = {2: (3, 17), 3: (5, 20), 5: (8, 20)}
    for moment, deadline in zip(times.tolist(), found.tolist(), strict=True):
        day, hour = expected[datetime.fromtimestamp(moment / 1e6, UTC).day]
        assert deadline == to_us(datetime(2024, 7, day, hour, tzinfo=UTC))


def test_an_instrument_without_an_exchange_needs_a_calendar():
    panel = Panel.from_columns(["a", "b"], np.array([BEGIN, BEGIN]), {"close": np.ones(2)}).with_exchanges(
        {"a": "XETR"}
    )
    with pytest.raises(SpecError, match="sessions cannot be counted for 'b'"):
        deadlines(panel, sessions(1, calendar=None))
    assert latest_deadline(BEGIN, sessions(1, calendar=None)) is None
    assert latest_due(BEGIN, sessions(1, calendar=None)) is None
    assert latest_deadline(END * 2, sessions(1)) is None
    with pytest.raises(UnknownNameError, match="unknown exchange 'XNY'; did you mean 'XNYS'"):
        sessions(1, calendar="XNY")
    with pytest.raises(UnknownNameError, match="unknown exchange 'NOWHERE'"):
        deadlines(panel.with_exchanges({"a": "XETR", "b": "NOWHERE"}), sessions(1))
    assert deadlines(panel.with_exchanges({"a": "XETR", "b": "XNAS"}), sessions(1, calendar=None)).shape == (2,)


def test_a_panel_keeps_the_exchanges_of_its_instruments():
    panel = Panel.from_columns(["a", "b", "b"], np.array([BEGIN, BEGIN, END]), {"close": np.ones(3)})
    stated = panel.with_exchanges({"b": "XETR"})
    assert stated.exchanges == ("", "XETR")
    assert stated.where(stated.codes == 1).exchanges == ("XETR",)
    assert panel.where(panel.codes == 1).exchanges == ()
    assert stated.fingerprint() != panel.fingerprint()
    assert panel.with_exchanges({}).fingerprint() == panel.fingerprint()
    assert replace(stated, exchanges=("XETR", "")).fingerprint() != stated.fingerprint()


def test_names_state_sessions():
    assert label_name(sessions(1)) == "close up 1 % at 1 session of XNYS"
    assert label_name(sessions(5, calendar=None, mode="within")) == "close up 1 % within 5 sessions"


def test_in_a_market_that_never_closes_sessions_are_days():
    times = np.array([BEGIN, BEGIN + DAY_US // 2]) // DAY_US * DAY_US + np.array([0, HOUR_US])
    panel = Panel.from_columns(["a", "a"], times, {"close": np.ones(2)})
    found = deadlines(panel, sessions(2, calendar=ALWAYS_OPEN))
    assert found.tolist() == [times[0] + 2 * DAY_US, times[0] + 3 * DAY_US]
