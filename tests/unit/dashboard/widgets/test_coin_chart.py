"""A coin's chart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.dashboard.widgets.coin_chart import MOST_CANDLES, coin_chart, coin_traces, phase_lines
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.market import Panel


def panel_of(rows: int, phases: list[int]) -> Panel:
    price = 1 + np.arange(rows) / rows
    columns = dict.fromkeys(("price_open", "price_high", "price_low", "price_close"), price)
    at_time = np.repeat(phases, -(-rows // len(phases)))[:rows].astype(float)
    return Panel.from_columns(["X"] * rows, np.arange(rows) * 60_000_000, {**columns, "phase_id_at_time": at_time})


def test_each_change_of_phase_is_a_line_with_its_name():
    drawing = phase_lines(UserContext(), panel_of(30, [1, 2, 3]))
    assert [line["x0"] for line in drawing["shapes"]] == ["1970-01-01 00:10:00.000000", "1970-01-01 00:20:00.000000"]
    assert {line["yref"] for line in drawing["shapes"]} == {"paper"}
    assert [one["text"] for one in drawing["annotations"]] == ["phase 2", "phase 3"]


def test_a_long_chart_holds_no_more_than_can_be_seen():
    drawing = coin_chart(UserContext(), panel_of(100_000, list(range(100))), {})
    assert len(drawing.data[0].x) <= MOST_CANDLES
    assert len(drawing.layout.shapes) == 20


@given(st.lists(st.tuples(st.floats(0, 1e9) | st.just(np.nan), st.integers(1, 3600)), min_size=1, max_size=1000))
def test_bars_hold_all_of_the_volume_and_do_not_touch(rows: list[tuple[float, int]]):
    volume, apart_s = zip(*rows, strict=True)
    columns = {"price_close": np.ones(len(volume)), "volume_sol": np.array(volume)}
    panel = Panel.from_columns(["X"] * len(volume), np.cumsum(apart_s) * 1_000_000, columns)
    _, bars, read_off = coin_traces(UserContext(), panel, {})
    assert sum(bars["y"][1::5]) == pytest.approx(np.nansum(volume))
    assert read_off["y"] == bars["y"][1::5] == bars["y"][2::5]
    assert set(bars["y"][0::5]) == set(bars["y"][3::5]) == {0.0}
    assert set(bars["y"][4::5]) == set(bars["x"][4::5]) == {None}
    assert bars["x"][0::5] == bars["x"][1::5]
    assert bars["x"][2::5] == bars["x"][3::5]
    edges = [at for at in bars["x"] if at is not None][0::2]
    assert edges == sorted(set(edges))
    assert all(low < at < high for low, at, high in zip(bars["x"][0::5], read_off["x"], bars["x"][2::5], strict=True))


def test_each_candle_is_read_off_as_open_close_low_and_high():
    candles, read_off = coin_traces(UserContext(), panel_of(1000, [1]), {})
    assert read_off["x"] == candles["x"]
    assert read_off["y"] == candles["close"]
    assert read_off["customdata"] == list(zip(candles["open"], candles["low"], candles["high"], strict=True))
