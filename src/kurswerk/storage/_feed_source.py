"""Where the feed's rows come from: triggers on ``coin_metrics``, or looking again and again at a table of others'."""

from psycopg import sql

from kurswerk.core.errors import ConflictError
from kurswerk.core.timestamps import MICROSECONDS
from kurswerk.market import TIMESTAMP
from kurswerk.storage._coin_states import drop_all_states
from kurswerk.storage._coin_table import CoinTable
from kurswerk.storage._database import Connection, Database
from kurswerk.storage.migrations import feed_trigger

# One process at a time looks. Any constant: "KWf" in hexadecimal.
_LOOKING = 0x4B5766
_INSTALLED = (
    "SELECT count(*) FROM pg_trigger WHERE tgrelid = to_regclass('coin_metrics') AND tgname = ANY (%s)"
    " AND tgenabled IN ('O', 'A')"
)
# The one row of coin_feed_seen without a coin says, in ``content``, from which microsecond on rows are looked at.
_NOTE = """
INSERT INTO coin_feed_seen (coin_id, "timestamp", content) VALUES ('', '-infinity', %s)
ON CONFLICT ("timestamp", coin_id) DO UPDATE SET content = greatest(coin_feed_seen.content, excluded.content)"""
_NOTED = "SELECT content FROM coin_feed_seen WHERE \"timestamp\" = '-infinity' AND coin_id = ''"
_FORGET = """
DELETE FROM coin_feed_seen s USING coin_feed_seen note
WHERE note.coin_id = '' AND note."timestamp" = '-infinity' AND s.coin_id <> ''
  AND s."timestamp" < timestamptz 'epoch' + note.content * interval '1 microsecond'"""
# Revision 0003 wrote 0 where it had looked from the newest row on.
_UNKNOWN = 0
# The first moment that counts, 2 January of the year 1: where there is no row yet, every one is new.
_EVER = -62_135_510_400_000_000
DEFAULT_OVERLAP_S = 120.0


def feed_installed(connection: Connection) -> bool:
    """Return whether the triggers are on ``coin_metrics``."""
    row = connection.execute(_INSTALLED, [list(feed_trigger.FUNCTIONS)]).fetchone()
    return bool(row and row[0] == len(feed_trigger.FUNCTIONS))


def install_feed(database: Database) -> bool:
    """Put the triggers on ``coin_metrics``, whoever made it; return whether they were not there.

    What was committed since the table was last looked at is fed before the triggers take over.

    Raises
    ------
    StorageError
        If there is no such table, or the role may not change it.
    """
    with database.connection() as connection:
        CoinTable.find(connection)
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOOKING])
        there = feed_installed(connection)
        for statement in feed_trigger.creation():
            connection.execute(statement.encode())
        if not there and _noted(connection) is not None:
            _look(connection, DEFAULT_OVERLAP_S, feeding=_has_active_models(connection))
        connection.execute("DELETE FROM coin_feed_seen")
        drop_all_states(connection)
    return not there


def remove_feed(database: Database) -> bool:
    """Take the triggers off ``coin_metrics``; return whether they were there. From then on the table is looked at.

    What waits in the feed stays there.
    """
    with database.connection() as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOOKING])
        there = feed_installed(connection)
        for statement in feed_trigger.removal():
            connection.execute(statement.encode())
        if there:
            _look(connection, DEFAULT_OVERLAP_S, feeding=False)
    return there


def begin_feed(connection: Connection, *, overlap_s: float = DEFAULT_OVERLAP_S, patience_s: float = 10.0) -> None:
    """Start where no model was active, in the transaction that activates the first.

    With triggers it waits for transactions that are writing coins, since they have not told the feed; what they write
    and what was there before is not owed, everything later is.

    Raises
    ------
    ConflictError
        If somebody writes coins for longer than ``patience_s``.
    """
    connection.execute("DELETE FROM coin_feed")
    drop_all_states(connection)
    if not feed_installed(connection):
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOOKING])
        connection.execute("DELETE FROM coin_feed_seen")
        _look(connection, overlap_s, feeding=False)
        return
    connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(int(1000 * patience_s))))
    try:
        with connection.transaction():
            connection.execute("LOCK TABLE coin_metrics IN SHARE MODE")
    except Exception as error:
        if getattr(error, "sqlstate", None) != "55P03":
            raise
        raise ConflictError(
            f"coins have been written for more than {patience_s:g} s by one transaction, perhaps a load of history; "
            "activate the model when that has ended"
        ) from error


def look(connection: Connection, *, overlap_s: float = DEFAULT_OVERLAP_S) -> int:
    """Feed rows of a table without triggers that are new or changed; return how many.

    Looked at are rows from ``overlap_s`` before the newest one of the last look on, however long ago that was. Where
    nobody has looked yet, all that is there is taken as known.

    Parameters
    ----------
    connection
        In a transaction; of several processes one looks.
    """
    row = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOOKING]).fetchone()
    if not row or not row[0]:
        return 0
    if _noted(connection) is None:
        drop_all_states(connection)
        return _look(connection, overlap_s, feeding=False)
    return _look(connection, overlap_s)


def _look(connection: Connection, overlap_s: float, *, feeding: bool = True) -> int:
    """Note rows that are new or changed since the last look, and feed them; return how many were fed."""
    table = CoinTable.find(connection)
    noted = _noted(connection)
    newest = _newest(connection, table)  # before the rows are read: what comes meanwhile is left for the next look
    horizon = _EVER if newest is None else newest - round(overlap_s * MICROSECONDS)
    since = horizon if noted is None or noted == _UNKNOWN else noted
    found = connection.execute(_seen_statement(table, since, feeding=feeding)).fetchone()
    connection.execute(_NOTE, [horizon])
    connection.execute(_FORGET)  # no earlier than that is looked at again
    return int(found[0]) if found else 0


def _has_active_models(connection: Connection) -> bool:
    row = connection.execute("SELECT EXISTS (SELECT FROM ml_models WHERE is_active AND NOT is_deleted)").fetchone()
    return bool(row and row[0])


def _noted(connection: Connection) -> int | None:
    row = connection.execute(_NOTED).fetchone()
    return None if row is None else int(row[0])


def _newest(connection: Connection, table: CoinTable) -> int | None:
    """Return the newest row's microseconds; a row from the future does not count past now."""
    naive = table.columns[TIMESTAMP].kind == "timestamp"
    query = sql.SQL(
        'SELECT (extract(epoch FROM least(max("timestamp"){}, now())) * 1000000)::bigint FROM coin_metrics WHERE {}'
    ).format(sql.SQL(" AT TIME ZONE 'UTC'" if naive else ""), table.present())
    # Its index has the newest at hand; without rows there is none.
    row = connection.execute(
        sql.SQL("SELECT CASE WHEN EXISTS (SELECT FROM coin_metrics WHERE {}) THEN ({}) END").format(
            table.present(), query
        )
    ).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def _seen_statement(table: CoinTable, since_us: int, *, feeding: bool) -> sql.Composed:
    bound = sql.SQL("timestamptz 'epoch' + {} * interval '1 microsecond'").format(sql.Literal(since_us))
    if table.columns[TIMESTAMP].kind == "timestamp":
        bound = sql.SQL("({}) AT TIME ZONE 'UTC'").format(bound)
    return sql.SQL(
        "WITH there AS (SELECT DISTINCT ON (1, 2) mint::text AS coin_id, {moment} AS moment,"
        " hashtextextended(m::text, 0) AS content FROM coin_metrics m"
        ' WHERE "timestamp" >= ({bound}) AND {present} AND length(mint::text) <= 255 ORDER BY 1, 2{last}),'
        # Those that stand there as they did are not written again.
        " changed AS (SELECT t.* FROM there t LEFT JOIN coin_feed_seen s"
        ' ON s."timestamp" = t.moment AND s.coin_id = t.coin_id WHERE s.content IS DISTINCT FROM t.content),'
        ' seen AS (INSERT INTO coin_feed_seen AS s (coin_id, "timestamp", content)'
        ' SELECT coin_id, moment, content FROM changed ON CONFLICT ("timestamp", coin_id) DO UPDATE'
        ' SET content = excluded.content RETURNING s.coin_id, s."timestamp", (s.xmax <> 0)::int::smallint AS kind),'
        ' fed AS (INSERT INTO coin_feed (partition, kind, coin_id, "timestamp")'
        ' SELECT (hashtext(coin_id) & 63)::smallint, kind, coin_id, "timestamp" FROM seen WHERE {feeding} RETURNING 1)'
        " SELECT count(*) FROM fed"
    ).format(
        moment=table.moment(),
        bound=bound,
        present=table.present(),
        last=sql.SQL(", id DESC" if "id" in table.columns and not table.has_key else ""),
        feeding=sql.Literal(feeding),
    )
