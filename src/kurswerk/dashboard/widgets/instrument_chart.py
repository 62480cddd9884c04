"""An instrument's rows as a chart that never holds more points than a screen can show."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from plotly import graph_objects as go

from kurswerk.core.errors import NotFoundError
from kurswerk.core.timestamps import to_datetime, to_us
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.ports import Prediction
from kurswerk.dashboard.widgets.instrument_facts import KIND_WORDS, action_words
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.market import CANDLE_ROLES, MarketSchema, Panel, Role
from kurswerk.market.adjustment import CorporateAction

Int = NDArray[np.int64]

MOST_CANDLES: Final = 240
_MAX_PHASES: Final = 20
# Of the time that a bar of volume stands for, and how wide one is that stands alone.
_BAR_SHARE: Final = 0.8
_LONE_BAR_US: Final = 1_000_000
# What is drawn, by the names that a chart's panel has for it in every market.
_PRICES: Final = tuple(role.value for role in CANDLE_ROLES)
_CLOSE, _VOLUME, _PHASE = Role.CLOSE.value, Role.VOLUME.value, "phase"
# Room for any numbers: margins that follow them have everything drawn twice or thrice at every zoom.
_MARGIN: Final = {"l": 84, "r": 12, "t": 8, "b": 48}
# A line that is not seen, whose values are read off where the mouse is: candles and bars answer only right above them.
_READ_OFF: Final = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "showlegend": False}
_ACTION_SYMBOLS: Final = {"split": "diamond", "dividend": "circle", "spin_off": "star"}
# Where actions stand, as a share of the height of the prices.
_FOOT: Final = 0.03
_DAY_US: Final = 86_400_000_000
_FORM: Final = "%Y-%m-%d %H:%M:%S.%f"


@dataclass(frozen=True)
class ChartTimes:
    """How moments stand on the axis of a chart: in the user's time zone, or as days where a bar is a day.

    A day is that of the bar in UTC, whose close lies in the same day on every exchange that the calendars know.

    Attributes
    ----------
    user
        Whose time zone.
    daily
        Whether a bar is a day.
    """

    user: UserContext
    daily: bool = False

    @classmethod
    def of(cls, user: UserContext, market: MarketSchema) -> "ChartTimes":
        """Return how a market's moments are shown."""
        return cls(user, market.interval == "1d")

    def text(self, moment_us: int) -> str:
        """Return a moment as Plotly reads it.

        Examples
        --------
        >>> close = 1_515_013_200_000_000  # 2018-01-03 21:00 UTC
        >>> ChartTimes(UserContext(), daily=True).text(close), ChartTimes(UserContext()).text(close)
        ('2018-01-03', '2018-01-03 21:00:00.000000')
        """
        moment = to_datetime(moment_us)
        return f"{moment:%Y-%m-%d}" if self.daily else self.user.local(moment).strftime(_FORM)

    def microseconds(self, text: str) -> int:
        """Read a moment of the axis as microseconds UTC.

        Raises
        ------
        ValueError
            If it is no moment.
        """
        moment = text.replace("Z", "")
        return to_us(datetime.fromisoformat(moment).replace(tzinfo=UTC) if self.daily else self.user.from_local(moment))

    def end_of(self, text: str) -> int:
        """Read where a point stands: a moment, of a day its last one."""
        return self.microseconds(text) + (_DAY_US - 1 if self.daily else 0)

    def shown(self, moment_us: int) -> str:
        """Return a moment in words."""
        return self.user.day_us(moment_us) if self.daily else self.user.date_time_us(moment_us)

    @property
    def hover_format(self) -> str | None:
        """How Plotly writes the moment under the mouse; None is its own way."""
        if not self.daily:
            return None
        return "%d.%m.%Y" if self.user.language == "de" else "%b %-d, %Y"


def instrument_panel(app: DashboardApp, market: MarketSchema, key: str, *, max_age_s: float = 15.0) -> Panel:
    """Return an instrument's rows, as they were at most so many seconds ago; columns are named by their roles.

    Where the market's rows are adjusted forward, prices and volumes are those of a share as it is at the newest row.

    Raises
    ------
    NotFoundError
        If there are none.
    """
    names = {role.value: market.roles[role] for role in (*CANDLE_ROLES, Role.VOLUME) if role in market.roles}
    if market.segment is not None:
        names[_PHASE] = market.segment.column
    rows, directory = app.services.markets[market.name], app.services.instruments.get(market.name)

    def load() -> Panel:
        there = rows.columns()
        found = {name: column for name, column in names.items() if column in there}
        panel = replace(rows.load_panel(list(found.values()), mints=[key]), columns=tuple(found))
        return panel if directory is None else _per_share(panel, directory.split_factor(key))

    panel = app.cache.get(("instrument", market.name, key), load, max_age_s=max_age_s)
    if not len(panel):
        raise NotFoundError("market.no_rows_of", market=market.name, key=key)
    return panel


def _per_share(panel: Panel, split_factor: float) -> Panel:
    """Divide prices, and multiply volumes, by a split factor."""
    if split_factor == 1.0 or not len(panel):
        return panel
    scale = {_VOLUME: split_factor, _PHASE: 1.0}
    factors = np.array([scale.get(name, 1.0 / split_factor) for name in panel.columns])
    return replace(panel, values=panel.values * factors[:, np.newaxis])


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


def visible_range(times: ChartTimes, moved: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the stretch of time that a chart was moved to; None is all."""
    low = moved.get("xaxis.range[0]", (moved.get("xaxis.range") or [None])[0])
    high = moved.get("xaxis.range[1]", (moved.get("xaxis.range") or [None, None])[-1])
    return None if low is None or high is None else (times.microseconds(str(low)), times.microseconds(str(high)))


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


@dataclass(frozen=True)
class ChartMarks:
    """What is marked on a chart beside the bars.

    Attributes
    ----------
    predictions
        Model name → predictions, drawn as dots at the price.
    actions
        Corporate actions, drawn along the foot of the prices.
    currency
        Of the prices.
    """

    predictions: Mapping[str, Sequence[Prediction]] = field(default_factory=dict)
    actions: Sequence[CorporateAction] = ()
    currency: str | None = None


def instrument_chart(times: ChartTimes, panel: Panel, marks: ChartMarks) -> Any:
    """Draw all of an instrument's rows: candles with volume below, predictions as dots, and corporate actions."""
    user = times.user
    unit = user.t("price, {currency}", currency=marks.currency) if marks.currency else user.t("price")
    fixed = {"automargin": False}
    axis = {**fixed, "type": "date", "rangeslider": {"visible": False}}
    if times.hover_format is not None:
        axis["hoverformat"] = times.hover_format
    layout = user.theme.layout(
        height=520,
        dragmode="zoom",
        hovermode="x unified",
        uirevision="instrument",
        margin=_MARGIN,
        xaxis={**axis, "anchor": "y", "matches": "x2", "showticklabels": False},
        xaxis2={**axis, "anchor": "y2"},
        yaxis={**fixed, "domain": [0.27, 1.0], "title": {"text": unit}, "exponentformat": "power"},
        yaxis2={**fixed, "domain": [0.0, 0.24], "title": {"text": user.t("volume")}, "anchor": "x2"},
        yaxis3={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
    )
    return go.Figure(instrument_traces(times, panel, marks), layout | phase_lines(times, panel))


def instrument_traces(
    times: ChartTimes, panel: Panel, marks: ChartMarks, window: tuple[int, int] | None = None
) -> list[dict[str, Any]]:
    """Return candles, volume, actions and predictions, at most `MOST_CANDLES` of each for what is in the window.

    They are what Plotly's JavaScript takes: its Python objects look at every value, which takes ten times as long.
    """
    rows = _rows_in(panel.timestamps, window)
    starts = bin_starts(panel.timestamps[rows])
    moments = [times.text(int(moment)) for moment in panel.timestamps[rows][starts]]
    found = [*_price(times.user, panel, rows, starts, moments), *_volume(times, panel, rows, starts, moments)]
    found += action_traces(times, panel.timestamps[rows], marks)
    if _CLOSE in panel.columns:
        models = enumerate(marks.predictions.items())
        found += [_marks(times, panel, *of, times.user.theme.color(k + 2)) for k, of in models]
    return found


def action_traces(times: ChartTimes, moments: Int, marks: ChartMarks) -> list[dict[str, Any]]:
    """Return the corporate actions between the first and the last of these moments, one trace of each kind."""
    if not marks.actions or not len(moments):
        return []
    user = times.user
    first, last = (to_datetime(int(moments[k])).date() for k in (0, -1))
    shown = [one for one in marks.actions if first <= one.day <= last]
    found = []
    for kind, symbol in _ACTION_SYMBOLS.items():
        mine = [one for one in shown if one.kind == kind][-MOST_CANDLES:]
        if not mine:
            continue
        found.append(
            {
                "type": "scatter",
                "x": [_beginning_of(times, one.day) for one in mine],
                "y": [_FOOT] * len(mine),
                "yaxis": "y3",
                "mode": "markers",
                "marker": {"symbol": symbol, "size": 10, "color": user.theme.muted},
                "text": [action_words(user, one, marks.currency) for one in mine],
                "hovertemplate": "%{text}",
                "name": user.t(KIND_WORDS[kind]),
            }
        )
    return found


def _beginning_of(times: ChartTimes, day: date) -> str:
    return times.text(to_us(datetime(day.year, day.month, day.day, tzinfo=UTC)))


def phase_lines(times: ChartTimes, panel: Panel, window: tuple[int, int] | None = None) -> dict[str, Any]:
    """Return a line with a name for each change of phase in the window, as parts of a layout."""
    if _PHASE not in panel.columns:
        return {"shapes": [], "annotations": []}
    user = times.user
    rows = _rows_in(panel.timestamps, window)
    phases = np.nan_to_num(panel.column(_PHASE)[rows], nan=-1.0)
    changes = (np.flatnonzero(np.diff(phases)) + 1)[:_MAX_PHASES]
    moments = [times.text(int(panel.timestamps[rows][k])) for k in changes]
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
    if not len(starts) or _CLOSE not in panel.columns:
        return []
    last = np.append(starts[1:], rows.stop - rows.start) - 1
    shared = {"x": times, "name": user.t("price")}
    if not all(name in panel.columns for name in _PRICES):
        close = panel.column(_CLOSE)[rows][last].tolist()
        return [{**shared, "type": "scatter", "y": close, "mode": "lines", "line": theme.line(0)}]
    opened, high, low, close = (panel.column(name)[rows] for name in _PRICES)
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


def _volume(times: ChartTimes, panel: Panel, rows: slice, starts: Int, moments: list[str]) -> list[dict[str, Any]]:
    """Return bars as one outline: hundreds of shapes of their own would be laid out anew whenever the chart moves."""
    if not len(starts) or _VOLUME not in panel.columns:
        return []
    volume = np.add.reduceat(np.nan_to_num(panel.column(_VOLUME)[rows]), starts).tolist()
    at_us = panel.timestamps[rows][starts]
    if times.daily:
        at_us = at_us - at_us % _DAY_US
    # As wide as the usual distance allows, and not into a neighbour that is nearer than usual.
    apart = np.diff(at_us) if len(at_us) > 1 else np.array([_LONE_BAR_US])
    nearest = np.minimum(np.append(apart, apart[-1]), np.append(apart[0], apart))[: len(at_us)]
    halves = (_BAR_SHARE / 2 * np.minimum(nearest, np.median(apart))).astype(np.int64)
    edge = _edge_of_bar(times)
    edges = [(edge(one - half), edge(one + half)) for one, half in zip(at_us.tolist(), halves.tolist(), strict=True)]
    shared = {"type": "scatter", "name": times.user.t("volume"), "legendgroup": "volume", "xaxis": "x2", "yaxis": "y2"}
    return [
        {
            **shared,
            "x": [at for low, high in edges for at in (low, low, high, high, None)],
            "y": [at for one in volume for at in (0.0, one, one, 0.0, None)],
            "mode": "none",
            "fill": "toself",
            "fillcolor": times.user.theme.muted,
            "hoverinfo": "skip",
        },
        {**shared, **_READ_OFF, "x": moments, "y": volume},
    ]


def _edge_of_bar(times: ChartTimes) -> Callable[[int], str]:
    """Return how an edge of a bar is written; a day's bar stands around its beginning."""
    if not times.daily:
        return times.text
    return lambda moment_us: to_datetime(moment_us).strftime(_FORM)


def _marks(times: ChartTimes, panel: Panel, name: str, predictions: Sequence[Prediction], color: str) -> dict[str, Any]:
    close, moments = panel.column(_CLOSE), [to_us(one.timestamp) for one in predictions]
    return {
        "type": "scatter",
        "x": [times.text(moment) for moment in moments],
        "y": [float(close[last_index_at(panel.timestamps, moment)]) for moment in moments],
        "mode": "markers",
        "marker": {
            "color": color,
            "size": [6 + 8 * one.probability for one in predictions],
            "symbol": ["triangle-up" if one.prediction else "circle-open" for one in predictions],
        },
        "text": [times.user.percent(one.probability) for one in predictions],
        "hovertemplate": "%{text}",
        "name": name,
    }
