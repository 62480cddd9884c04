"""What a page is: its address, title, layout and callbacks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from kurswerk.dashboard.callbacks.app import DashboardApp


@dataclass(frozen=True)
class PageDefinition:
    """One page.

    Attributes
    ----------
    path
        Below ``/dashboard``; a part in braces is passed to ``layout`` as a text of that name.
    title
        In the catalogue; shown in the menu, if ``menu``, and in the browser's tab.
    layout
        ``layout(app, user, query, **path_parameters)`` returns the content.
    register_callbacks
        Adds the callbacks.
    tables, charts
        Whether the page shows some, so that the browser prefetches the scripts that draw them.
    """

    path: str
    title: str
    layout: Callable[..., Any]
    register_callbacks: Callable[[DashboardApp], None]
    icon: str = ""
    menu: bool = True
    tables: bool = False
    charts: bool = False

    def match(self, path: str) -> Mapping[str, str] | None:
        """Return the parameters in a path that is this page's, else None.

        Examples
        --------
        >>> PageDefinition("/models/{model_id}", "Model", print, print).match("/models/3")
        {'model_id': '3'}
        >>> PageDefinition("/data/{key}", "Data", print, print).match("/data/BTC%2FEUR")
        {'key': 'BTC/EUR'}
        """
        own_parts, parts = self.path.strip("/").split("/"), path.strip("/").split("/")
        if len(own_parts) != len(parts):
            return None
        found = {}
        for own, part in zip(own_parts, parts, strict=True):
            if own.startswith("{"):
                found[own.strip("{}")] = unquote(part)
            elif own != part:
                return None
        return found


def query_parameters(search: str | None) -> dict[str, str]:
    """Read the query of an address, such as a page's filters.

    Examples
    --------
    >>> query_parameters("?status=READY&name=a%20b")
    {'status': 'READY', 'name': 'a b'}
    """
    return {name: values[-1] for name, values in parse_qs((search or "").lstrip("?")).items()}


def instrument_path(market: str, key: str) -> str:
    """Return the address of an instrument's page; any key comes back out of it as it is.

    Examples
    --------
    >>> instrument_path("stocks", "BRK.B"), instrument_path("candles", "BTC/EUR")
    ('/dashboard/data/stocks/BRK.B', '/dashboard/data/candles/BTC%2FEUR')
    """
    return f"/dashboard/data/{quote(market, safe='')}/{quote(key, safe='')}"
