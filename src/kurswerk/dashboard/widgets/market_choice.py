"""Which market a page is about: its address names it, coins by default."""

from collections.abc import Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc

from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.widgets.components import link_button
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.market import DEFAULT_MARKET, MARKETS, MarketSchema, market_named
from kurswerk.training import Availability


def market_of_address(query: Mapping[str, str]) -> MarketSchema:
    """Return the market that an address names; coins if it names none or one that is not there."""
    return MARKETS.get(query.get("market", DEFAULT_MARKET), market_named())


def market_links(user: UserContext, chosen: MarketSchema, path: str) -> Any:
    """Return links to the same page about each of the markets."""
    links = [
        link_button(name, f"{path}?market={name}", variant="filled" if name == chosen.name else "default", size="xs")
        for name, market in MARKETS.items()
        if not market.on_demand or market is chosen
    ]
    return dmc.Group([dmc.Text(user.t("Market"), size="sm", c="dimmed"), *links], gap="xs", mb="sm")


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
