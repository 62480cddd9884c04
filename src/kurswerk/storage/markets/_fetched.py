"""What fetching needs to know of the bars of one source."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from kurswerk.core.errors import DataError
from kurswerk.core.timestamps import to_datetime, to_us
from kurswerk.ingest.fetching import Instrument
from kurswerk.market import MarketSchema, Role
from kurswerk.market.adjustment import CorporateAction
from kurswerk.storage.markets._series import add_actions
from kurswerk.storage.server import Database

_STORED = """
SELECT (extract(epoch FROM {time}) * 1000000)::bigint, {close}::float8 FROM {table}
WHERE {key} = %s AND "interval" = {interval} AND source = {source} AND {time} BETWEEN %s AND %s ORDER BY {time}"""
_FIRST = 'SELECT min({time}) FROM {table} WHERE {key} = %s AND "interval" = {interval} AND source = {source}'
_INSTRUMENT = "SELECT exchange, currency, name FROM {instruments} WHERE {key} = %s"
_DESCRIBE = """
UPDATE {instruments} SET exchange = coalesce(exchange, %s), currency = coalesce(currency, %s), name = coalesce(name, %s)
WHERE {key} = %s"""
_CURRENCY_LENGTH = 3


class PostgresBarStore:
    """The stored bars of one source and interval; implements `kurswerk.ingest.fetching.BarStore`.

    Parameters
    ----------
    market
        A market whose table holds several series of an instrument.
    source
        Whose bars.
    """

    def __init__(self, database: Database, market: MarketSchema, source: str) -> None:
        if market.series is None:
            raise DataError("series.market_without", market=market.name)
        self._database, self._market = database, market
        self._names = {
            "table": sql.Identifier(market.table),
            "instruments": sql.Identifier(market.series.instruments),
            "key": sql.Identifier(market.key),
            "time": sql.Identifier(market.timestamp),
            "close": sql.Identifier(market.column_of(Role.CLOSE)),
            "interval": sql.Literal(market.interval),
            "source": sql.Literal(source),
        }

    def instrument(self, symbol: str) -> Instrument:
        """Return what is known of an instrument."""
        with self._database.connection() as connection:
            row = connection.execute(self._composed(_INSTRUMENT), [symbol]).fetchone()
        return Instrument(*row) if row else Instrument()

    def describe(self, symbol: str, known: Instrument) -> None:
        """Store what was learnt of an instrument that has bars; what is there stays."""
        currency = known.currency if known.currency and len(known.currency) <= _CURRENCY_LENGTH else None
        with self._database.connection() as connection:
            connection.execute(self._composed(_DESCRIBE), [known.exchange, currency, known.name, symbol])

    def stored(self, symbol: str, first_us: int, last_us: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return times and closes of the bars in a period, both ends included, ascending; as they were paid."""
        with self._database.connection() as connection:
            rows = connection.execute(
                self._composed(_STORED), [symbol, to_datetime(first_us), to_datetime(last_us)]
            ).fetchall()
        closes = [np.nan if close is None else close for _, close in rows]
        return np.array([moment for moment, _ in rows], dtype=np.int64), np.array(closes, dtype=np.float64)

    def first_us(self, symbol: str) -> int | None:
        """Return the time of the first bar; None if there is none."""
        with self._database.connection() as connection:
            row = connection.execute(self._composed(_FIRST), [symbol]).fetchone()
        return to_us(row[0]) if row and row[0] is not None else None

    def add_actions(self, actions: Sequence[CorporateAction]) -> int:
        """Store splits and dividends that are not there yet; return how many."""
        return add_actions(self._database, self._market, actions) if actions else 0

    def _composed(self, statement: str) -> sql.Composed:
        return sql.SQL(statement).format(**self._names)
