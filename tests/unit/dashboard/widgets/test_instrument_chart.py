"""An instrument's chart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.dashboard.widgets.charts import chart
from kurswerk.dashboard.widgets.instrument_chart import (
    MOST_CANDLES,
    ChartMarks,
    ChartTimes,
    instrument_chart,
    instrument_traces,
    phase_lines,
)
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.market import Panel

TIMES = ChartTimes(UserContext())


def panel_of(rows: int, phases: list[int]) -> Panel:
    price = 1 + np.arange(rows) / rows
    columns = dict.fromkeys(("open", "high", "low", "close"), price)
    at_time = np.repeat(phases, -(-rows // len(phases)))[:rows].astype(float)
    return Panel.from_columns(["X"] * rows, np.arange(rows) * 60_000_000, {**columns, "phase": at_time})


def test_each_change_of_phase_is_a_line_with_its_name():
    drawing = phase_lines(TIMES, panel_of(30, [1, 2, 3]))
    assert [line["x0"] for line in drawing["shapes"]] == ["1970-01-01 00:10:00.000000", "1970-01-01 00:20:00.000000"]
    assert {line["yref"] for line in drawing["shapes"]} == {"paper"}
    assert [one["text"] for one in drawing["annotations"]] == ["phase 2", "phase 3"]


def test_a_long_chart_holds_no_more_than_can_be_seen():
    drawing = instrument_chart(TIMES, panel_of(100_000, list(range(100))), ChartMarks())
    assert len(drawing.data[0].x) <= MOST_CANDLES
    assert len(drawing.layout.shapes) == 20


@given(st.lists(st.tuples(st.floats(0, 1e9) | st.just(np.nan), st.integers(1, 3600)), min_size=1, max_size=1000))
def test_bars_hold_all_of_the_volume_and_do_not_touch(rows: list[tuple[float, int]]):
    volume, apart_s = zip(*rows, strict=True)
    columns = {"close": np.ones(len(volume)), "volume": np.array(volume)}
    panel = Panel.from_columns(["X"] * len(volume), np.cumsum(apart_s) * 1_000_000, columns)
    _, bars, read_off = instrument_traces(TIMES, panel, ChartMarks())
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
    candles, read_off = instrument_traces(TIMES, panel_of(1000, [1]), ChartMarks())
    assert read_off["x"] == candles["x"]
    assert read_off["y"] == candles["close"]
    assert read_off["customdata"] == list(zip(candles["open"], candles["low"], candles["high"], strict=True))


@given(st.integers(0, 2**51), st.booleans(), st.sampled_from(["UTC", "Asia/Tokyo"]))
def test_a_moment_comes_back_from_the_axis(moment_us: int, daily: bool, zone: str):
    times = ChartTimes(UserContext(time_zone=zone), daily=daily)
    text = times.text(moment_us)
    begin, end = times.microseconds(text), times.end_of(text)
    assert begin <= moment_us <= end
    assert times.text(begin) == times.text(end) == text
    assert (end - begin + 1) == (86_400_000_000 if daily else 1)


@pytest.mark.parametrize(("language", "form"), [("en", "%b %-d, %Y"), ("de", "%d.%m.%Y")])
def test_days_are_written_without_a_time_of_day(language: str, form: str):
    user = UserContext(language)
    shown = chart(
        user,
        "x",
        instrument_chart(ChartTimes(user, daily=True), panel_of(10, [1]), ChartMarks(currency="EUR")),
        label="x",
    )
    figure = shown.children.figure
    assert figure.layout.xaxis.hoverformat == figure.layout.xaxis2.hoverformat == form
    assert figure.layout.yaxis.title.text.endswith(", EUR")
