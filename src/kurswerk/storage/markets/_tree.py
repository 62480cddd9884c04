"""What is stored of a market with series, for a tree of files."""

from collections.abc import Sequence

import pyarrow as pa
from psycopg import sql

from kurswerk.core.errors import DataError
from kurswerk.ingest.tree import StoredSeries
from kurswerk.market import MarketSchema, Panel
from kurswerk.market.series import SeriesOrigin
from kurswerk.storage.markets._series import SeriesSink, prefer_source
from kurswerk.storage.markets._store import PostgresMarketStore
from kurswerk.storage.server import Database, make_on_demand

_SERIES = """
SELECT s.{key}, s."interval", s.source, s.adjusted_as_of, s.is_preferred, b.rows, b.first::text, b.last::text
FROM {series} s CROSS JOIN LATERAL (
    SELECT count(*) AS rows, min(t.{time}) AS first, max(t.{time}) AS last FROM {table} t
    WHERE t.{key} = s.{key} AND t."interval" = s."interval" AND t.source = s.source
) b WHERE b.rows > 0 AND (%(names)s::text[] IS NULL OR s.{key} = ANY (%(names)s))
ORDER BY s.{key}, s."interval", s.source"""
_MONTHS = """
SELECT DISTINCT to_char({time} AT TIME ZONE 'UTC', 'YYYY-MM') FROM {table}
WHERE "interval" = {interval} AND source = {source} ORDER BY 1"""
_BARS = """
SELECT {key}, {time}, {columns} FROM {table}
WHERE "interval" = {interval} AND source = {source} AND {key} = ANY ({names}::text[])
    AND {time} >= {begin}::date::timestamp AT TIME ZONE 'UTC'
    AND {time} < ({begin}::date + interval '1 month') AT TIME ZONE 'UTC'
ORDER BY {key} COLLATE "C", {time}"""
_INSTRUMENTS = """
SELECT {key}, name, sector, industry, exchange, currency, first_day::text, last_day::text, is_active FROM {instruments}
WHERE {names}::text[] IS NULL OR {key} = ANY ({names}::text[]) ORDER BY {key} COLLATE "C" """
_ACTIONS = """
SELECT {key}, "date"::text AS "date", kind, factor, amount,
    to_char(known_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS known_at FROM {actions}
WHERE {names}::text[] IS NULL OR {key} = ANY ({names}::text[]) ORDER BY {key} COLLATE "C", "date", kind, known_at"""
_ADD_INSTRUMENTS = """
WITH changed AS (
    INSERT INTO {instruments} AS i ({key}, name, sector, industry, exchange, currency, first_day, last_day, is_active)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::date[], %s::date[],
        %s::boolean[])
    ON CONFLICT ({key}) DO UPDATE SET
        name = coalesce(i.name, excluded.name), sector = coalesce(i.sector, excluded.sector),
        industry = coalesce(i.industry, excluded.industry), exchange = coalesce(i.exchange, excluded.exchange),
        currency = coalesce(i.currency, excluded.currency)
    WHERE (i.name, i.sector, i.industry, i.exchange, i.currency) IS DISTINCT FROM (coalesce(i.name, excluded.name),
        coalesce(i.sector, excluded.sector), coalesce(i.industry, excluded.industry),
        coalesce(i.exchange, excluded.exchange), coalesce(i.currency, excluded.currency))
    RETURNING 1
)
SELECT count(*) FROM changed"""
_ADD_ACTIONS = """
WITH added AS (
    INSERT INTO {actions} ({key}, "date", kind, factor, amount, known_at)
    SELECT * FROM unnest(%s::text[], %s::date[], %s::text[], %s::float8[], %s::float8[], %s::timestamptz[])
    ON CONFLICT DO NOTHING RETURNING 1
)
SELECT count(*) FROM added"""


class PostgresTreeStore:
    """All series of a market's table; implements `kurswerk.ingest.tree.TreeStore`.

    Parameters
    ----------
    markets
        Those that share the table; rows of no other interval are seen.
    """

    def __init__(self, database: Database, markets: Sequence[MarketSchema]) -> None:
        first = markets[0]
        if first.series is None:
            raise DataError("series.market_without", market=first.name)
        self._database, self._markets = database, tuple(markets)
        self._names = {
            "table": sql.Identifier(first.table),
            "series": sql.Identifier(first.series.series),
            "instruments": sql.Identifier(first.series.instruments),
            "actions": sql.Identifier(first.series.actions),
            "key": sql.Identifier(first.key),
            "time": sql.Identifier(first.timestamp),
        }

    @property
    def markets(self) -> Sequence[MarketSchema]:
        """The markets of its intervals."""
        return self._markets

    def series(self, instruments: Sequence[str] | None) -> list[StoredSeries]:
        """Return the series of instruments (None: all) that have bars, in order."""
        names = None if instruments is None else list(instruments)
        with self._database.connection() as connection:
            rows = connection.execute(self._composed(_SERIES), {"names": names}).fetchall()
        return [StoredSeries(*row) for row in rows]

    def months(self, market: MarketSchema, source: str) -> list[str]:
        """Return the months ``YYYY-MM`` in which a source has bars, in order."""
        with self._database.connection() as connection:
            rows = connection.execute(self._of_source(_MONTHS, market, source)).fetchall()
        return [row[0] for row in rows]

    def bars(self, market: MarketSchema, source: str, month: str, instruments: Sequence[str]) -> pa.Table:
        """Return the bars of a month as they are stored, in order of instrument and time."""
        return self._table(
            self._of_source(
                _BARS,
                market,
                source,
                begin=sql.Literal(f"{month}-01"),
                names=sql.Literal(list(instruments)),
                columns=sql.SQL(", ").join(map(sql.Identifier, market.columns)),
            )
        )

    def panel(self, market: MarketSchema, columns: Sequence[str], instruments: Sequence[str]) -> Panel:
        """Return bars as models read them."""
        return PostgresMarketStore(self._database, market).load_panel(columns, mints=instruments)

    def instruments(self, instruments: Sequence[str] | None) -> pa.Table:
        """Return what is known of instruments, in order."""
        return self._table(self._composed(_INSTRUMENTS, names=_listed(instruments)))

    def actions(self, instruments: Sequence[str] | None) -> pa.Table:
        """Return splits and dividends with the moments from which on they were known, in order."""
        return self._table(self._composed(_ACTIONS, names=_listed(instruments)))

    def sink(self, market: MarketSchema, origin: SeriesOrigin) -> SeriesSink:
        """Return what stores bars of one source."""
        return SeriesSink(self._database, market, origin)

    def prefer(self, market: MarketSchema, source: str, instruments: Sequence[str]) -> None:
        """Read a source of instruments from now on."""
        if market.on_demand:
            make_on_demand(self._database, market)
        with self._database.connection() as connection:
            prefer_source(connection, market, source, list(instruments))

    def add_instruments(self, table: pa.Table) -> int:
        """Fill in what is not known of instruments yet; return how many changed."""
        return self._add(_ADD_INSTRUMENTS, table)

    def add_actions(self, table: pa.Table) -> int:
        """Store actions that are not there, with their moments; return how many."""
        return self._add(_ADD_ACTIONS, table)

    def _add(self, statement: str, table: pa.Table) -> int:
        columns = [column.to_pylist() for column in table.columns]
        with self._database.connection() as connection:
            row = connection.execute(self._composed(statement), columns).fetchone()
        return int(row[0]) if row else 0

    def _table(self, query: sql.Composed) -> pa.Table:
        with self._database.connection() as connection:
            text = query.as_string(connection)
        with self._database.arrow_connection() as arrow, arrow.cursor() as cursor:
            cursor.execute(text)
            found: pa.Table = cursor.fetch_arrow_table()
        return found

    def _of_source(self, statement: str, market: MarketSchema, source: str, **more: sql.Composable) -> sql.Composed:
        return self._composed(statement, interval=sql.Literal(market.interval), source=sql.Literal(source), **more)

    def _composed(self, statement: str, **more: sql.Composable) -> sql.Composed:
        return sql.SQL(statement).format(**self._names, **more)


def _listed(instruments: Sequence[str] | None) -> sql.Composable:
    return sql.SQL("NULL") if instruments is None else sql.Literal(list(instruments))
