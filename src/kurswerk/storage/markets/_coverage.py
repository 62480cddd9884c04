"""What there is of each instrument."""

from contextlib import suppress

from psycopg import sql

from kurswerk.core.errors import NoDataError
from kurswerk.market import MarketSchema
from kurswerk.market.coverage import CoinCoverage
from kurswerk.storage.markets._table import MarketTable
from kurswerk.storage.server import Database

# A row may come late by as much as one interval, so that a gap is where three intervals passed without any.
_GAP_INTERVALS = 3
_DEFAULT_INTERVAL_S = 60

_QUERY = sql.SQL("""
SELECT instrument, count(*), min(moment), max(moment), count(*) FILTER (WHERE moment - before > {gap} * step),
       (array_agg(segment ORDER BY moment DESC))[1]
FROM (
    SELECT m.{key}::text AS instrument, {moment} AS moment, {segment} AS segment,
           lag({moment}) OVER (PARTITION BY m.{key} ORDER BY {moment}) AS before, {step} AS step
    FROM {table} m {joins}
    WHERE {present}
) rows GROUP BY instrument ORDER BY max(moment) DESC, instrument LIMIT {limit}
""")
_SEGMENT_STEP = sql.SQL("make_interval(secs => greatest(coalesce(nullif(p.interval_seconds, 0), {default}), 1))")
# Without segments, which state their interval, that of an instrument is the median step between its rows.
_STEPS = sql.SQL("""
JOIN (
    SELECT instrument, percentile_disc(0.5) WITHIN GROUP (ORDER BY step) AS step
    FROM (SELECT {key} AS instrument, {moment} - lag({moment}) OVER (PARTITION BY {key} ORDER BY {moment}) AS step
          FROM {table} WHERE {present}) steps GROUP BY instrument
) s ON s.instrument = m.{key}""")


def coverage(database: Database, market: MarketSchema, limit: int = 10_000) -> list[CoinCoverage]:
    """Count each instrument's rows and gaps; reads the whole table.

    Returns
    -------
    list
        The instruments with the newest rows first, at most ``limit``.
    """
    with suppress(NoDataError), database.connection() as connection:
        table = MarketTable.find(connection, market)
        segment, step, joins = _intervals(table)
        query = _QUERY.format(
            key=table.key,
            table=table.name,
            moment=table.moment("m"),
            segment=segment,
            step=step,
            joins=joins,
            gap=sql.Literal(_GAP_INTERVALS),
            present=table.present(),
            limit=sql.Literal(limit),
        )
        return [CoinCoverage(*row) for row in connection.execute(query).fetchall()]
    return []


def _intervals(table: MarketTable) -> tuple[sql.Composable, sql.Composable, sql.Composable]:
    """Return a row's segment, the interval at which rows are expected there, and the tables these need."""
    segment = table.market.segment
    if segment is None:
        steps = _STEPS.format(key=table.key, table=table.name, moment=table.moment(), present=table.present())
        return sql.SQL("NULL::int"), sql.SQL("s.step"), steps
    found = segment.column in table.columns
    column = sql.Identifier("m", segment.column) if found else sql.SQL("NULL::int")
    joins = sql.SQL("LEFT JOIN {} p ON p.id = {}").format(sql.Identifier(segment.table), column)
    return column, _SEGMENT_STEP.format(default=sql.Literal(_DEFAULT_INTERVAL_S)), joins
