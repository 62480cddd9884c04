"""From storage to a matrix of factors: 800 stocks of 14 years, against polars from Parquet, one thread each.

The shape is that of the benchmark in qlib's README: daily bars of 800 stocks from 2007 to 2020, 14 factors of prices.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks._coin_rows import own_database
from benchmarks._measure import compare
from kurswerk.core.errors import InvalidInputError
from kurswerk.features import FeaturePlan
from kurswerk.ingest import arrow_schema
from kurswerk.market import market_named
from kurswerk.market.calendar import calendar_of
from kurswerk.market.series import SeriesOrigin
from kurswerk.sources.panel_file import read_panel
from kurswerk.storage.markets import PostgresMarketStore

STOCKS, FIRST, LAST = 800, "2007-01-03", "2020-12-31"
WINDOWS = (5, 10, 20, 30, 60)
ROC = (5, 10, 20, 60)
FACTORS = (
    *(f"sma_{window}" for window in WINDOWS),
    *(f"stddev_{window}" for window in WINDOWS),
    *(f"roc_{window}" for window in ROC),
)


def run(*, stocks: int = STOCKS, repeats: int = 3) -> list[dict[str, Any]]:
    """Measure both ways of ours, from the table and from Parquet, and polars in turn.

    Returns
    -------
    list of dict
        Two entries with ``name, ours_s, peer, peer_s, ratio, at_least, note``.

    Raises
    ------
    InvalidInputError
        If polars is not installed.
    """
    # Read when polars is imported.
    os.environ["POLARS_MAX_THREADS"] = "1"
    pa.set_cpu_count(1)
    market = market_named("stocks")
    bars = synthetic_bars(stocks)
    plan = FeaturePlan(FACTORS, market)
    with own_database() as (database, _), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bars.parquet"
        pq.write_table(pa.Table.from_batches([bars]), path, compression="zstd")
        store = PostgresMarketStore(database, market)
        store.series_sink(SeriesOrigin("synthetic"), "XNYS").upsert([bars])
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE historical_stock_data")
        peer = ("polars from Parquet, one thread", lambda: polars_factors(path))
        columns = list(plan.inputs)
        agree(plan.compute(read_panel(path, market, columns).panel), polars_factors(path))
        note = f"{len(FACTORS)} factors, {bars.num_rows:,} daily bars of {stocks} stocks, one thread"
        return [
            compare("matrix from Parquet", lambda: plan.compute(read_panel(path, market, columns).panel), peer,
                    (repeats, repeats), (2.0, note)),
            compare("matrix from the table", lambda: plan.compute(store.load_panel(columns)), peer,
                    (repeats, repeats), (0.0, f"{note}; the database reads with a process of its own")),
        ]  # fmt: skip


def synthetic_bars(stocks: int) -> pa.RecordBatch:
    """Return daily bars of random walks, stock after stock, in the order of time."""
    closes_us = calendar_of("XNYS").closes(
        calendar_of("XNYS").sessions_between(np.datetime64(FIRST), np.datetime64(LAST))
    )
    days, rng = len(closes_us), np.random.default_rng(1)
    close = 50.0 * np.exp(np.cumsum(rng.normal(0.0, 0.015, (stocks, days)), axis=1)).ravel()
    market = market_named("stocks")
    names = pa.array([f"S{number:04}" for number in range(stocks)])
    arrays = [
        names.take(pa.array(np.repeat(np.arange(stocks), days))),
        pa.array(np.tile(closes_us, stocks)).view(pa.timestamp("us", "UTC")),
        *(pa.array(close * factor) for factor in (0.999, 1.01, 0.99, 1.0)),
        pa.array(rng.integers(1_000, 10_000_000, len(close))),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(list(market.columns), market))


def polars_factors(path: Path) -> NDArray[np.float64]:
    """Compute the same factors with polars, from the columns that they need."""
    try:
        import polars as pl  # noqa: PLC0415 - of benchmarks alone
    except ModuleNotFoundError as error:
        raise InvalidInputError("the peer polars is not installed; pip install 'kurswerk[bench]'") from error
    close = pl.col("close_price")
    factors = [
        *(close.rolling_mean(window).over("symbol").alias(f"sma_{window}") for window in WINDOWS),
        *(close.rolling_std(window, ddof=0).over("symbol").alias(f"stddev_{window}") for window in WINDOWS),
        *(((close / close.shift(window) - 1.0) * 100.0).over("symbol").alias(f"roc_{window}") for window in ROC),
    ]
    frame = pl.scan_parquet(path).select("symbol", "timestamp", "close_price").sort("symbol", "timestamp")
    found: NDArray[np.float64] = frame.select(factors).collect().to_numpy()
    return found


def agree(ours: NDArray[np.floating], theirs: NDArray[np.float64]) -> None:
    """Refuse a comparison of different work: values are the same but for rounding, missing ones at the same rows."""
    if not np.allclose(ours, theirs, rtol=1e-6, atol=1e-6, equal_nan=True):
        raise InvalidInputError("the peer polars computes other values")
