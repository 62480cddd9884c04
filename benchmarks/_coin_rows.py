"""Synthetic coin rows that break no validation rule, and a database of their own to put them in."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from kurswerk.ingest import arrow_schema
from kurswerk.market import Kind, market_named
from kurswerk.storage.server import Database, EmbeddedPostgres, upgrade

COINS, INTERVAL_US, START_US = 1000, 5_000_000, 1_704_067_200_000_000
_BATCH_ROWS = 1 << 16


def coin_batches(rows: int, seed: int = 42, *, coins: int = COINS, first: int = 0) -> Iterator[pa.RecordBatch]:
    """Yield rows of many coins in the order of time from the ``first`` row of each on, all columns filled."""
    rng = np.random.default_rng(seed)
    mints = np.array([f"{coin:040d}pump" for coin in range(coins)])
    schema = arrow_schema(list(market_named().columns), market_named())
    for start in range(0, rows, _BATCH_ROWS):
        number = np.arange(start, min(start + _BATCH_ROWS, rows))
        low = rng.random(len(number)) + 1e-6
        prices = {"price_low": low, "price_open": low * 1.5, "price_close": low * 1.25, "price_high": low * 2}
        columns = [
            pa.array(mints[number % coins]),
            pa.array(START_US + (first + number // coins) * INTERVAL_US).cast(schema.field(1).type),
        ]
        for name, column in market_named().columns.items():
            kind = column.kind
            if kind is Kind.FLOAT:
                cells = pa.array(prices.get(name, rng.random(len(number))))
            else:
                cells = pa.array(rng.integers(0, 2 if kind is Kind.BOOL else 100, len(number)))
            columns.append(cells.cast(schema.field(name).type))
        yield pa.record_batch(columns, schema=schema)


def write_coin_file(path: Path, rows: int) -> None:
    """Write `coin_batches` as Parquet."""
    with pq.ParquetWriter(
        path, arrow_schema(list(market_named().columns), market_named()), use_dictionary=["mint"]
    ) as writer:
        for batch in coin_batches(rows):
            writer.write_batch(batch)


@contextmanager
def own_database() -> Iterator[tuple[Database, Path]]:
    """Give a migrated database on a server of its own, and a folder; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="kurswerk-bench-") as folder, EmbeddedPostgres(Path(folder)) as server:
        database = Database(server.start())
        upgrade(database)
        yield database, Path(folder)


def empty_table(database: Database) -> None:
    """Empty ``coin_metrics`` and write out what is in the way, so that every run finds the same."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("TRUNCATE coin_metrics")
        connection.execute("CHECKPOINT")
