"""Several series of an instrument in one table: whose source and price basis are stated, and which are kept apart."""

from collections.abc import Collection, Iterable, Sequence
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from kurswerk.core.errors import ConflictError, DataError
from kurswerk.ingest.ports import UpsertCount
from kurswerk.market import CANDLE_ROLES, MarketSchema, Role
from kurswerk.market.adjustment import CorporateAction
from kurswerk.market.schema import SeriesTables
from kurswerk.market.series import SeriesOrigin, SourceConflict
from kurswerk.storage.markets._table import MarketTable
from kurswerk.storage.markets._upsert import MarketWriter, sized
from kurswerk.storage.server import Connection, Database, make_on_demand

# Any constant: of several programs that miss a year's partition one makes it, the others wait for it.
_PARTITIONS_LOCK = 0x4B75_7273_7061_7274
_OTHER_BASIS = """
SELECT {key}, price_basis, adjusted_as_of FROM {series}
WHERE "interval" = {interval} AND source = %s AND {key} = ANY (%s) AND adjusted_as_of IS DISTINCT FROM %s
ORDER BY {key} LIMIT 1"""
_REGISTER = """
INSERT INTO {series} ({key}, "interval", source, price_basis, adjusted_as_of, is_preferred)
SELECT given.name, {interval}, %s, %s, %s, NOT EXISTS (
    SELECT FROM {series} s WHERE s.{key} = given.name AND s."interval" = {interval} AND s.is_preferred)
FROM unnest(%s::text[]) AS given(name)
ON CONFLICT ({key}, "interval", source) DO NOTHING"""
_OVERTAKEN = """
UPDATE {series} SET is_preferred = false
WHERE "interval" = {interval} AND {key} = ANY (%s) AND is_preferred AND source <> %s"""
_PREFER = """
UPDATE {series} SET is_preferred = true
WHERE "interval" = {interval} AND {key} = ANY (%s) AND NOT is_preferred AND source = %s RETURNING {key}"""
_CORRECTED = """
INSERT INTO {feed} (partition, bulk, kind, coin_id, "timestamp", created_at)
SELECT (hashtext(b.{key}) & 63)::smallint, true, 1, b.{key}, b.{time}, clock_timestamp() FROM {table} b
WHERE b."interval" = {interval} AND b.{key} = ANY (%s)
    AND EXISTS (SELECT FROM ml_models WHERE is_active AND NOT is_deleted AND market = {market})
GROUP BY b.{key}, b.{time}"""
_EXCHANGE = "UPDATE {instruments} SET exchange = %s WHERE {key} = ANY (%s) AND exchange IS NULL"
# What is stored stays: an action that is there with other values is corrected by a row known from now on, unless
# the source gives another moment. All in one statement, so that its triggers run once.
_ADD_ACTIONS = """
WITH given AS (
    SELECT name, day, kind, factor, amount,
        coalesce(timestamptz 'epoch' + known * interval '1 microsecond', day::timestamp AT TIME ZONE 'UTC') AS known_at
    FROM unnest(%s::text[], %s::date[], %s::text[], %s::float8[], %s::float8[], %s::bigint[])
        AS g(name, day, kind, factor, amount, known)
), added AS (
    INSERT INTO {actions} ({key}, "date", kind, factor, amount, known_at)
    SELECT g.name, g.day, g.kind, g.factor, g.amount, CASE WHEN EXISTS (
        SELECT FROM {actions} a
        WHERE a.{key} = g.name AND a."date" = g.day AND a.kind = g.kind AND a.known_at = g.known_at
    ) THEN now() ELSE g.known_at END
    FROM given g LEFT JOIN LATERAL (
        SELECT a.factor, a.amount, true AS there FROM {actions} a
        WHERE a.{key} = g.name AND a."date" = g.day AND a.kind = g.kind ORDER BY a.known_at DESC LIMIT 1
    ) last ON true
    WHERE last.there IS NULL OR (last.factor, last.amount) IS DISTINCT FROM (g.factor, g.amount)
    RETURNING 1
)
SELECT count(*) FROM added"""
_CONFLICTS = """
WITH paid AS (
    SELECT b.{key}, b.{time}, b."date", b.source, s.is_preferred, {paid}
    FROM {table} b JOIN {series} s USING ({key}, "interval", source)
    CROSS JOIN LATERAL (
        SELECT {product}(a.factor ORDER BY a."date") AS factor FROM {actions} a
        WHERE a.{key} = b.{key} AND a.kind = 'split' AND a."date" > b."date" AND a."date" <= s.adjusted_as_of
    ) adjusted
    WHERE b."interval" = {interval} AND b.{key} IN (
        SELECT {key} FROM {series}
        WHERE "interval" = {interval} AND (%(names)s::text[] IS NULL OR {key} = ANY (%(names)s))
        GROUP BY {key} HAVING count(*) > 1)
)
SELECT p.{key}, p.source, o.source, count(*), {counts}, min(p."date") FILTER (WHERE {any})
FROM paid p JOIN paid o ON o.{key} = p.{key} AND o.{time} = p.{time} AND NOT o.is_preferred
WHERE p.is_preferred GROUP BY p.{key}, p.source, o.source ORDER BY p.{key}, o.source"""
_DIFFERS = "{0} IS DISTINCT FROM {1} AND (abs({0} - {1}) <= 1e-9 * greatest(abs({0}), abs({1}))) IS NOT TRUE"


class SeriesSink:
    """Writes the bars of one source; implements `kurswerk.ingest.ports.MarketSink`.

    Parameters
    ----------
    database, market
        A market whose table holds several series of an instrument.
    origin
        Source and price basis of all rows.
    exchange
        Where the instruments trade, for those of which that is not known yet.

    Attributes
    ----------
    instruments
        Whose bars it has been given.
    """

    def __init__(
        self, database: Database, market: MarketSchema, origin: SeriesOrigin, exchange: str | None = None
    ) -> None:
        self._database, self._market, self._origin, self._exchange = database, market, origin, exchange
        self.instruments: set[str] = set()

    def upsert(self, batches: Iterable[pa.RecordBatch]) -> UpsertCount:
        """Insert bars and update those of this source that are there with other values, in one transaction.

        Bars of other sources are never touched.

        Raises
        ------
        ConflictError
            If bars of this source are there with another price basis.
        DataError
            If the table lacks a column.
        """
        if self._market.on_demand:
            make_on_demand(self._database, self._market)
        with self._database.connection() as connection:
            table = MarketTable.find(connection, self._market, stored=True)
            register = _Register(connection, self._market, self._origin)
            writer: MarketWriter | None = None
            for batch in sized(batches):
                ordered = batch.select(
                    [*dict.fromkeys([self._market.key, self._market.timestamp, *batch.schema.names])]
                )
                register.prepare(ordered)
                series = (self._market.interval or "", self._origin.source)
                writer = writer or MarketWriter(connection, table, ordered.schema.names[2:], series)
                writer.write(ordered)
            if self._exchange is not None:
                statement = _composer(self._market)(_EXCHANGE)
                connection.execute(statement, [self._exchange, sorted(register.instruments)])
            self.instruments |= register.instruments
            return writer.count if writer else UpsertCount()


class _Register:
    """Makes what rows need before they are written: their series, and the partitions of their years."""

    def __init__(self, connection: Connection, market: MarketSchema, origin: SeriesOrigin) -> None:
        self._connection, self._market, self._origin = connection, market, origin
        self.instruments: set[str] = set()
        self._years: set[int] = set()

    def prepare(self, batch: pa.RecordBatch) -> None:
        """Make what the rows of a batch need."""
        new = set(batch.column(0).unique().to_pylist()) - self.instruments
        if new:
            self._add_series(sorted(new))
            self.instruments |= new
        years = set(pc.year(batch.column(1)).unique().to_pylist()) - self._years
        if years:
            make_partitions(self._connection, self._market.table, sorted(years))
            self._years |= years

    def _add_series(self, names: list[str]) -> None:
        origin, execute = self._origin, self._connection.execute
        statement = _composer(self._market)
        other = execute(statement(_OTHER_BASIS), [origin.source, names, origin.adjusted_as_of]).fetchone()
        if other is not None:
            raise ConflictError(
                "series.other_price_basis",
                instrument=other[0],
                source=origin.source,
                stored=_described(other[1], other[2]),
                given=_described(origin.price_basis, origin.adjusted_as_of),
            )
        execute(statement(_REGISTER), [origin.source, origin.price_basis, origin.adjusted_as_of, names])
        if origin.preferred:
            prefer_source(self._connection, self._market, origin.source, names)


def prefer_source(connection: Connection, market: MarketSchema, source: str, names: list[str]) -> list[str]:
    """Make a source the preferred one of instruments; return those for which it was another, or none.

    All rows of these are corrected by it, which the feed reports.
    """
    statement = _composer(market)
    connection.execute(statement(_OVERTAKEN), [names, source])
    changed = [row[0] for row in connection.execute(statement(_PREFER), [names, source])]
    if changed:
        connection.execute(statement(_CORRECTED), [changed])
    return changed


def make_partitions(connection: Connection, table: str, years: Iterable[int]) -> None:
    """Make the partitions of years that a table, partitioned by time, does not have yet.

    They are attached, not created as partitions: that would keep others from reading the table meanwhile.
    """
    for year in years:
        name = f"{table}_{year:04}"
        there = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [name]).fetchone()
        if there and there[0]:
            continue
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_PARTITIONS_LOCK])
        there = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [name]).fetchone()
        if there and there[0]:
            continue
        names = {"partition": sql.Identifier(name), "table": sql.Identifier(table)}
        bounds = [sql.Literal(f"{bound:04}-01-01 00:00:00+00") for bound in (year, year + 1)]
        connection.execute(sql.SQL("CREATE TABLE {partition} (LIKE {table} INCLUDING ALL)").format(**names))
        connection.execute(
            sql.SQL("ALTER TABLE {table} ATTACH PARTITION {partition} FOR VALUES FROM ({first}) TO ({end})").format(
                **names, first=bounds[0], end=bounds[1]
            )
        )


def add_actions(database: Database, market: MarketSchema, actions: Sequence[CorporateAction]) -> int:
    """Store actions that are not there yet, or are there with other values; return how many.

    The factors of their instruments follow by trigger, and rows that this changes are reported to the feed.
    """
    columns = [
        [action.instrument for action in actions],
        [action.day for action in actions],
        [action.kind for action in actions],
        [action.factor for action in actions],
        [action.amount for action in actions],
        [action.known_us for action in actions],
    ]
    with database.connection() as connection:
        row = connection.execute(_composer(market)(_ADD_ACTIONS), columns).fetchone()
    return int(row[0]) if row else 0


def source_conflicts(
    database: Database, market: MarketSchema, instruments: Collection[str] | None = None
) -> list[SourceConflict]:
    """Compare the preferred source of each instrument with its others, bar by bar.

    Parameters
    ----------
    instruments
        Only these; None is all.

    Returns
    -------
    list
        One for each pair of sources that differ anywhere, by instrument.
    """
    names = list(market.columns)
    differ = {name: sql.SQL(_DIFFERS).format(sql.Identifier("p", name), sql.Identifier("o", name)) for name in names}
    query = _composer(
        market,
        paid=sql.SQL(", ").join(_paid(market, name) for name in names),
        counts=sql.SQL(", ").join(sql.SQL("count(*) FILTER (WHERE {})").format(one) for one in differ.values()),
        any=sql.SQL(" OR ").join(sql.SQL("({})").format(one) for one in differ.values()),
    )(_CONFLICTS)
    given = None if instruments is None else list(instruments)
    with database.connection() as connection:
        rows = connection.execute(query, {"names": given}).fetchall()
    return [
        SourceConflict(
            row[0], row[1], row[2], row[3], {name: n for name, n in zip(names, row[4:-1], strict=True) if n}, row[-1]
        )
        for row in rows
        if row[-1] is not None
    ]


def _paid(market: MarketSchema, name: str) -> sql.Composed:
    """Return a column as it was paid on the day: a series adjusted up to a later day has the splits since taken out."""
    roles = {market.roles[role] for role in CANDLE_ROLES}
    operator = "*" if name in roles else "/" if name == market.roles[Role.VOLUME] else None
    column = sql.Identifier("b", name)
    if operator is None:
        return sql.SQL("{} AS {}").format(column, sql.Identifier(name))
    return sql.SQL("{} {} adjusted.factor AS {}").format(column, sql.SQL(operator), sql.Identifier(name))


class _Composer:
    """Fills the names of a market's tables into statements."""

    def __init__(self, market: MarketSchema, tables: SeriesTables, more: dict[str, sql.Composable]) -> None:
        self._names: dict[str, sql.Composable] = {
            "table": sql.Identifier(market.table),
            "instruments": sql.Identifier(tables.instruments),
            "series": sql.Identifier(tables.series),
            "actions": sql.Identifier(tables.actions),
            "feed": sql.Identifier(market.feed.feed),
            "product": sql.Identifier(f"kurswerk_{tables.instruments}_product"),
            "key": sql.Identifier(market.key),
            "time": sql.Identifier(market.timestamp),
            "interval": sql.Literal(market.interval),
            "market": sql.Literal(market.name),
            **more,
        }

    def __call__(self, statement: str) -> sql.Composed:
        return sql.SQL(statement).format(**self._names)


def _composer(market: MarketSchema, **more: sql.Composable) -> _Composer:
    if market.series is None:
        raise DataError("series.market_without", market=market.name)
    return _Composer(market, market.series, more)


def _described(price_basis: str, adjusted_as_of: date | None) -> str:
    return "raw" if adjusted_as_of is None else f"{price_basis.replace('_', '-')}:{adjusted_as_of}"
