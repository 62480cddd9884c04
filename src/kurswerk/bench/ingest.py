"""Ingest of a file, validation included, against raw binary COPY of the same rows; and its peak memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from kurswerk.bench._measure import compare, in_child
from kurswerk.bench._server import fresh_database, synthetic_rows, write_rows
from kurswerk.ingest import ingest_coins
from kurswerk.market import COIN_COLUMNS, Kind
from kurswerk.sources import open_candles
from kurswerk.storage import CoinMetricsStore, Database

ROWS, LARGE_ROWS = 1_000_000, 10_000_000
_TYPES = {Kind.FLOAT: "float8", Kind.INT: "int8", Kind.BOOL: "bool"}


def run(*, rows: int = ROWS, large_rows: int = LARGE_ROWS, repeats: int = 3) -> list[dict[str, Any]]:
    """Measure both in turn into an emptied table, and once the peak memory of many rows in a process of its own.

    Returns
    -------
    list of dict
        ``name, ours_s, peer, peer_s, ratio, at_least, note`` each.
    """
    with fresh_database() as (database, folder):
        path = folder / "rows.parquet"
        write_rows(path, rows)
        tuples = [row for batch in synthetic_rows(rows) for row in zip(*_lists(batch), strict=True)]
        found = compare(
            "ingest",
            emptied(database, lambda: ingest_file(database, path, folder)),
            ("psycopg binary COPY", emptied(database, lambda: copy_raw(database, tuples))),
            (repeats, repeats),
            (0.5, f"{rows:,} rows × {len(COIN_COLUMNS) + 2} columns, from Parquet through validation into the table"),
        )
        return [found, *([_large(database, folder, large_rows)] if large_rows else [])]


def _large(database: Database, folder: Path, rows: int) -> dict[str, Any]:
    with database.connection() as connection:
        connection.execute("TRUNCATE coin_metrics")
    path = folder / "large.parquet"
    in_child(write_rows, path, rows)
    seconds, peak = in_child(ingest_measured, database.url, path, folder)
    allowed = 2**30
    return {
        "name": "ingest, memory",
        "ours_s": seconds,
        "peer": "1 GiB",
        "peer_s": None,
        "ratio": allowed / peak,
        "at_least": 1.0,
        "note": f"{rows:,} rows, peak memory {peak / 2**20:,.0f} MiB; the ratio is 1 GiB to the peak",
    }


def ingest_measured(url: str, path: Path, folder: Path) -> float:
    """Ingest a file once and return the seconds it took."""
    found = compare("", lambda: ingest_file(Database(url), path, folder), ("", lambda: None), (1, 1), (0.0, ""))
    return float(found["ours_s"])


def ingest_file(database: Database, path: Path, folder: Path) -> None:
    """Bring a file into the table as the command does."""
    ingest_coins([open_candles(path)], CoinMetricsStore(database), folder / "quarantine")


def copy_raw(database: Database, tuples: list[tuple[Any, ...]]) -> None:
    """Copy tuples into the table with psycopg alone, nothing checked."""
    names = ", ".join(("mint", '"timestamp"', *COIN_COLUMNS))
    statement = f"COPY coin_metrics ({names}) FROM STDIN (FORMAT binary)"
    with (
        psycopg.connect(database.url) as connection,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        copy.set_types(["text", "timestamptz", *(_type(name) for name in COIN_COLUMNS)])
        for row in tuples:
            copy.write_row(row)


def _type(name: str) -> str:
    return "int4" if name == "phase_id_at_time" else _TYPES[COIN_COLUMNS[name]]


def emptied(database: Database, work: Callable[[], None]) -> Callable[[], None]:
    """Return the work on an emptied table; emptying takes a few milliseconds on both sides."""

    def call() -> None:
        with database.connection() as connection:
            connection.execute("TRUNCATE coin_metrics")
        work()

    return call


def _lists(batch: Any) -> list[list[Any]]:
    return [column.to_pylist() for column in batch.columns]
