"""Bars of stocks for tests, and actions as a source would insert them."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa

from kurswerk.core.timestamps import to_us
from kurswerk.ingest import arrow_schema
from kurswerk.market import market_named
from kurswerk.storage.server import Database

STOCKS = market_named("stocks")
FIRST_DAY = date(2020, 1, 2)
# Until tests have an exchange with sessions every day, bars close at 21:00 UTC.
CLOSE = timedelta(hours=21)


def close_of(day: int) -> int:
    """Return the moment of the bar ``day`` days after the first, in microseconds UTC."""
    return to_us(datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC) + timedelta(days=day) + CLOSE)


def bars(symbol: str, closes: Sequence[float], first: int = 0, volume: int = 1000) -> pa.RecordBatch:
    """Return one bar a day, from ``first`` days after the first day on."""
    close = np.asarray(closes, dtype=np.float64)
    moments = [close_of(first + k) for k in range(len(close))]
    arrays = [
        pa.array([symbol] * len(close)),
        pa.array(moments, pa.timestamp("us", "UTC")),
        *(pa.array(values) for values in (close, 1.25 * close, 0.75 * close, close)),
        pa.array([volume] * len(close)),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(list(STOCKS.columns), STOCKS))


def add_action(
    database: Database, symbol: str, day: int, factor: float, *, kind: str = "split", known_us: int | None = None
) -> None:
    """Insert an action, effective ``day`` days after the first, known from the beginning unless a moment is given."""
    with database.connection() as connection:
        connection.execute(
            'INSERT INTO stock_actions (symbol, "date", kind, factor, known_at) VALUES'
            " (%s, %s, %s, %s, timestamptz 'epoch' + %s * interval '1 microsecond')",
            [symbol, FIRST_DAY + timedelta(days=day), kind, factor, known_us or 0],
        )
