"""Where a feed's rows come from: triggers on the market's table, or polling a table that may not carry any."""

from psycopg import sql

from kurswerk.core.errors import ConflictError
from kurswerk.core.timestamps import MICROSECONDS
from kurswerk.market import MarketSchema
from kurswerk.storage.feed._joined_changes import compare_joined, forget_joined, forget_seen
from kurswerk.storage.feed._locks import FeedLocks
from kurswerk.storage.feed._states import StateTable
from kurswerk.storage.markets import MarketTable
from kurswerk.storage.server import (
    Connection,
    Database,
    FeedNames,
    joined_trigger_creation,
    joined_trigger_removal,
    trigger_creation,
    trigger_removal,
)

_INSTALLED = (
    "SELECT count(*) FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND tgname = ANY (%s) AND tgenabled IN ('O', 'A')"
)
# The one seen row without an instrument holds, in ``content``, from which microsecond on rows are polled.
_NOTE = """
INSERT INTO {seen} AS s (coin_id, "timestamp", content) VALUES ('', '-infinity', %s)
ON CONFLICT ("timestamp", coin_id) DO UPDATE SET content = greatest(s.content, excluded.content)"""
_NOTED = "SELECT content FROM {seen} WHERE \"timestamp\" = '-infinity' AND coin_id = ''"
_FORGET = """
DELETE FROM {seen} s USING {seen} note
WHERE note.coin_id = '' AND note."timestamp" = '-infinity' AND s.coin_id <> ''
  AND s."timestamp" < timestamptz 'epoch' + note.content * interval '1 microsecond'"""
# Revision 0003 wrote 0 where it had looked from the newest row on.
_UNKNOWN = 0
# The first moment that counts, 2 January of the year 1: where there is no row yet, every one is new.
_EVER = -62_135_510_400_000_000
DEFAULT_OVERLAP_S = 120.0


def feed_installed(connection: Connection, market: MarketSchema) -> bool:
    """Return whether the triggers are on the market's table."""
    names = FeedNames.of(market.name)
    row = connection.execute(_INSTALLED, [market.table, [names.inserted, names.updated]]).fetchone()
    return bool(row and row[0] == 2)


def install_feed(database: Database, market: MarketSchema) -> bool:
    """Put the triggers on the market's table, whoever made it; return whether they were not there.

    What was committed since the table was last polled is fed before the triggers take over.

    Raises
    ------
    StorageError
        If there is no such table, or the role may not change it.
    """
    with database.connection() as connection:
        MarketTable.find(connection, market)
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [FeedLocks.of(market).polling])
        there = feed_installed(connection, market)
        for statement in trigger_creation(market):
            connection.execute(statement)
        if not there and _noted(connection, market) is not None:
            _poll(connection, market, DEFAULT_OVERLAP_S, feeding=has_active_models(connection, market))
        compare_joined(connection, market)
        for statement in joined_trigger_creation(market, MarketTable.find(connection, market).joined_tables):
            connection.execute(statement)
        forget_seen(connection, market)
        _clear(connection, market.feed.seen)
        StateTable(market).clear(connection)
    return not there


def remove_feed(database: Database, market: MarketSchema) -> bool:
    """Take the triggers off the market's table; return whether they were there. From then on the table is polled.

    What waits in the feed stays there.
    """
    with database.connection() as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [FeedLocks.of(market).polling])
        there = feed_installed(connection, market)
        for statement in trigger_removal(market):
            connection.execute(statement)
        if there:
            _poll(connection, market, DEFAULT_OVERLAP_S, feeding=False)
        for statement in joined_trigger_removal(market):
            connection.execute(statement)
        compare_joined(connection, market)
    return there


def begin_feed(
    connection: Connection, market: MarketSchema, *, overlap_s: float = DEFAULT_OVERLAP_S, patience_s: float = 10.0
) -> None:
    """Start where no model of the market was active, in the transaction that activates the first.

    With triggers it waits for transactions that are writing rows, since the feed does not know of these; what they
    write and what was there before is not predicted, everything later is.

    Raises
    ------
    ConflictError
        If somebody writes rows for longer than ``patience_s``.
    """
    _clear(connection, market.feed.feed)
    connection.execute("DELETE FROM pending_rows WHERE market = %s", [market.name])
    StateTable(market).clear(connection)
    forget_joined(connection, market)
    if not feed_installed(connection, market):
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [FeedLocks.of(market).polling])
        _clear(connection, market.feed.seen)
        _poll(connection, market, overlap_s, feeding=False)
        return
    connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(int(1000 * patience_s))))
    try:
        with connection.transaction():
            connection.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE").format(sql.Identifier(market.table)))
    except Exception as error:
        if getattr(error, "sqlstate", None) != "55P03":
            raise
        raise ConflictError("feed.long_transaction", seconds=patience_s) from error


def poll(connection: Connection, market: MarketSchema, *, overlap_s: float = DEFAULT_OVERLAP_S) -> int:
    """Feed rows of a table without triggers that are new or changed; return how many.

    Read are rows from ``overlap_s`` before the newest one of the last poll on, however long ago that was. The first
    poll takes all that is there as known.

    Parameters
    ----------
    connection
        In a transaction; of several processes one polls.
    """
    row = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [FeedLocks.of(market).polling]).fetchone()
    if not row or not row[0]:
        return 0
    if _noted(connection, market) is None:
        StateTable(market).clear(connection)
        return _poll(connection, market, overlap_s, feeding=False)
    return _poll(connection, market, overlap_s)


def _poll(connection: Connection, market: MarketSchema, overlap_s: float, *, feeding: bool = True) -> int:
    """Note rows that are new or changed since the last poll, and feed them; return how many were fed."""
    table = MarketTable.find(connection, market)
    noted = _noted(connection, market)
    seen = sql.Identifier(market.feed.seen)
    newest = _newest(connection, table)  # before the rows are read: what comes meanwhile is left for the next poll
    horizon = _EVER if newest is None else newest - round(overlap_s * MICROSECONDS)
    since = horizon if noted is None or noted == _UNKNOWN else noted
    found = connection.execute(_seen_statement(table, since, feeding=feeding)).fetchone()
    connection.execute(sql.SQL(_NOTE).format(seen=seen), [horizon])
    connection.execute(sql.SQL(_FORGET).format(seen=seen))  # nothing earlier is read again
    return int(found[0]) if found else 0


def has_active_models(connection: Connection, market: MarketSchema) -> bool:
    """Return whether a model of the market predicts."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM ml_models WHERE is_active AND NOT is_deleted AND market = %s)", [market.name]
    ).fetchone()
    return bool(row and row[0])


def _clear(connection: Connection, table: str) -> None:
    connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))


def _noted(connection: Connection, market: MarketSchema) -> int | None:
    row = connection.execute(sql.SQL(_NOTED).format(seen=sql.Identifier(market.feed.seen))).fetchone()
    return None if row is None else int(row[0])


def _newest(connection: Connection, table: MarketTable) -> int | None:
    """Return the newest row's microseconds; a row from the future does not count past now."""
    query = sql.SQL("SELECT (extract(epoch FROM least(max({}){}, now())) * 1000000)::bigint FROM {} WHERE {}").format(
        table.timestamp, sql.SQL(" AT TIME ZONE 'UTC'" if table.is_naive else ""), table.name, table.present()
    )
    # Its index has the newest at hand; without rows there is none.
    row = connection.execute(
        sql.SQL("SELECT CASE WHEN EXISTS (SELECT FROM {} WHERE {}) THEN ({}) END").format(
            table.name, table.present(), query
        )
    ).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def _seen_statement(table: MarketTable, since_us: int, *, feeding: bool) -> sql.Composed:
    bound = sql.SQL("timestamptz 'epoch' + {} * interval '1 microsecond'").format(sql.Literal(since_us))
    return sql.SQL(
        "WITH there AS (SELECT DISTINCT ON (1, 2) m.{key}::text AS coin_id, {moment} AS moment,"
        " hashtextextended(m::text, 0) AS content FROM {table} m"
        " WHERE m.{time} >= {bound} AND {present} AND length(m.{key}::text) <= 255 ORDER BY 1, 2{last}),"
        # Those that stand there as they did are not written again.
        " changed AS (SELECT t.* FROM there t LEFT JOIN {seen} s"
        ' ON s."timestamp" = t.moment AND s.coin_id = t.coin_id WHERE s.content IS DISTINCT FROM t.content),'
        ' seen AS (INSERT INTO {seen} AS s (coin_id, "timestamp", content)'
        ' SELECT coin_id, moment, content FROM changed ON CONFLICT ("timestamp", coin_id) DO UPDATE'
        ' SET content = excluded.content RETURNING s.coin_id, s."timestamp", (s.xmax <> 0)::int::smallint AS kind),'
        ' fed AS (INSERT INTO {feed} (partition, kind, coin_id, "timestamp")'
        ' SELECT (hashtext(coin_id) & 63)::smallint, kind, coin_id, "timestamp" FROM seen WHERE {feeding} RETURNING 1)'
        " SELECT count(*) FROM fed"
    ).format(
        table=table.name,
        key=table.key,
        time=table.timestamp,
        feed=sql.Identifier(table.market.feed.feed),
        seen=sql.Identifier(table.market.feed.seen),
        moment=table.moment("m"),
        bound=table.as_stored(sql.SQL("({})").format(bound)),
        present=table.present(),
        last=sql.SQL(", id DESC" if table.has_ids and not table.has_key else ""),
        feeding=sql.Literal(feeding),
    )
