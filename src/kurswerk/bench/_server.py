"""A PostgreSQL of a benchmark's own, gone afterwards, and synthetic rows of coins for it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kurswerk.ingest import coin_schema
from kurswerk.market import COIN_COLUMNS, Kind
from kurswerk.storage import Database, EmbeddedPostgres, upgrade

_ROWS_A_COIN = 1_000
_ROWS_A_BATCH = 100_000


@contextmanager
def fresh_database() -> Iterator[tuple[Database, Path]]:
    """Start an embedded server in a temporary folder and yield its migrated database and the folder."""
    folder = Path(tempfile.mkdtemp(prefix="kurswerk-bench-"))
    server = EmbeddedPostgres(folder)
    try:
        database = Database(server.start())
        upgrade(database)
        yield database, folder
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def synthetic_rows(rows: int, seed: int = 42) -> Iterator[pa.RecordBatch]:
    """Yield lawful rows of ``coin_metrics`` with every column filled, a thousand per coin."""
    rng = np.random.default_rng(seed)
    schema = coin_schema(list(COIN_COLUMNS))
    for first in range(0, rows, _ROWS_A_BATCH):
        count = min(_ROWS_A_BATCH, rows - first)
        number = np.arange(first, first + count)
        mints = pa.array([f"{coin:040d}pump" for coin in np.unique(number // _ROWS_A_COIN)])
        owners = pa.array(number // _ROWS_A_COIN - first // _ROWS_A_COIN)
        times = pa.array(1_735_689_600_000_000 + number % _ROWS_A_COIN * 5_000_000).view(pa.timestamp("us", "UTC"))
        columns = [_column(name, kind, count, rng) for name, kind in COIN_COLUMNS.items()]
        yield pa.RecordBatch.from_arrays([mints.take(owners), times, *columns], schema=schema)


def _column(name: str, kind: Kind, count: int, rng: np.random.Generator) -> pa.Array:
    if kind is Kind.BOOL:
        return pa.array(rng.random(count) < 0.1)
    if kind is Kind.INT:
        return pa.array(rng.integers(0, 500, count))
    bounds = {"price_low": (1.0, 1.1), "price_open": (1.2, 1.3), "price_close": (1.2, 1.3), "price_high": (1.4, 1.5)}
    return pa.array(rng.uniform(*bounds.get(name, (0.0, 1.0)), count))


def write_rows(path: Path, rows: int) -> None:
    """Write synthetic rows to a Parquet file."""
    with pq.ParquetWriter(path, coin_schema(list(COIN_COLUMNS))) as writer:
        for batch in synthetic_rows(rows):
            writer.write_batch(batch)
