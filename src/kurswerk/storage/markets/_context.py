"""What stands beside the rows of coins: the coins themselves and exchange rates."""

from collections.abc import Iterable

import pyarrow as pa
from psycopg import sql

from kurswerk.storage.server import Connection, Database

_STREAMS = ("token_address", "is_active", "current_phase_id", "created_at", "ath_price_sol", "ath_timestamp")
_RATES = (
    "created_at",
    "sol_price_usd",
    "usd_to_eur_rate",
    "native_currency_price_usd",
    "blockchain_id",
    "source",
)


class MarketContextStore:
    """Writes ``coin_streams`` and ``exchange_rates``, as the simulator needs it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write_streams(self, streams: pa.Table) -> int:
        """Insert coins, or bring them up to date where they are; return how many rows were given."""
        with self._database.connection() as connection:
            _stage(connection, "coin_streams", _STREAMS, streams)
            connection.execute("DELETE FROM coin_streams c USING staged s WHERE c.token_address = s.token_address")
            _insert_staged(connection, "coin_streams", _STREAMS)
        return int(streams.num_rows)

    def write_exchange_rates(self, rates: pa.Table) -> int:
        """Insert rates; a rate of the same source and moment is replaced. Return how many rows were given."""
        with self._database.connection() as connection:
            _stage(connection, "exchange_rates", _RATES, rates)
            connection.execute(
                "DELETE FROM exchange_rates e USING staged s "
                "WHERE e.created_at = s.created_at AND e.source IS NOT DISTINCT FROM s.source"
            )
            _insert_staged(connection, "exchange_rates", _RATES)
        return int(rates.num_rows)


def _names(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in columns)


def _stage(connection: Connection, table: str, columns: tuple[str, ...], rows: pa.Table) -> None:
    """Copy rows into a temporary table ``staged`` that is gone with the transaction."""
    create = sql.SQL("CREATE TEMPORARY TABLE staged ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA")
    connection.execute(create.format(_names(columns), sql.Identifier(table)))
    with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL("COPY staged ({}) FROM STDIN").format(_names(columns))) as copy,
    ):
        for row in zip(*(rows.column(name).to_pylist() for name in columns), strict=True):
            copy.write_row(row)


def _insert_staged(connection: Connection, table: str, columns: tuple[str, ...]) -> None:
    insert = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM staged")
    connection.execute(insert.format(sql.Identifier(table), _names(columns), _names(columns)))
