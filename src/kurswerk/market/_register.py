"""The markets there are: a new one is a module with its schema and one line here."""

from pkgutil import resolve_name

from kurswerk.core.errors import UnknownNameError
from kurswerk.market.schema import MarketSchema

# module:schema, one line each, in the order in which they are listed.
_SCHEMAS = (
    "coins:COINS",
    "candles:CANDLES",
    "stocks:STOCKS",
    "stocks:STOCKS_1M",
    "stocks:STOCKS_5M",
    "stocks:STOCKS_15M",
    "stocks:STOCKS_30M",
    "stocks:STOCKS_1H",
)

MARKETS: dict[str, MarketSchema] = {
    schema.name: schema for schema in (resolve_name(f"kurswerk.market.{entry}") for entry in _SCHEMAS)
}
# What a specification without a market means.
DEFAULT_MARKET = "coins"


def market_named(name: str = DEFAULT_MARKET) -> MarketSchema:
    """Return a registered market.

    Raises
    ------
    UnknownNameError
        If there is none of that name; with the nearest.

    Examples
    --------
    >>> market_named("coins").table
    'coin_metrics'
    """
    try:
        return MARKETS[name]
    except KeyError:
        raise UnknownNameError("market.unknown", name=name, known=MARKETS) from None


def market_of_interval(name: str, interval: str) -> MarketSchema:
    """Return the market of an instrument's bars of another length: of ``stocks`` and ``1h``, ``stocks_1h``.

    Raises
    ------
    UnknownNameError
        If the market is unknown, or has no bars of this interval; with those it has.

    Examples
    --------
    >>> market_of_interval("stocks", "1h").name, market_of_interval("stocks", "1d").name
    ('stocks_1h', 'stocks')
    """
    table = market_named(name).table
    found = {schema.interval: schema for schema in MARKETS.values() if schema.table == table and schema.interval}
    if interval not in found:
        raise UnknownNameError("market.unknown_interval", name=interval, known=list(found), market=name)
    return found[interval]
