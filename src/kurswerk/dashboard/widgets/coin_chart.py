"""A coin's rows as a chart that never holds more points than a screen can show."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from plotly import graph_objects as go

from kurswerk.core.errors import NotFoundError
from kurswerk.core.timestamps import to_datetime, to_us
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.ports import Prediction
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.market import Panel

Int = NDArray[np.int64]

MOST_CANDLES: Final = 240
_MAX_PHASES: Final = 20
# Of the time that a bar of volume stands for, and how wide one is that stands alone.
_BAR_SHARE: Final = 0.8
_LONE_BAR_US: Final = 1_000_000
_COLUMNS: Final = ("price_open", "price_high", "price_low", "price_close", "volume_sol", "phase_id_at_time")
# Room for any numbers: margins that follow them have everything drawn twice or thrice at every zoom.
_MARGIN: Final = {"l": 84, "r": 12, "t": 8, "b": 48}
# A line that is not seen, whose values are read off where the mouse is: candles and bars answer only right above them.
_READ_OFF: Final = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "showlegend": False}
_FORM: Final = "%Y-%m-%d %H:%M:%S.%f"


def coin_panel(app: DashboardApp, mint: str, *, max_age_s: float = 15.0) -> Panel:
    """Return a coin's rows, as they were at most so many seconds ago.

    Raises
    ------
    NotFoundError
        If there are none.
    """

    def load() -> Panel:
        columns = [name for name in _COLUMNS if name in app.services.market.columns()]
        return app.services.market.load_panel(columns, mints=[mint])

    panel = app.cache.get(("coin", mint), load, max_age_s=max_age_s)
    if not len(panel):
        raise NotFoundError("coin.no_rows", coin=mint)
    return panel


def span_us(panel: Panel) -> tuple[int, int]:
    """Return the moments of the first and the last row."""
    return int(panel.timestamps[0]), int(panel.timestamps[-1])


def last_value(panel: Panel, name: str) -> float | None:
    """Return a column's newest value; None if it is missing."""
    if name not in panel.columns:
        return None
    value = float(panel.column(name)[-1])
    return value if np.isfinite(value) else None


def last_index_at(times: Int, moment_us: int) -> int:
    """Return the index of the last row not after a moment, or 0."""
    return max(int(np.searchsorted(times, moment_us, side="right")) - 1, 0)


def timestamp_us_of(user: UserContext, text: str) -> int:
    """Read a moment of a chart, which is in the user's time zone, as microseconds UTC."""
    return to_us(user.from_local(text.replace("Z", "")))


def visible_range(user: UserContext, moved: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the stretch of time that a chart was moved to; None is all."""
    low = moved.get("xaxis.range[0]", (moved.get("xaxis.range") or [None])[0])
    high = moved.get("xaxis.range[1]", (moved.get("xaxis.range") or [None, None])[-1])
    return None if low is None or high is None else (timestamp_us_of(user, str(low)), timestamp_us_of(user, str(high)))


def prediction_markers(
    predictions: Sequence[Prediction], models: Sequence[str], names: Mapping[int, str]
) -> dict[str, list[Prediction]]:
    """Sort the predictions of chosen models by model name."""
    chosen = {int(one) for one in models}
    found: dict[str, list[Prediction]] = {}
    for one in predictions:
        if one.model_id in chosen:
            found.setdefault(names.get(one.model_id, f"#{one.model_id}"), []).append(one)
    return found


def coin_chart(user: UserContext, panel: Panel, marks: Mapping[str, Sequence[Prediction]]) -> Any:
    """Draw all of a coin's rows: candles with volume below and predictions as dots."""
    fixed = {"automargin": False}
    axis = {**fixed, "type": "date", "rangeslider": {"visible": False}}
    layout = user.theme.layout(
        height=520,
        dragmode="zoom",
        hovermode="x unified",
        uirevision="coin",
        margin=_MARGIN,
        xaxis={**axis, "anchor": "y", "matches": "x2", "showticklabels": False},
        xaxis2={**axis, "anchor": "y2"},
        yaxis={**fixed, "domain": [0.27, 1.0], "title": {"text": user.t("price")}, "exponentformat": "power"},
        yaxis2={**fixed, "domain": [0.0, 0.24], "title": {"text": user.t("volume")}, "anchor": "x2"},
    )
    return go.Figure(coin_traces(user, panel, marks), layout | phase_lines(user, panel))


def coin_traces(
    user: UserContext, panel: Panel, marks: Mapping[str, Sequence[Prediction]], window: tuple[int, int] | None = None
) -> list[dict[str, Any]]:
    """Return candles, volume and predictions, at most `MOST_CANDLES` for what is in the window.

    They are what Plotly's JavaScript takes: its Python objects look at every value, which takes ten times as long.
    """
    rows = _rows_in(panel.timestamps, window)
    starts = bin_starts(panel.timestamps[rows])
    times = [_naive(user, int(moment)) for moment in panel.timestamps[rows][starts]]
    found = [*_price(user, panel, rows, starts, times), *_volume(user, panel, rows, starts, times)]
    if "price_close" in panel.columns:
        found += [_marks(user, panel, *of, user.theme.color(k + 2)) for k, of in enumerate(marks.items())]
    return found


def phase_lines(user: UserContext, panel: Panel, window: tuple[int, int] | None = None) -> dict[str, Any]:
    """Return a line with a name for each change of phase in the window, as parts of a layout."""
    if "phase_id_at_time" not in panel.columns:
        return {"shapes": [], "annotations": []}
    rows = _rows_in(panel.timestamps, window)
    phases = np.nan_to_num(panel.column("phase_id_at_time")[rows], nan=-1.0)
    changes = (np.flatnonzero(np.diff(phases)) + 1)[:_MAX_PHASES]
    moments = [_naive(user, int(panel.timestamps[rows][k])) for k in changes]
    end = {"xref": "x", "yref": "paper"}
    line = {"color": user.theme.muted, "dash": "dot", "width": 1}
    label = {"showarrow": False, "xanchor": "left", "font": {"size": 11, "color": user.theme.muted}}
    return {
        "shapes": [{"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "line": line, **end} for at in moments],
        "annotations": [
            {"x": at, "y": 1.0, "text": user.t("phase {n}", n=int(phases[k])), **label, **end}
            for at, k in zip(moments, changes, strict=True)
        ],
    }


def _naive(user: UserContext, moment_us: int) -> str:
    return user.local(to_datetime(moment_us)).strftime(_FORM)


def _rows_in(times: Int, window: tuple[int, int] | None) -> slice:
    if window is None:
        return slice(0, len(times))
    margin = (window[1] - window[0]) // 2  # beside the window, so that a small pan shows something at once
    low, high = np.searchsorted(times, [window[0] - margin, window[1] + margin])
    return slice(int(low), max(int(high), int(low) + 1)) if low < len(times) else slice(len(times) - 1, len(times))


def bin_starts(times: Int, most: int = MOST_CANDLES) -> Int:
    """Return the position of the first row of each of at most so many bins of equal length in time.

    Examples
    --------
    >>> bin_starts(np.array([0, 1, 2, 10, 11, 20]), 3).tolist()
    [0, 3, 5]
    """
    if len(times) <= most:
        return np.arange(len(times))
    width = (int(times[-1]) - int(times[0])) // most + 1
    return np.flatnonzero(np.diff((times - times[0]) // width, prepend=-1)).astype(np.int64)


def _price(user: UserContext, panel: Panel, rows: slice, starts: Int, times: list[str]) -> list[dict[str, Any]]:
    theme = user.theme
    names = ("price_open", "price_high", "price_low", "price_close")
    if not len(starts) or "price_close" not in panel.columns:
        return []
    last = np.append(starts[1:], rows.stop - rows.start) - 1
    shared = {"x": times, "name": user.t("price")}
    if not all(name in panel.columns for name in names):
        close = panel.column("price_close")[rows][last].tolist()
        return [{**shared, "type": "scatter", "y": close, "mode": "lines", "line": theme.line(0)}]
    opened, high, low, close = (panel.column(name)[rows] for name in names)
    prices = {
        "open": opened[starts].tolist(),
        "high": np.fmax.reduceat(high, starts).tolist(),
        "low": np.fmin.reduceat(low, starts).tolist(),
        "close": close[last].tolist(),
    }
    return [
        {
            **shared,
            "type": "candlestick",
            **prices,
            "increasing": {"line": {"color": theme.color(0), "width": 1.25}, "fillcolor": theme.ground},
            "decreasing": {"line": {"color": theme.color(1), "width": 1.25}, "fillcolor": theme.color(1)},
            "hoverinfo": "skip",
            "legendgroup": "price",
        },
        {
            **shared,
            **_READ_OFF,
            "y": prices["close"],
            "customdata": list(zip(prices["open"], prices["low"], prices["high"], strict=True)),
            "hovertemplate": "%{customdata[0]:.4~g} → %{y:.4~g} (%{customdata[1]:.4~g} – %{customdata[2]:.4~g})",
            "legendgroup": "price",
        },
    ]


def _volume(user: UserContext, panel: Panel, rows: slice, starts: Int, times: list[str]) -> list[dict[str, Any]]:
    """Return bars as one outline: hundreds of shapes of their own would be laid out anew whenever the chart moves."""
    if not len(starts) or "volume_sol" not in panel.columns:
        return []
    volume = np.add.reduceat(np.nan_to_num(panel.column("volume_sol")[rows]), starts).tolist()
    moments = panel.timestamps[rows][starts]
    # As wide as the usual distance allows, and not into a neighbour that is nearer than usual.
    apart = np.diff(moments) if len(moments) > 1 else np.array([_LONE_BAR_US])
    nearest = np.minimum(np.append(apart, apart[-1]), np.append(apart[0], apart))[: len(moments)]
    halves = (_BAR_SHARE / 2 * np.minimum(nearest, np.median(apart))).astype(np.int64)
    edges = [
        (_naive(user, one - half), _naive(user, one + half))
        for one, half in zip(moments.tolist(), halves.tolist(), strict=True)
    ]
    shared = {"type": "scatter", "name": user.t("volume"), "legendgroup": "volume", "xaxis": "x2", "yaxis": "y2"}
    return [
        {
            **shared,
            "x": [at for low, high in edges for at in (low, low, high, high, None)],
            "y": [at for one in volume for at in (0.0, one, one, 0.0, None)],
            "mode": "none",
            "fill": "toself",
            "fillcolor": user.theme.muted,
            "hoverinfo": "skip",
        },
        {**shared, **_READ_OFF, "x": times, "y": volume},
    ]


def _marks(user: UserContext, panel: Panel, name: str, predictions: Sequence[Prediction], color: str) -> dict[str, Any]:
    close, moments = panel.column("price_close"), [to_us(one.timestamp) for one in predictions]
    return {
        "type": "scatter",
        "x": [_naive(user, moment) for moment in moments],
        "y": [float(close[last_index_at(panel.timestamps, moment)]) for moment in moments],
        "mode": "markers",
        "marker": {
            "color": color,
            "size": [6 + 8 * one.probability for one in predictions],
            "symbol": ["triangle-up" if one.prediction else "circle-open" for one in predictions],
        },
        "text": [user.percent(one.probability) for one in predictions],
        "hovertemplate": "%{text}",
        "name": name,
    }
