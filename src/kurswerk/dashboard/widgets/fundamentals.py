"""What is stated of a stock from time to time: fundamentals, sector and industry, each with its day and source."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import dash_mantine_components as dmc
from dash import html

from kurswerk.core.timestamps import to_us
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.ports import KnownValue
from kurswerk.dashboard.widgets.components import scrollable
from kurswerk.dashboard.widgets.instrument_facts import directory_of
from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.market import MarketSchema
from kurswerk.market.gics import INDUSTRIES, SECTORS

_FACTS_S: Final = 30.0
_LABELS: Final = {
    "market_cap": N_("Market capitalisation"),
    "reference_price": N_("Price of that day"),
    "pe_ratio": N_("Price / earnings"),
    "pb_ratio": N_("Price / book"),
    "ps_ratio": N_("Price / sales"),
    "eps": N_("Earnings per share"),
    "book_value": N_("Book value per share"),
    "dividend_yield": N_("Dividend yield"),
    "ebitda": N_("EBITDA"),
    "low_52w": N_("Lowest of 52 weeks"),
    "high_52w": N_("Highest of 52 weeks"),
    "debt_to_equity": N_("Debt / equity"),
    "return_on_equity": N_("Return on equity"),
    "sector": N_("Sector"),
    "industry": N_("Industry"),
    "in_sp500": N_("In the S&P 500"),
}
_SHARES: Final = frozenset({"dividend_yield", "return_on_equity"})
_PER_SHARE: Final = frozenset({"reference_price", "eps", "book_value", "low_52w", "high_52w"})
_MONEY: Final = frozenset({"market_cap", "ebitda"})
_CODES: Final = {"sector": SECTORS, "industry": INDUSTRIES}


def known_now(app: DashboardApp, market: MarketSchema, key: str) -> Sequence[KnownValue]:
    """Return what is stated of an instrument and known now, at most half a minute old."""
    directory = directory_of(app, market)
    if directory is None:
        return ()

    def load() -> Sequence[KnownValue]:
        return directory.known_values(key, to_us(datetime.now(UTC)))

    return app.cache.get(("known values", market.table, key), load, max_age_s=_FACTS_S)


def fundamentals_table(user: UserContext, found: Sequence[KnownValue], currency: str | None) -> Any:
    """Return the values with the day and source of each; one too old for models is marked."""
    if not found:
        words = user.t("None are stored. kurswerk ingest fundamentals FILE brings some.")
        return dmc.Text(words, size="sm", c="dimmed")
    order = list(_LABELS)
    shown = sorted((one for one in found if one.name in _LABELS), key=lambda one: order.index(one.name))
    titles = (N_("Figure"), N_("Value"), N_("As of"), N_("Source"))
    head = html.Thead(
        html.Tr([html.Th(user.t(text), className="kw-r" if k in {1, 2} else "") for k, text in enumerate(titles)])
    )
    rows = [
        html.Tr(
            [
                html.Td(user.t(_LABELS[one.name])),
                html.Td(value_words(user, one, currency), className="kw-r"),
                html.Td(
                    user.day_us(one.as_of_us) + (f" ({user.t('too old')})" if one.is_stale else ""),
                    className="kw-r kw-muted",
                ),
                html.Td(one.source, className="kw-muted"),
            ]
        )
        for one in shown
    ]
    return scrollable(html.Table([head, html.Tbody(rows)], className="kw-table"))


def value_words(user: UserContext, one: KnownValue, currency: str | None) -> str:
    """Return a stated value as people write it."""
    money = f" {currency}" if currency else ""
    if one.name in _SHARES:
        return user.percent(one.value, 2)
    if one.name in _PER_SHARE:
        return user.price(one.value) + money
    if one.name in _MONEY:
        return user.compact(one.value) + money
    if one.name in _CODES:
        return _CODES[one.name].get(int(one.value), user.number(one.value))
    if one.name == "in_sp500":
        return user.t("yes") if one.value else user.t("no")
    return user.number(one.value, 2)
