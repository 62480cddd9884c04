"""The table into a panel, against ADBC fetching the same columns as Arrow."""

from typing import Any

import adbc_driver_postgresql.dbapi
import psycopg
import pyarrow as pa
from psycopg import sql

from benchmarks._coin_rows import coin_batches, own_database
from benchmarks._measure import compare
from kurswerk.market import COINS, KEY, TIMESTAMP
from kurswerk.storage.markets import PostgresMarketStore
from kurswerk.storage.server import Database


def run(*, rows: int = 1_000_000, repeats: int = 5) -> list[dict[str, Any]]:
    """Measure loading all columns of all rows.

    Returns
    -------
    list of dict
        One entry with ``name, ours_s, peer, peer_s, ratio, at_least, note``.
    """
    with own_database() as (database, _):
        store = PostgresMarketStore(database, COINS)
        store.upsert(coin_batches(rows))
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE coin_metrics")
        columns = list(COINS.columns)
        store.load_panel(columns[:1], end_us=0)  # compile
        note = f"{rows:,} rows of {len(columns) + 2} columns; ours sorted by coin and time, as float64"
        entry = compare(
            "load",
            lambda: store.load_panel(columns),
            ("ADBC to Arrow, unsorted", lambda: fetch_arrow(database, columns)),
            (repeats, repeats),
            (0.8, note),
        )
    return [entry]


def fetch_arrow(database: Database, columns: list[str]) -> pa.Table:
    """Fetch keys and columns as ADBC does it by itself."""
    names = sql.SQL(", ").join(map(sql.Identifier, (KEY, TIMESTAMP, *columns)))
    query = sql.SQL("SELECT {} FROM coin_metrics").format(names).as_string()
    with adbc_driver_postgresql.dbapi.connect(database.url) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetch_arrow_table()
