"""What is known of an instrument beside its bars: who it is, its series and their sources, its corporate actions."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

import dash_mantine_components as dmc
from dash import html

from kurswerk.core.errors import NotFoundError
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.ports import InstrumentDirectory
from kurswerk.dashboard.widgets.components import callout, scrollable
from kurswerk.dashboard.widgets.data_grid import data_grid, grid_column
from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.market import MarketSchema, market_of_interval
from kurswerk.market.adjustment import CorporateAction
from kurswerk.market.instruments import InstrumentFacts, Series
from kurswerk.market.series import SourceConflict

_FACTS_S: Final = 30.0
# The largest number of new or old shares in a split that is written as such.
_MOST_SHARES: Final = 1000
KIND_WORDS: Final = {"split": N_("Split"), "dividend": N_("Dividend"), "spin_off": N_("Spin-off")}


def directory_of(app: DashboardApp, market: MarketSchema) -> InstrumentDirectory | None:
    """Return the instruments of a market, if it keeps any beside its rows."""
    return app.services.instruments.get(market.name)


def instrument_facts(app: DashboardApp, market: MarketSchema, key: str) -> InstrumentFacts | None:
    """Return who an instrument is, at most half a minute old; None where nothing is known."""
    directory = directory_of(app, market)
    if directory is None:
        return None

    def load() -> InstrumentFacts | None:
        try:
            return directory.get(key).facts
        except NotFoundError:
            return None

    return app.cache.get(("facts of", market.table, key), load, max_age_s=_FACTS_S)


def instrument_actions(app: DashboardApp, market: MarketSchema, key: str) -> Sequence[CorporateAction]:
    """Return the corporate actions of an instrument, oldest first, at most half a minute old."""
    directory = directory_of(app, market)
    if directory is None:
        return ()
    return app.cache.get(("actions of", market.table, key), lambda: directory.actions(key), max_age_s=_FACTS_S)


def instrument_names(app: DashboardApp, market: MarketSchema) -> dict[str, str]:
    """Return symbol → name of a market's instruments, at most half a minute old."""
    directory = directory_of(app, market)
    return {} if directory is None else app.cache.get(("names", market.table), directory.names, max_age_s=_FACTS_S)


def identity(facts: InstrumentFacts) -> str:
    """Return who an instrument is, in one line, as the list of symbols has it.

    Examples
    --------
    >>> identity(InstrumentFacts("BRK.B", "Berkshire Hathaway", "Financials", exchange="XNYS"))
    'Berkshire Hathaway · Financials · XNYS'
    """
    parts = (facts.name, facts.sector, facts.industry, facts.exchange, facts.currency)
    return " · ".join(part for part in parts if part)


def action_words(user: UserContext, action: CorporateAction, currency: str | None) -> str:
    """Return what a corporate action hands out, in a few words.

    Examples
    --------
    >>> from datetime import date
    >>> action_words(UserContext(), CorporateAction("A", date(2020, 8, 31), "split", 4.0), "USD")
    '4 for 1'
    >>> action_words(UserContext("de"), CorporateAction("A", date(2020, 8, 7), "dividend", 1.002, 0.82), "USD")
    '0,82 USD'
    """
    if action.kind == "split":
        shares = Fraction(action.factor).limit_denominator(_MOST_SHARES)
        return user.t("{new} for {old}", new=user.number(shares.numerator), old=user.number(shares.denominator))
    if action.amount is not None:
        return f"{user.price(action.amount)} {currency or ''}".rstrip()
    return user.t("{share} of the price", share=user.percent(1 - 1 / action.factor, 2))


def series_table(app: DashboardApp, user: UserContext, market: MarketSchema, key: str) -> Any:
    """Return the series of an instrument with their sources, and where another source differs from the one read."""
    directory = directory_of(app, market)
    if directory is None:
        return None
    found = directory.series([key])
    head = [
        user.t(text)
        for text in (N_("Bar length"), N_("Source"), N_("Prices"), N_("Bars"), N_("First day"), N_("Last day"))
    ]
    rows = [
        html.Tr(
            [
                html.Td(one.interval),
                html.Td([one.source, *([html.B(f" ({user.t('in use')})")] if one.is_preferred else [])]),
                html.Td(price_basis(user, one)),
                html.Td(user.number(one.bars), className="kw-r"),
                html.Td(user.day(one.first.date() if one.first else None), className="kw-r"),
                html.Td(user.day(one.last.date() if one.last else None), className="kw-r"),
            ]
        )
        for one in found
    ]
    titles = html.Thead(html.Tr([html.Th(text, className="kw-r" if k > 2 else "") for k, text in enumerate(head)]))
    table = scrollable(html.Table([titles, html.Tbody(rows)], className="kw-table"))
    return dmc.Stack([table, *_conflicts(app, user, market, key, found)])


def price_basis(user: UserContext, series: Series) -> str:
    """Return what the prices of a series are."""
    if series.adjusted_as_of is None:
        return user.t("as paid")
    return user.t("split-adjusted as of {day}", day=user.day(series.adjusted_as_of))


def _conflicts(
    app: DashboardApp, user: UserContext, market: MarketSchema, key: str, found: Sequence[Series]
) -> list[Any]:
    lines = []
    for interval in sorted({one.interval for one in found if not one.is_preferred}):
        directory = directory_of(app, market_of_interval(market.name, interval))
        lines += [_conflict(user, one) for one in (directory.conflicts([key]) if directory is not None else ())]
    if not lines:
        return []
    return [callout(dmc.Stack(lines, gap=4), title=user.t("Sources differ"), color="orange")]


def _conflict(user: UserContext, one: SourceConflict) -> Any:
    columns = ", ".join(f"{name} × {user.number(count)}" for name, count in one.differing.items())
    return dmc.Text(
        user.t(
            "{preferred}, which is in use, and {other} share {n} bars; from {day} on they differ in {columns}.",
            preferred=one.preferred,
            other=one.other,
            n=user.number(one.shared),
            day=user.day(one.first_day),
            columns=columns,
        ),
        size="sm",
    )


def actions_table(user: UserContext, actions: Sequence[CorporateAction], currency: str | None) -> Any:
    """Return an instrument's corporate actions, the newest first."""
    if not actions:
        return dmc.Text(user.t("None are stored."), size="sm", c="dimmed")
    rows = [
        {
            "day": one.day.isoformat(),
            "kind": user.t(KIND_WORDS[one.kind]),
            "words": action_words(user, one, currency),
        }
        for one in reversed(actions)
    ]
    columns = [
        grid_column("day", user.t("Day"), "day"),
        grid_column("kind", user.t("Kind")),
        grid_column("words", user.t("Per share"), minWidth=140),
    ]
    options = {"paginationPageSize": 10}
    return data_grid(user, "instrument-actions", columns, rows, label=user.t("Corporate actions"), options=options)
