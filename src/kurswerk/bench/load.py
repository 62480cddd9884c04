"""A table into a Panel, against ADBC fetching the same columns as Arrow."""

from typing import Any

import adbc_driver_postgresql.dbapi

from kurswerk.bench._measure import compare
from kurswerk.bench._server import fresh_database, synthetic_rows
from kurswerk.market import COIN_COLUMNS
from kurswerk.storage import CoinMetricsStore, Database

ROWS = 1_000_000
FEW = ("price_open", "price_high", "price_low", "price_close", "volume_sol")


def run(*, rows: int = ROWS, repeats: int = 3) -> list[dict[str, Any]]:
    """Measure both in turn on the same table, with five columns and with all.

    Returns
    -------
    list of dict
        ``name, ours_s, peer, peer_s, ratio, at_least, note`` each.
    """
    with fresh_database() as (database, _):
        store = CoinMetricsStore(database)
        store.upsert(synthetic_rows(rows))
        with database.connection() as connection:
            connection.execute("ANALYZE coin_metrics")
        return [
            compare(
                f"load, {len(columns)} columns",
                lambda columns=columns: store.load_panel(columns),  # type: ignore[misc]
                ("ADBC fetch_arrow_table", lambda columns=columns: fetch_arrow(database, columns)),  # type: ignore[misc]
                (repeats, repeats),
                (0.8, f"{rows:,} rows with key and time; the Panel is sorted, the Arrow table is not"),
            )
            for columns in (FEW, tuple(COIN_COLUMNS))
        ]


def fetch_arrow(database: Database, columns: tuple[str, ...]) -> Any:
    """Fetch key, time and columns of the whole table as Arrow."""
    names = ", ".join(("mint", '"timestamp"', *columns))
    with adbc_driver_postgresql.dbapi.connect(database.url) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT {names} FROM coin_metrics")  # noqa: S608 - names of our own columns
        return cursor.fetch_arrow_table()
