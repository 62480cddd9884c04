"""A period, chosen on a picture of the data there are."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import dash_mantine_components as dmc
import numpy as np
from dash import Input, Output, State
from plotly import graph_objects as go

from kurswerk.core.errors import SpecError
from kurswerk.core.timestamps import to_datetime, to_us
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.widgets.charts import chart
from kurswerk.dashboard.widgets.market_choice import availability
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.market import MarketSchema
from kurswerk.training import Period

_BINS: Final = 120
_MAX_ROWS: Final = 2_000_000
_SAMPLED_COINS: Final = 50
_FORM: Final = "%Y-%m-%d %H:%M:%S"


def rows_over_time(app: DashboardApp, market: MarketSchema) -> tuple[np.ndarray, np.ndarray] | None:
    """Return edges (microseconds UTC, shape (121,)) and rows in each bin; of some coins only in a large market."""
    there = availability(app, market)
    if there.first_us is None or there.last_us is None:
        return None
    first_us, last_us = there.first_us, there.last_us

    def count() -> tuple[np.ndarray, np.ndarray]:
        rows = app.services.markets[market.name]
        mints = rows.instruments()[:_SAMPLED_COINS] if there.rows > _MAX_ROWS else None
        panel = rows.load_panel([], mints=mints)
        edges = np.linspace(first_us, last_us + 1, _BINS + 1)
        return edges, np.histogram(panel.timestamps, edges)[0]

    return app.cache.get(("rows over time", market.name), count, max_age_s=30, stale_s=600)


def availability_chart(
    app: DashboardApp,
    user: UserContext,
    market: MarketSchema,
    marks: Sequence[tuple[datetime, datetime, str]] = (),
) -> Any:
    """Draw how many rows there are over time, in the user's time zone, with periods marked on it."""
    drawing = go.Figure(
        layout=user.theme.layout(height=150, dragmode="select", selectdirection="h", bargap=0.05, uirevision="kept")
    )
    found = rows_over_time(app, market)
    if found is not None:
        edges, counts = found
        centres = [_naive(user, to_datetime(int(edge))) for edge in (edges[:-1] + edges[1:]) / 2]
        drawing.add_bar(
            x=centres,
            y=counts.tolist(),
            marker={"color": user.theme.color(0)},
            hovertemplate="%{x}: %{y:,}<extra></extra>",
            name=user.t("rows"),
        )
    for k, (start, end, name) in enumerate(marks):
        drawing.add_vrect(
            x0=_naive(user, start),
            x1=_naive(user, end),
            fillcolor=user.theme.color(k + 1),
            opacity=0.18,
            line_width=1,
            annotation_text=name,
            annotation_position="top left",
            annotation_yshift=-16 * k,  # periods that begin together would write over each other
        )
    drawing.update_layout(showlegend=False, margin={"l": 4, "r": 4, "t": 6, "b": 4})
    drawing.update_yaxes(showticklabels=False, showgrid=False)
    return drawing


def _naive(user: UserContext, moment: datetime) -> str:
    return user.local(moment).strftime(_FORM)


def period_fields(
    app: DashboardApp,
    user: UserContext,
    market: MarketSchema,
    prefix: str,
    period: tuple[datetime, datetime] | None,
    marks: Sequence[tuple[datetime, datetime, str]] = (),
) -> Any:
    """Return the picture and the two fields ``<prefix>-start`` and ``<prefix>-end``."""
    zone = user.t("Times are in {zone}.", zone=user.time_zone)
    look = {
        "valueFormat": "DD.MM.YYYY HH:mm" if user.language == "de" else "YYYY-MM-DD HH:mm",
        "clearable": False,
        "debounce": 300,
        "popoverProps": {"withinPortal": True},
    }
    start, end = (None, None) if period is None else (_naive(user, period[0]), _naive(user, period[1]))
    return dmc.Stack(
        [
            dmc.Text(
                user.t("Drag over the picture to choose a period, or type it.") + " " + zone, size="xs", c="dimmed"
            ),
            chart(
                user,
                f"{prefix}-picture",
                availability_chart(app, user, market, marks),
                label=user.t("Bars: market rows over time; drag to choose a period"),
            ),
            dmc.DatesProvider(
                dmc.SimpleGrid(
                    [
                        dmc.DateTimePicker(id=f"{prefix}-start", label=user.t("From"), value=start, **look),
                        dmc.DateTimePicker(id=f"{prefix}-end", label=user.t("To"), value=end, **look),
                    ],
                    cols={"base": 1, "xs": 2},
                ),
                settings={"locale": user.language, "firstDayOfWeek": 1},
            ),
        ],
        gap="xs",
    )


def parse_period(user: UserContext, start: str | None, end: str | None) -> tuple[datetime, datetime]:
    """Read the two fields as UTC.

    Raises
    ------
    SpecError
        If one is empty or no time.
    """
    if not start or not end:
        raise SpecError("dashboard.period_incomplete")
    try:
        return user.from_local(start), user.from_local(end)
    except ValueError as error:
        raise SpecError("dashboard.time_unreadable", text=f"{start}, {end}") from error


def period_from_fields(user: UserContext, start: str | None, end: str | None) -> Period:
    """Read the two fields as a period.

    Raises
    ------
    SpecError
        If one is empty or no time, or the end does not lie behind the beginning.
    """
    return Period(*map(to_us, parse_period(user, start, end)))


def available_period(
    app: DashboardApp, market: MarketSchema, first: float = 0.0, last: float = 1.0
) -> tuple[datetime, datetime] | None:
    """Return a part of the time that the data cover, given as two shares of it; None without data."""
    there = availability(app, market)
    if there.first_us is None or there.last_us is None:
        return None
    length = there.last_us - there.first_us
    ends = (there.first_us + int(first * length), there.first_us + int(last * length))
    minute = 60_000_000
    return to_datetime(ends[0] // minute * minute), to_datetime(-(-ends[1] // minute) * minute)


def register_period_picker(app: DashboardApp, prefix: str) -> None:
    """Let a stretch chosen on the picture fill the two fields."""

    @app.callback(
        Output(f"{prefix}-start", "value"),
        Output(f"{prefix}-end", "value"),
        Input(f"{prefix}-picture", "selectedData"),
        State(f"{prefix}-start", "value"),
        State(f"{prefix}-end", "value"),
    )
    def take(_: UserContext, selected: dict[str, Any] | None, start: str | None, end: str | None) -> Any:
        ends = ((selected or {}).get("range") or {}).get("x")
        if not ends:
            return start, end
        low, high = sorted(datetime.fromisoformat(str(one)) for one in ends)
        return low.replace(second=0, microsecond=0).strftime(_FORM), high.replace(second=0, microsecond=0).strftime(
            _FORM
        )
