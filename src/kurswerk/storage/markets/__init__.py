"""Tables of market data: inspected, loaded as panels, upserted, surveyed.

All of them take the market as a value; only the context of coins knows one by name.
"""

from kurswerk.storage.markets._collector import PostgresCollectorStore
from kurswerk.storage.markets._collector_status import collector_gaps, collector_reports
from kurswerk.storage.markets._context import MarketContextStore
from kurswerk.storage.markets._coverage import coverage
from kurswerk.storage.markets._fetched import PostgresBarStore
from kurswerk.storage.markets._instruments import PostgresInstruments
from kurswerk.storage.markets._load import array_text
from kurswerk.storage.markets._missing_columns import absent_columns, missing_columns
from kurswerk.storage.markets._periods import periods_query, row_value
from kurswerk.storage.markets._rates import PostgresRatesStore
from kurswerk.storage.markets._row_context import MarketRowReader
from kurswerk.storage.markets._sealed import exchanges_of
from kurswerk.storage.markets._series import SeriesSink, source_conflicts
from kurswerk.storage.markets._stated_values import (
    KnownValue,
    StatedValueSink,
    describe_instruments,
    known_values,
)
from kurswerk.storage.markets._store import PostgresMarketStore
from kurswerk.storage.markets._table import MarketTable
from kurswerk.storage.markets._tree import PostgresTreeStore

__all__ = [
    "KnownValue",
    "MarketContextStore",
    "MarketRowReader",
    "MarketTable",
    "PostgresBarStore",
    "PostgresCollectorStore",
    "PostgresInstruments",
    "PostgresMarketStore",
    "PostgresRatesStore",
    "PostgresTreeStore",
    "SeriesSink",
    "StatedValueSink",
    "absent_columns",
    "array_text",
    "collector_gaps",
    "collector_reports",
    "coverage",
    "describe_instruments",
    "exchanges_of",
    "known_values",
    "missing_columns",
    "periods_query",
    "row_value",
    "source_conflicts",
]
