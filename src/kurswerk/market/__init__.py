"""Instruments, candles, coin metrics, the `Panel` and the laws that rows obey."""

from kurswerk.market.columns import ALIASES, COIN_COLUMNS, KEY, PRICE_COLUMNS, SOL_PRICE, TIMESTAMP, Kind, map_columns
from kurswerk.market.panel import Panel

__all__ = [
    "ALIASES",
    "COIN_COLUMNS",
    "KEY",
    "PRICE_COLUMNS",
    "SOL_PRICE",
    "TIMESTAMP",
    "Kind",
    "Panel",
    "map_columns",
]
