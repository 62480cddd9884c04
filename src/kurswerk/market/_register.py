"""The markets there are: a new one is a module with its schema and one line here."""

from pkgutil import resolve_name

from kurswerk.core.errors import UnknownNameError
from kurswerk.market.schema import MarketSchema

# module:schema, one line each, in the order in which they are listed.
_SCHEMAS = ("coins:COINS", "candles:CANDLES", "stocks:STOCKS")

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
