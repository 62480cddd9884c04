"""Price and phase of single market rows, for messages about them."""

from collections.abc import Collection, Mapping
from datetime import datetime

from psycopg import sql

from kurswerk.alerts import RowContext
from kurswerk.core.errors import KurswerkError
from kurswerk.market import MARKETS, MarketSchema, Role, Segment
from kurswerk.observability import get_logger
from kurswerk.storage.markets._table import MarketTable
from kurswerk.storage.server import Connection, Database

log = get_logger(__name__)


class MarketRowReader:
    """Reads what messages show of market rows; implements `kurswerk.alerts.RowContextSource`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def row_contexts(
        self, market: str, rows: Collection[tuple[str, datetime]]
    ) -> Mapping[tuple[str, datetime], RowContext]:
        """Return price and phase of rows by instrument and time; what cannot be read is left out.

        A message without a price is worth more than none, so an error of the database is logged and not raised.
        """
        schema = MARKETS.get(market)
        found: dict[tuple[str, datetime], RowContext] = {}
        if schema is not None:
            try:
                with self._database.connection() as connection:
                    found = _read(connection, schema, rows)
            except KurswerkError as error:
                log.warning("messages go without price and phase", market=market, reason=str(error))
        return {row: found.get(row, RowContext(market)) for row in rows}


def _read(
    connection: Connection, market: MarketSchema, rows: Collection[tuple[str, datetime]]
) -> dict[tuple[str, datetime], RowContext]:
    table = MarketTable.find(connection, market)
    segment = _segment(connection, table, market)
    query = sql.SQL(
        "SELECT given.instrument, given.moment, {price}, {phase} FROM unnest(%s::text[], %s::timestamptz[])"
        " AS given(instrument, moment) CROSS JOIN LATERAL (SELECT * FROM {table} t"
        " WHERE t.{key} = given.instrument AND t.{timestamp} = {moment} {newest} LIMIT 1) row {segment}"
    ).format(
        price=_price(table, market),
        phase=sql.SQL("segment.name" if segment else "NULL"),
        table=table.name,
        key=table.key,
        timestamp=table.timestamp,
        moment=table.as_stored(sql.SQL("given.moment")),
        newest=sql.SQL("ORDER BY t.id DESC" if table.has_ids else ""),
        segment=_segment_join(segment) if segment else sql.SQL(""),
    )
    names, moments = [name for name, _ in rows], [moment for _, moment in rows]
    return {
        (name, moment): RowContext(market.name, price, phase)
        for name, moment, price, phase in connection.execute(query, [names, moments]).fetchall()
    }


def _price(table: MarketTable, market: MarketSchema) -> sql.Composable:
    column = market.roles.get(Role.CLOSE)
    if column is None or column not in table.columns:
        return sql.SQL("NULL::double precision")
    return table.number(column, sql.Identifier("row", column))


def _segment(connection: Connection, table: MarketTable, market: MarketSchema) -> Segment | None:
    """Return the market's segment where both its column and its reference table are there."""
    if market.segment is None or market.segment.column not in table.columns:
        return None
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [market.segment.table]).fetchone()
    return market.segment if row and row[0] else None


def _segment_join(segment: Segment) -> sql.Composable:
    return sql.SQL("LEFT JOIN {} segment ON segment.id = row.{}").format(
        sql.Identifier(segment.table), sql.Identifier(segment.column)
    )
