"""A file of coin rows through validation into the table, against raw binary COPY of the same rows."""

import statistics
import time
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from benchmarks._coin_rows import coin_batches, empty_table, own_database, write_coin_file
from benchmarks._measure import in_child
from kurswerk.ingest import ingest_files
from kurswerk.market import COINS, Kind, market_named
from kurswerk.market.calendar import calendar_of
from kurswerk.market.series import SeriesOrigin
from kurswerk.sources import open_candles
from kurswerk.storage.markets import PostgresMarketStore
from kurswerk.storage.server import Database

_TYPES = {Kind.FLOAT: "float8", Kind.INT: "int8", Kind.BOOL: "bool"}
_MOST_BYTES = 2**30
# 619,040 daily bars of 505 stocks, see the README beside them.
STOCKS_FILE = Path("../shared/data/stocks_daily_505_2013_2018.parquet")
_STOCKS = market_named("stocks")


def run(*, rows: int = 1_000_000, large_rows: int = 10_000_000, repeats: int = 3) -> list[dict[str, Any]]:
    """Measure ingest of a Parquet file of all columns, and the peak memory of a large one.

    Parameters
    ----------
    rows
        Rows of the file that is timed beside the peer.
    large_rows
        Rows of the file whose peak memory is taken, in a process of its own; 0 leaves it out.
    repeats
        Turns; the medians count.

    Returns
    -------
    list of dict
        ``name, ours_s, peer, peer_s, ratio, at_least, note`` each.
    """
    with own_database() as (database, folder):
        results = [_against_copy(database, folder, rows, repeats)]
        if STOCKS_FILE.exists():
            results.append(_stocks_against_copy(database, folder, repeats))
        if large_rows:
            results.append(_peak_memory(database, folder, large_rows))
    return results


def _against_copy(database: Database, folder: Path, rows: int, repeats: int) -> dict[str, Any]:
    path = folder / "rows.parquet"
    write_coin_file(path, rows)
    ingest_file(database.url, path)  # compile
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        empty_table(database)
        times[0].append(ingest_file(database.url, path))
        empty_table(database)
        times[1].append(_copy_raw(database, rows))
    ours, peer = statistics.median(times[0]), statistics.median(times[1])
    ratios = ", ".join(f"{theirs / mine:.2f}" for mine, theirs in zip(*times, strict=True))
    return {
        "name": "ingest",
        "ours_s": ours,
        "peer": "psycopg binary COPY, no validation",
        "peer_s": peer,
        "ratio": peer / ours,
        "at_least": 0.5,
        "note": f"{rows:,} rows of {len(COINS.columns) + 2} columns from Parquet; ratios of the turns {ratios}",
    }


def ingest_file(url: str, path: Path) -> float:
    """Ingest a file and return the seconds."""
    start = time.perf_counter()
    ingest_files(
        [open_candles(path, COINS)], COINS, PostgresMarketStore(Database(url), COINS), path.parent / "quarantine"
    )
    return time.perf_counter() - start


def _copy_raw(database: Database, rows: int) -> float:
    """Write tuples that are there already; the clock stands still while they are made."""
    columns = sql.SQL(", ").join(map(sql.Identifier, ("mint", "timestamp", *COINS.columns)))
    statement = sql.SQL("COPY coin_metrics ({}) FROM STDIN (FORMAT binary)").format(columns)
    types = {name: _TYPES[column.kind] for name, column in COINS.columns.items()} | {"phase_id_at_time": "int4"}
    making = 0.0
    start = time.perf_counter()
    with psycopg.connect(database.url) as connection, connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(["varchar", "timestamptz", *types.values()])
        for batch in coin_batches(rows):
            begun = time.perf_counter()
            tuples = list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
            making += time.perf_counter() - begun
            for row in tuples:
                copy.write_row(row)
    return time.perf_counter() - start - making


def _stocks_against_copy(database: Database, folder: Path, repeats: int) -> dict[str, Any]:
    """Measure a file of bars, whose dates become closes of sessions and whose series are registered."""
    store = PostgresMarketStore(database, _STOCKS)
    calendar = calendar_of("XNYS")

    def ingest() -> float:
        _empty_bars(database)
        start = time.perf_counter()
        sink = store.series_sink(SeriesOrigin("505", date(2018, 2, 7)), "XNYS")
        ingest_files([open_candles(STOCKS_FILE, _STOCKS)], _STOCKS, sink, folder / "quarantine", calendar=calendar)
        return time.perf_counter() - start

    ingest()  # compile, and make the partitions
    with database.connection() as connection:
        rows = connection.execute(
            'SELECT symbol, "timestamp", "interval", source, open_price, high_price, low_price, close_price, volume'
            ' FROM historical_stock_data ORDER BY symbol, "timestamp"'
        ).fetchall()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        times[0].append(ingest())
        times[1].append(_copy_bars(database, rows))
    ours, peer = statistics.median(times[0]), statistics.median(times[1])
    ratios = ", ".join(f"{theirs / mine:.2f}" for mine, theirs in zip(*times, strict=True))
    return {
        "name": "ingest, stocks",
        "ours_s": ours,
        "peer": "psycopg binary COPY, no validation",
        "peer_s": peer,
        "ratio": peer / ours,
        "at_least": 0.8,
        "note": f"{len(rows):,} daily bars of 505 stocks from Parquet; ratios of the turns {ratios}",
    }


def _empty_bars(database: Database) -> None:
    with database.connection() as connection:
        connection.execute("TRUNCATE historical_stock_data, stocks, stock_series, stock_actions, stock_factors")


def _copy_bars(database: Database, rows: list[tuple[Any, ...]]) -> float:
    _empty_bars(database)
    statement = (
        'COPY historical_stock_data (symbol, "timestamp", "interval", source, open_price, high_price, low_price,'
        " close_price, volume) FROM STDIN (FORMAT binary)"
    )
    start = time.perf_counter()
    with psycopg.connect(database.url) as connection, connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(["varchar", "timestamptz", "varchar", "varchar", *["float8"] * 4, "int8"])
        for row in rows:
            copy.write_row(row)
    return time.perf_counter() - start


def _peak_memory(database: Database, folder: Path, rows: int) -> dict[str, Any]:
    path = folder / "large.parquet"
    write_coin_file(path, rows)
    empty_table(database)
    seconds, peak = in_child(ingest_file, database.url, path)
    return {
        "name": "ingest, large",
        "ours_s": seconds,
        "peer": "1 GiB",
        "peer_s": peak / 2**30,
        "ratio": _MOST_BYTES / peak,
        "at_least": 1.0,
        "note": f"{rows:,} rows; peak memory {peak / 2**20:.0f} MiB, allowed 1,024",
    }
