"""Checks of market data: each finds what was planted and nothing in clean rows."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurswerk.core.timestamps import DAY_US, MINUTE_US
from kurswerk.market import COINS, Panel, market_named
from kurswerk.market.calendar import calendar_of
from kurswerk.quality import QualityReport, Subject, check_quality

STOCKS = market_named("stocks")
COLUMNS = (*STOCKS.columns, *STOCKS.derived)
OPEN, HIGH, LOW, CLOSE, VOLUME, RETURNS = range(6)
SESSIONS = calendar_of("XNYS").sessions_between(np.datetime64("2019-01-02"), np.datetime64("2020-12-31"))
ROWS = len(SESSIONS)


def bars(instruments: int = 3) -> Panel:
    """Clean bars: prices move by a percent a day, all volumes differ, one series ends early."""
    rng = np.random.default_rng(1)
    counts = [ROWS] * (instruments - 1) + [ROWS // 2]
    close = np.concatenate([50.0 * np.exp(np.cumsum(rng.normal(0, 0.01, n))) for n in counts])
    values = np.empty((6, len(close)))
    values[[OPEN, CLOSE, RETURNS]] = close
    values[HIGH], values[LOW] = close * 1.01, close * 0.99
    values[VOLUME] = rng.permutation(len(close)) + 1e6
    closes = calendar_of("XNYS").closes(SESSIONS)
    times = np.concatenate([closes[:n] for n in counts])
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    names = tuple(f"S{k:02}" for k in range(instruments))
    return Panel(names, offsets, times, COLUMNS, values, ("XNYS",) * instruments)


def changed(panel: Panel, **places: float) -> Panel:
    values = panel.values.copy()
    for place, value in places.items():
        column, row = place.rsplit("_", 1)
        values[{"open": OPEN, "high": HIGH, "low": LOW, "close": CLOSE, "volume": VOLUME}[column], int(row)] = value
    values[RETURNS] = values[CLOSE]
    return replace(panel, values=values)


def counts(subject: Subject) -> dict[str, int]:
    return {finding.check: finding.count for finding in check_quality(subject).findings if finding.count}


def report(panel: Panel, **options) -> QualityReport:
    return check_quality(Subject(panel, STOCKS, **options))


def test_clean_rows_have_no_findings():
    panel = bars()
    found = report(panel)
    assert (found.rows, found.instruments, found.errors) == (len(panel), 3, 0)
    assert not any(finding.count for finding in found.findings)
    assert len({finding.check for finding in found.findings}) == len(found.findings) == 10
    assert report(panel.where(np.zeros(len(panel), dtype=bool))).findings == ()


def test_sessions_without_a_row_are_gaps_of_that_length():
    panel = bars()
    gone = np.ones(len(panel), dtype=bool)
    gone[[10, 11, 12, ROWS + 5, 2 * ROWS]] = False  # the last one is the first row of its series
    found = report(panel.where(gone)).findings[0]
    assert (found.check, found.count, found.instruments) == ("gaps", 2, 2)
    assert [example.values for example in found.examples] == [{"missing sessions": 3}, {"missing sessions": 1}]
    assert found.examples[0].timestamp_us == int(panel.timestamps[13])
    unknown = replace(panel.where(gone), exchanges=())
    assert report(unknown).findings[0].count == 0


def test_a_pause_of_a_market_without_sessions_is_a_gap():
    minutes = np.array([0, 1, 2, 3, 6, 7, 8, 13, 14, 0, 50], dtype=np.int64)
    values = np.ones((1, len(minutes)))
    panel = Panel(("a", "b"), np.array([0, 9, 11]), minutes * MINUTE_US, ("price_close",), values)
    found = check_quality(Subject(panel, COINS)).findings[0]
    assert [example.values for example in found.examples] == [{"missing rows": 4}]


def test_a_close_that_stands_still_while_something_is_traded_is_stale():
    panel = bars()
    still = changed(panel, **{f"close_{row}": panel.values[CLOSE, 20] for row in range(21, 25)})
    found = next(one for one in report(still).findings if one.check == "stale_runs")
    assert found.examples[0].values["rows"] == 5
    nothing = changed(still, **{f"volume_{row}": 0.0 for row in range(20, 25)})
    assert {"stale_runs", "zero_volume"} & counts(Subject(nothing, STOCKS)).keys() == {"zero_volume"}


@pytest.mark.parametrize(("ratio", "near"), [(0.5, "2:1"), (3.0, "1:3"), (0.63, None)])
def test_a_leap_has_its_ratio_and_none_where_an_action_is_known(ratio, near):
    panel = bars()
    values = panel.values.copy()
    values[:4, 100:ROWS] *= ratio
    values[RETURNS] = values[CLOSE]
    leapt = replace(panel, values=values)
    found = next(one for one in report(leapt).findings if one.check == "leaps")
    (example,) = found.examples
    assert (example.instrument, example.timestamp_us) == ("S00", int(panel.timestamps[100]))
    assert example.values["change %"] == pytest.approx(100 * (ratio - 1), abs=5)
    assert example.values.get("near a split") in ((near,) if near is None else (near, None))
    day = np.array([SESSIONS[100]])
    assert "leaps" not in counts(Subject(leapt, STOCKS, {"S00": day}))
    assert "leaps" in counts(Subject(leapt, STOCKS, {"S01": day}))


def test_what_always_moves_by_as_much_does_not_leap():
    rng = np.random.default_rng(2)
    close = np.exp(np.cumsum(rng.normal(0, 0.3, 500)))
    panel = Panel(("a",), np.array([0, 500]), np.arange(500, dtype=np.int64) * MINUTE_US, ("price_close",), close[None])
    assert "leaps" not in counts(Subject(panel, COINS))


def test_candles_that_cannot_be_missing_prices_and_copies_are_found():
    panel = bars()
    twice = {f"{name}_51": panel.values[k, 50] for k, name in enumerate(("open", "high", "low", "close", "volume"))}
    found = counts(Subject(changed(panel, high_7=1.0, open_9=math.nan, close_30=math.nan, **twice), STOCKS))
    assert found == {"broken_candles": 1, "missing_prices": 2, "repeated_rows": 1}


def test_a_series_under_two_names_is_found():
    panel = bars()
    values = panel.values.copy()
    values[:, ROWS : 2 * ROWS] = values[:, :ROWS]
    found = report(replace(panel, values=values))
    same = next(one for one in found.findings if one.check == "equal_series")
    assert (same.count, same.examples[0].values, found.errors) == (1, {"equals": "S00"}, 1)


@pytest.mark.parametrize("factor", [0.01, 100.0, 1000.0])
def test_other_units_of_prices_and_volumes_are_found(factor):
    panel = bars()
    prices, volumes = panel.values.copy(), panel.values.copy()
    prices[[*range(5), RETURNS], 105:ROWS] *= factor
    prices[VOLUME] = panel.values[VOLUME]
    volumes[VOLUME, 105:ROWS] *= factor  # the first row of a block of 21
    for values in (prices, volumes):
        assert counts(Subject(replace(panel, values=values), STOCKS))["other_units"] == 1


def test_many_series_of_which_none_has_ended_are_survivors():
    panel = bars(25)
    assert "survivorship" not in counts(Subject(panel, STOCKS))
    assert counts(Subject(panel.where(panel.codes < 24), STOCKS))["survivorship"] == 1
    few = panel.where((panel.codes < 24) & (panel.timestamps < panel.timestamps[0] + 300 * DAY_US))
    assert "survivorship" not in counts(Subject(few, STOCKS))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), data=st.data())
def test_no_rows_make_a_check_fail_and_examples_are_bounded(seed, data):
    rng = np.random.default_rng(seed)
    sizes = data.draw(st.lists(st.integers(1, 30), min_size=1, max_size=6))
    n = sum(sizes)
    values = rng.choice([0.0, 1.0, 100.0, math.nan, 1e300, 5.0], (6, n))
    times = np.concatenate([calendar_of("XNYS").closes(SESSIONS[: 2 * size : 2]) for size in sizes])
    offsets = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    names = tuple(f"{k}" for k in range(len(sizes)))
    for market, columns in (
        (STOCKS, COLUMNS),
        (COINS, ("price_open", "price_high", "price_low", "price_close", "x", "y")),
    ):
        panel = Panel(names, offsets, times, columns, values, ("XNYS",) * len(sizes))
        found = check_quality(Subject(panel, market, most_examples=3))
        assert all(len(one.examples) <= 3 and one.instruments <= len(sizes) for one in found.findings)
        assert found.document()["findings"][0]["check"] == "gaps"
