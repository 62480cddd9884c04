"""The moments at which the instruments of a market are compared, and which rows belong to each.

Of daily bars a moment is the close of the session that a row belongs to, by the calendar of its instrument's exchange;
instruments that state no exchange go by days UTC. Everywhere else it is the end of a time bucket: the bar's length, or
a minute where rows come at any time. A row joins the moment that ends its bucket, and reads the last moment that is not
after it: so it never sees what came after it, and a row right at the end of its bucket reads the moment that it joins.
"""

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.timestamps import MICROSECONDS
from kurswerk.market.calendar import ALWAYS_OPEN, calendar_of
from kurswerk.market.panel import Panel
from kurswerk.market.schema import DAILY, INTERVALS, Clock, MarketSchema

Int = NDArray[np.int64]

# The column by whose values members are parted, where a market has it.
SECTOR = "sector"
_BUCKET_S = 60


def bucket_us(market: MarketSchema) -> int | None:
    """Return the length of a market's time buckets in microseconds; None where moments are sessions.

    Examples
    --------
    >>> from kurswerk.market import COINS, market_named
    >>> bucket_us(COINS), bucket_us(market_named("stocks")), bucket_us(market_named("stocks_5m"))
    (60000000, None, 300000000)
    """
    if market.clock is Clock.SESSIONS and market.interval == DAILY:
        return None
    return MICROSECONDS * (INTERVALS[market.interval] if market.interval else _BUCKET_S)


def moments_joined(market: MarketSchema, timestamps: Int, exchange: str = "") -> Int:
    """Return the moment that each row of instruments of one exchange joins, microseconds UTC, shape (n,).

    Raises
    ------
    UnknownNameError, DataError
        If the exchange is unknown, or a row lies beyond its calendar.
    """
    bucket = bucket_us(market)
    if bucket is None:
        return calendar_of(exchange or ALWAYS_OPEN).deadlines(timestamps, 0)
    return -(-timestamps // bucket) * bucket


def moments_read(market: MarketSchema, timestamps: Int, exchange: str = "") -> Int:
    """Return the moment that each row of instruments of one exchange reads; as `moments_joined`."""
    bucket = bucket_us(market)
    return moments_joined(market, timestamps, exchange) if bucket is None else timestamps // bucket * bucket


def panel_moments(panel: Panel, market: MarketSchema) -> tuple[Int, Int]:
    """Return the moments that the rows of a panel join and read, shape (n_rows,) each; one array where both are equal.

    Raises
    ------
    UnknownNameError, DataError
        As `moments_joined`.
    """
    if bucket_us(market) is not None:
        return moments_joined(market, panel.timestamps), moments_read(market, panel.timestamps)
    names = sorted(set(panel.exchanges)) or [""]
    if len(names) == 1:
        joined = moments_joined(market, panel.timestamps, names[0])
        return joined, joined
    joined = np.empty(len(panel), dtype=np.int64)
    number = {name: k for k, name in enumerate(names)}
    of_row = np.repeat([number[name] for name in panel.exchanges], np.diff(panel.offsets))
    for k, name in enumerate(names):
        rows = of_row == k
        joined[rows] = moments_joined(market, panel.timestamps[rows], name)
    return joined, joined
