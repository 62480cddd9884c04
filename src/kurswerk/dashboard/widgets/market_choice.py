"""Which market a page is about: its address names it, coins by default."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import dash_mantine_components as dmc

from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.widgets.components import link_button
from kurswerk.dashboard.words.catalogue import N_
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.market import DEFAULT_MARKET, INTERVALS, MARKETS, MarketSchema, market_named
from kurswerk.training import Availability

MARKET_WORDS: Final = {"coins": N_("Coins"), "candles": N_("Candles"), "stocks": N_("Stocks")}
_INTERVAL_WORDS: Final = {
    "1m": N_("1 minute"),
    "5m": N_("5 minutes"),
    "15m": N_("15 minutes"),
    "30m": N_("30 minutes"),
    "1h": N_("1 hour"),
    "1d": N_("1 day"),
}


def market_of_address(query: Mapping[str, str]) -> MarketSchema:
    """Return the market that an address names; coins if it names none or one that is not there."""
    return MARKETS.get(query.get("market", DEFAULT_MARKET), market_named())


def market_word(user: UserContext, market: MarketSchema) -> str:
    """Return what a market is called, with the length of its bars where it has several."""
    family = next((one.name for one in MARKETS.values() if one.table == market.table), market.name)
    word = user.t(MARKET_WORDS[family]) if family in MARKET_WORDS else family
    return f"{word}, {interval_word(user, market)}" if market.on_demand else word


def interval_word(user: UserContext, market: MarketSchema) -> str:
    """Return the length of a market's bars."""
    return user.t(_INTERVAL_WORDS.get(market.interval or "", market.interval or ""))


def market_links(app: DashboardApp, user: UserContext, chosen: MarketSchema, path: str) -> Any:
    """Return links to the same page about each of the markets, and about bars of other lengths of the one chosen."""

    def link(name: str, market: MarketSchema, *, here: bool) -> Any:
        return link_button(name, f"{path}?market={market.name}", variant="filled" if here else "default", size="xs")

    families = [one for one in MARKETS.values() if not one.on_demand]
    rows = [
        _links(
            user.t("Market"),
            [link(market_word(user, one), one, here=one.table == chosen.table) for one in families],
        )
    ]
    lengths = markets_of_bars(app, chosen)
    if len(lengths) > 1:
        rows.append(
            _links(user.t("Bar length"), [link(interval_word(user, one), one, here=one is chosen) for one in lengths])
        )
    return dmc.Stack(rows, gap="xs", mb="sm")


def _links(words: str, links: Sequence[Any]) -> Any:
    return dmc.Group([dmc.Text(words, size="sm", c="dimmed"), *links], gap="xs")


def markets_of_bars(app: DashboardApp, chosen: MarketSchema) -> Sequence[MarketSchema]:
    """Return the markets of other bars of the same instruments that have rows, and the one chosen, by length."""
    if chosen.interval is None:
        return [chosen]
    found = [one for one in MARKETS.values() if one.table == chosen.table and one.name in app.services.markets]
    there = [one for one in found if one is chosen or availability(app, one).rows]
    return sorted(there, key=lambda one: INTERVALS[one.interval or ""])


def all_instruments(user: UserContext, market: MarketSchema) -> str:
    """Return the words of a link to all of a market's instruments."""
    return user.t("All coins") if market.name == DEFAULT_MARKET else user.t("All instruments")


def instruments_word(user: UserContext, market: MarketSchema) -> str:
    """Return what a market's instruments are called."""
    return user.t("Coins") if market.name == DEFAULT_MARKET else user.t("Instruments")


def availability(app: DashboardApp, market: MarketSchema) -> Availability:
    """Return what data a market has, at most five seconds old."""
    found: Availability = app.cache.get(
        ("availability", market.name), app.services.markets[market.name].availability, max_age_s=5
    )
    return found


def instruments(app: DashboardApp, market: MarketSchema) -> Sequence[str]:
    """Return the names of a market's instruments, at most half a minute old."""
    names: Sequence[str] = app.cache.get(
        ("instruments", market.name), lambda: list(app.services.markets[market.name].instruments()), max_age_s=30
    )
    return names
