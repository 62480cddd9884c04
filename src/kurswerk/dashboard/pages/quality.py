"""The quality of market data: what checks found, with examples, and what was done."""

from typing import Any, Final

import dash_mantine_components as dmc
from dash import html

from kurswerk.core.errors import InvalidInputError
from kurswerk.core.timestamps import format_timestamp
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.callbacks.pages import PageDefinition
from kurswerk.dashboard.widgets.components import callout, card, empty_state, page_header, stat, stat_row
from kurswerk.dashboard.widgets.data_grid import data_grid, grid_column
from kurswerk.dashboard.widgets.market_choice import (
    availability,
    instruments_word,
    market_links,
    market_of_address,
)
from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.market import MarketSchema
from kurswerk.quality import Finding, QualityReport

_CHECKS: Final = {
    "gaps": N_("Gaps"),
    "stale_runs": N_("Price stands still"),
    "leaps": N_("Leaps without an action"),
    "broken_candles": N_("Candles that cannot be"),
    "missing_prices": N_("Missing prices"),
    "zero_volume": N_("Nothing traded"),
    "repeated_rows": N_("Copied rows"),
    "equal_series": N_("Series under two names"),
    "other_units": N_("Other units"),
    "survivorship": N_("No series has ended"),
    "closed_days": N_("Days without a session"),
    "unreadable_rows": N_("Unreadable rows"),
}
_SEVERITIES: Final = {"error": N_("Error"), "warning": N_("Warning"), "note": N_("Note"), "ok": N_("Nothing found")}
_DONE: Final = {"accepted": N_("accepted"), "quarantined": N_("quarantined")}


def layout(app: DashboardApp, user: UserContext, query: dict[str, str]) -> Any:
    """Return the page; the address names the market."""
    market = market_of_address(query)
    return html.Div(
        [
            page_header(
                user.t("Quality of market data"),
                text=user.t("What is missing, stands still, leaps or cannot be, and what was done with it."),
            ),
            market_links(app, user, market, "/dashboard/data-quality"),
            _content(app, user, market),
        ]
    )


def _content(app: DashboardApp, user: UserContext, market: MarketSchema) -> Any:
    if not availability(app, market).rows:
        return empty_state(
            user.t("There are no market data yet"),
            user.t("Simulate a market to look around, or import a file with candles of your own."),
        )
    try:
        report: QualityReport = app.services.quality(market.name)
    except InvalidInputError as error:
        return callout(user.message(error.message), color="yellow")
    return dmc.Stack(
        [
            stat_row(
                stat(user.t("Rows"), user.number(report.rows)),
                stat(instruments_word(user, market), user.number(report.instruments)),
                stat(user.t("Rows that cannot be right"), user.number(report.errors)),
            ),
            card(user.t("Findings"), _findings(user, report)),
            card(user.t("Places"), _places(user, report)),
        ]
    )


def _findings(user: UserContext, report: QualityReport) -> Any:
    rows = [
        {
            "check": _check(user, one),
            "severity": user.t(_SEVERITIES[one.severity if one.count else "ok"]),
            "count": one.count,
            "instruments": one.instruments,
            "done": user.t(_DONE[one.done]) if one.count else "",
            "reason": one.reason,
        }
        for one in report.findings
    ]
    columns = [
        grid_column("check", user.t("Check"), minWidth=190),
        grid_column("severity", user.t("Severity")),
        grid_column("count", user.t("Places"), "number"),
        grid_column("instruments", user.t("Instruments"), "number"),
        grid_column("done", user.t("Done")),
        grid_column("reason", user.t("Reason"), minWidth=220, flex=2, tooltipField="reason"),
    ]
    return data_grid(user, "quality-findings", columns, rows, label=user.t("Findings"))


def _places(user: UserContext, report: QualityReport) -> Any:
    rows = [
        {
            "check": _check(user, one),
            "instrument": example.instrument,
            "moment": None if example.timestamp_us is None else format_timestamp(example.timestamp_us),
            "values": ", ".join(f"{name} {_value(user, value)}" for name, value in example.values.items()),
        }
        for one in report.findings
        for example in one.examples
    ]
    columns = [
        grid_column("check", user.t("Check"), minWidth=190),
        grid_column("instrument", user.t("Instrument")),
        grid_column("moment", user.t("Time"), "moment"),
        grid_column("values", user.t("Values"), minWidth=260, flex=3, tooltipField="values"),
    ]
    return data_grid(user, "quality-places", columns, rows, label=user.t("Places"))


def _check(user: UserContext, finding: Finding) -> str:
    return user.t(_CHECKS[finding.check])


def _value(user: UserContext, value: Any) -> str:
    return user.number(value) if isinstance(value, int) else f"{value:.6g}" if isinstance(value, float) else str(value)


def register_callbacks(app: DashboardApp) -> None:
    """Add no callbacks: the page is made anew when it is opened."""


PAGE: Final = PageDefinition(
    "/data-quality", N_("Quality of market data"), layout, register_callbacks, menu=False, tables=True
)
