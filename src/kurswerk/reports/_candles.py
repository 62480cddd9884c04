"""The price of one coin as candles."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from plotly import graph_objects as go

from kurswerk.core.timestamps import format_timestamp
from kurswerk.market import CANDLE_ROLES, MarketSchema, Panel, Role, market_named
from kurswerk.reports._themes import LIGHT, Theme

MOST_CANDLES = 180


def figure_candles(panel: Panel, market: MarketSchema | None = None, *, theme: Theme = LIGHT) -> go.Figure:
    """Draw the first coin of a panel: candles where all four prices are there, else a line of closes.

    Rows are joined into at most 180 candles of equal length in time (first open, highest high, lowest low, last
    close). Rows with a missing price are left out. The market names the columns of prices; it is coins by default.
    """
    column_of = (market or market_named()).roles
    figure = go.Figure(layout=theme.layout(height=380, showlegend=False, hovermode="x unified"))
    figure.update_xaxes(rangeslider={"visible": False}, nticks=6, title_text="UTC")
    figure.update_yaxes(title_text="price", exponentformat="power", minexponent=4)
    if len(panel) == 0 or column_of.get(Role.CLOSE) not in panel.columns:
        return figure
    rows = slice(0, int(panel.offsets[1]))
    price = {role: panel.column(name)[rows] for role in CANDLE_ROLES if (name := column_of.get(role)) in panel.columns}
    usable = np.all([np.isfinite(column) for column in price.values()], axis=0)
    if not usable.any():
        return figure
    times = panel.timestamps[rows][usable]
    starts = _bin_starts(times)
    last = np.append(starts[1:], len(times)) - 1
    moments = [format_timestamp(int(moment)) for moment in times[starts]]
    kept = {role: column[usable] for role, column in price.items()}
    if len(kept) < 4:
        figure.add_scatter(x=moments, y=kept[Role.CLOSE][last].tolist(), mode="lines", line=theme.line(0), name="close")
    else:
        figure.add_candlestick(x=moments, **_candles(kept, starts, last), **_colors(theme), name="price")
    return figure


def _bin_starts(times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the position of the first row of each bin of equal length in time."""
    width = (int(times[-1]) - int(times[0])) // MOST_CANDLES + 1
    bins = (times - times[0]) // width if len(times) > MOST_CANDLES else np.arange(len(times))
    return np.flatnonzero(np.diff(bins, prepend=-1)).astype(np.int64)


def _candles(
    price: dict[Role, NDArray[np.float64]], starts: NDArray[np.int64], last: NDArray[np.int64]
) -> dict[str, list[float]]:
    return {
        "open": price[Role.OPEN][starts].tolist(),
        "high": np.maximum.reduceat(price[Role.HIGH], starts).tolist(),
        "low": np.minimum.reduceat(price[Role.LOW], starts).tolist(),
        "close": price[Role.CLOSE][last].tolist(),
    }


def _colors(theme: Theme) -> dict[str, Any]:
    """Blue rises and orange falls, so that no reader has to distinguish red from green; a rising body is hollow."""
    return {
        "increasing": {"line": {"color": theme.color(0), "width": 1.25}, "fillcolor": theme.ground},
        "decreasing": {"line": {"color": theme.color(1), "width": 1.25}, "fillcolor": theme.color(1)},
    }
