"""Markets and their schemas, the `Panel` of a market's rows, and the rules that rows keep."""

from kurswerk.market._register import DEFAULT_MARKET, MARKETS, market_named, market_of_interval
from kurswerk.market.coins import COINS, KEY, SOL_PRICE, TIMESTAMP
from kurswerk.market.columns import map_columns
from kurswerk.market.joined import AsOfTable, JoinedColumn, StatedValue
from kurswerk.market.panel import Panel
from kurswerk.market.schema import (
    CANDLE_ROLES,
    INTERVALS,
    KEY_LENGTH,
    Clock,
    Column,
    FeedTables,
    InstrumentAttribute,
    Kind,
    MarketSchema,
    Role,
    Segment,
    SeriesTables,
)

__all__ = [
    "CANDLE_ROLES",
    "COINS",
    "DEFAULT_MARKET",
    "INTERVALS",
    "KEY",
    "KEY_LENGTH",
    "MARKETS",
    "SOL_PRICE",
    "TIMESTAMP",
    "AsOfTable",
    "Clock",
    "Column",
    "FeedTables",
    "InstrumentAttribute",
    "JoinedColumn",
    "Kind",
    "MarketSchema",
    "Panel",
    "Role",
    "Segment",
    "SeriesTables",
    "StatedValue",
    "map_columns",
    "market_named",
    "market_of_interval",
]
