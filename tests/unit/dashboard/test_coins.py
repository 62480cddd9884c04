"""A coin's chart."""

import numpy as np

from kurswerk.dashboard._coins import MOST_CANDLES, coin_figure
from kurswerk.dashboard._view import View
from kurswerk.market import Panel


def panel_of(rows: int, phases: list[int]) -> Panel:
    price = 1 + np.arange(rows) / rows
    columns = dict.fromkeys(("price_open", "price_high", "price_low", "price_close"), price)
    at_time = np.repeat(phases, -(-rows // len(phases)))[:rows].astype(float)
    return Panel.from_columns(["X"] * rows, np.arange(rows) * 60_000_000, {**columns, "phase_id_at_time": at_time})


def test_each_change_of_phase_is_a_line_with_its_name():
    drawing = coin_figure(View(), panel_of(30, [1, 2, 3]), {}).to_plotly_json()["layout"]
    assert [line["x0"] for line in drawing["shapes"]] == ["1970-01-01 00:10:00.000000", "1970-01-01 00:20:00.000000"]
    assert {line["yref"] for line in drawing["shapes"]} == {"paper"}
    assert [one["text"] for one in drawing["annotations"]] == ["phase 2", "phase 3"]


def test_a_long_chart_holds_no_more_than_can_be_seen():
    drawing = coin_figure(View(), panel_of(100_000, list(range(100))), {})
    assert len(drawing.data[0].x) <= MOST_CANDLES
    assert len(drawing.layout.shapes) == 20
