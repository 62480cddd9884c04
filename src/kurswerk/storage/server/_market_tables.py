"""The tables of registered markets, made from their schemas after the migrations have run.

Coins have theirs from the migrations; for them there is nothing left to do here.
"""

from collections.abc import Iterable, Iterator
from math import isfinite

from psycopg import sql

from kurswerk.core.errors import ConflictError
from kurswerk.market import KEY_LENGTH, Column, MarketSchema
from kurswerk.storage.server._as_of_tables import as_of_creation, as_of_relations
from kurswerk.storage.server._database import Connection, Database
from kurswerk.storage.server._feed_trigger import trigger_creation
from kurswerk.storage.server._joined_trigger import joined_function, joined_trigger_creation
from kurswerk.storage.server._revisions import MIGRATION_LOCK, OWNED_TABLE
from kurswerk.storage.server._series_tables import series_functions, series_tables, stored_creation

_FEED = """
CREATE TABLE {feed} (
    LIKE coin_feed INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING IDENTITY INCLUDING INDEXES
) WITH (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_threshold = 2000000000
)"""
# The feed's other tables have the columns, keys and constraints of the coins' ones.
_LIKE = "CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)"


def missing_market_tables(connection: Connection, markets: Iterable[MarketSchema]) -> list[str]:
    """Return the tables of these markets that are not there."""
    names = [
        name
        for market in markets
        for name in (market.table, *series_tables(market), *_feed_tables(market), *as_of_relations(market))
    ]
    rows = connection.execute("SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NULL", [names])
    return [row[0] for row in rows]


def create_market_tables(connection: Connection, markets: Iterable[MarketSchema]) -> None:
    """Create the tables of these markets that are not there, in the caller's transaction.

    A market's table that somebody else made is used as it is and not altered; one of ours gets the feed's triggers.

    Raises
    ------
    ConflictError
        If a table that must be ours is there already.
    """
    for market in markets:
        beside = as_of_relations(market)
        missing = missing_market_tables(connection, [market])
        own = [name for name in missing if name not in beside]
        if own:
            _create_own_tables(connection, market, own)
        beside = [name for name in beside if name in missing]
        for statement in as_of_creation(market, beside):
            connection.execute(statement)
        made = [table.name for table in market.as_of_tables if table.name in beside]
        for statement in joined_trigger_creation(market, made) if made else []:
            connection.execute(statement)
        _own(connection, market, made)


def _create_own_tables(connection: Connection, market: MarketSchema, missing: list[str]) -> None:
    ours = (*series_tables(market), *_feed_tables(market))
    if market.on_demand and market.series:
        ours = (market.relation, *_feed_tables(market))
    elif market.series:  # bars of somebody else, without the tables beside them, could not be read
        ours += (market.table,)
    taken = [name for name in ours if name not in missing]
    if taken:
        raise ConflictError("database.tables_taken", tables=", ".join(taken))
    for statement in _feed_creation(market):
        connection.execute(statement)
    if market.table in missing or market.on_demand:
        for statement in stored_creation(market) if market.series else [_table_creation(market)]:
            connection.execute(statement)
        for statement in trigger_creation(market):
            connection.execute(statement)
    _own(connection, market, [name for name in missing if name != market.relation or not market.series])


def make_on_demand(database: Database, market: MarketSchema) -> None:
    """Create the tables of a market on demand, if they are not there; of several processes one does.

    Raises
    ------
    ConflictError
        If a table that must be ours is there already.
    """
    with database.connection() as connection:
        if missing_market_tables(connection, [market]):
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [MIGRATION_LOCK])
            create_market_tables(connection, [market])


def drop_market_tables(connection: Connection) -> None:
    """Drop the tables of markets that Kurswerk created here, those of markets that it no longer knows too."""
    rows = connection.execute(f"SELECT name FROM {OWNED_TABLE} WHERE market IS NOT NULL").fetchall()  # noqa: S608 - a constant  # nosec B608
    for (name,) in rows:
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(sql.Identifier(name)))
        connection.execute(sql.SQL("DROP FUNCTION IF EXISTS {}()").format(joined_function(name)))
    for function in series_functions(connection):
        connection.execute(sql.SQL("DROP ROUTINE IF EXISTS {} CASCADE").format(sql.SQL(function)))
    connection.execute(f"DELETE FROM {OWNED_TABLE} WHERE market IS NOT NULL")  # noqa: S608 - a constant  # nosec B608


def _feed_tables(market: MarketSchema) -> tuple[str, ...]:
    feed = market.feed
    return (feed.feed, feed.seen, feed.revisions, feed.states)


def _own(connection: Connection, market: MarketSchema, names: Iterable[str]) -> None:
    connection.execute(
        f"INSERT INTO {OWNED_TABLE} (name, market) SELECT name, %s FROM unnest(%s::text[]) AS name",  # noqa: S608 - a constant  # nosec B608
        [market.name, list(names)],
    )


def _feed_creation(market: MarketSchema) -> Iterator[sql.Composed]:
    feed = market.feed
    yield sql.SQL(_FEED).format(feed=sql.Identifier(feed.feed))
    for name, like in (
        (feed.seen, "coin_feed_seen"),
        (feed.revisions, "coin_revisions"),
        (feed.states, "coin_states"),
    ):
        yield sql.SQL(_LIKE).format(sql.Identifier(name), sql.Identifier(like))


def _table_creation(market: MarketSchema) -> sql.Composed:
    """Return the statement of the market's own table: one row of each (key, timestamp)."""
    columns = [
        sql.SQL("id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"),
        sql.SQL("{} varchar({}) NOT NULL").format(sql.Identifier(market.key), sql.Literal(KEY_LENGTH)),
        sql.SQL("{} timestamptz NOT NULL").format(sql.Identifier(market.timestamp)),
        *(_column(name, column) for name, column in market.columns.items()),
        sql.SQL("UNIQUE ({}, {})").format(sql.Identifier(market.key), sql.Identifier(market.timestamp)),
    ]
    # Small beside a tree, and rows arrive nearly in the order of time.
    return sql.SQL("CREATE TABLE {table} ({columns}); CREATE INDEX ON {table} USING brin ({time})").format(
        table=sql.Identifier(market.table),
        columns=sql.SQL(", ").join(columns),
        time=sql.Identifier(market.timestamp),
    )


def _column(name: str, column: Column) -> sql.Composed:
    declared = sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(column.kind.value))
    if not isfinite(column.maximum):
        return declared
    least = -column.maximum if column.signed else 0.0
    return sql.SQL("{} CHECK ({} BETWEEN {} AND {})").format(
        declared, sql.Identifier(name), sql.Literal(least), sql.Literal(column.maximum)
    )
