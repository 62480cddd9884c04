"""Watchlists as pages choose by them: which there are, and what is on one."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import dash_mantine_components as dmc

from kurswerk.core.errors import NotFoundError
from kurswerk.dashboard.callbacks.app import DashboardApp
from kurswerk.dashboard.widgets.components import link_button
from kurswerk.dashboard.words.user_context import UserContext
from kurswerk.market.watchlists import WatchedInstrument, Watchlist

# Of a list's number, in an address.
_MAX_DIGITS: Final = 9


def watchlists(app: DashboardApp) -> Sequence[Watchlist]:
    """Return all watchlists, by name."""
    return () if app.services.watchlists is None else app.services.watchlists.all()


def chosen_watchlist(app: DashboardApp, given: Mapping[str, Any]) -> Watchlist | None:
    """Return the watchlist whose number stands under ``watchlist``; None if there is none."""
    number = str(given.get("watchlist") or "")
    if app.services.watchlists is None or not number.isdecimal() or len(number) > _MAX_DIGITS:
        return None
    try:
        return app.services.watchlists.get(int(number))
    except NotFoundError:
        return None


def on_list(watchlist: Watchlist | None) -> frozenset[WatchedInstrument] | None:
    """Return what is on a watchlist; None, which is anything, without one."""
    return None if watchlist is None else frozenset(watchlist.instruments)


def watchlist_select(app: DashboardApp, user: UserContext, name: str, chosen: Watchlist | None) -> Any:
    """Return a field that chooses one of the watchlists, or all instruments; hidden where there is no list."""
    found = watchlists(app)
    choices = [
        {"value": "", "label": user.t("all instruments")},
        *({"value": str(one.id), "label": one.name} for one in found),
    ]
    return dmc.Select(
        id=name,
        label=user.t("Watchlist"),
        data=choices,
        value="" if chosen is None else str(chosen.id),
        allowDeselect=False,
        w=200,
        display=None if found else "none",
    )


def watchlist_links(app: DashboardApp, user: UserContext, address: str, chosen: Watchlist | None, market: str) -> Any:
    """Return links that narrow a page down to the watchlists with instruments of a market; empty without any."""
    found = [one for one in watchlists(app) if any(watched.market == market for watched in one.instruments)]
    if not found:
        return None
    links = [
        link_button(user.t("all"), address, variant="default" if chosen else "filled", size="xs"),
        *(
            link_button(
                one.name,
                f"{address}&watchlist={one.id}",
                variant="filled" if chosen is not None and chosen.id == one.id else "default",
                size="xs",
            )
            for one in found
        ),
    ]
    return dmc.Group([dmc.Text(user.t("Watchlist"), size="sm", c="dimmed"), *links], gap="xs")
