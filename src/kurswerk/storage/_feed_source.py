"""Where the feed's rows come from: triggers on ``coin_metrics``, or looking again and again at a table of others'."""

from psycopg import sql

from kurswerk.core.errors import ConflictError, StorageError
from kurswerk.core.timestamps import MICROSECONDS
from kurswerk.market import TIMESTAMP
from kurswerk.storage._coin_states import drop_states
from kurswerk.storage._coin_table import CoinTable
from kurswerk.storage._database import Connection, Database
from kurswerk.storage.migrations import feed_trigger

# One process at a time looks. Any constant: "KWf" in hexadecimal.
_LOOKING = 0x4B5766
_INSTALLED = (
    "SELECT count(*) FROM pg_trigger WHERE tgrelid = to_regclass('coin_metrics') AND tgname = ANY (%s)"
    " AND tgenabled IN ('O', 'A')"
)
# Stands in coin_feed_seen for "what was there when the first model was activated has been noted".
_NOTE = "INSERT INTO coin_feed_seen (coin_id, \"timestamp\", content) VALUES ('', '-infinity', 0)"
DEFAULT_OVERLAP_S = 120.0


def feed_installed(connection: Connection) -> bool:
    """Return whether the triggers are on ``coin_metrics``."""
    row = connection.execute(_INSTALLED, [list(feed_trigger.FUNCTIONS)]).fetchone()
    return bool(row and row[0] == len(feed_trigger.FUNCTIONS))


def install_feed(database: Database) -> bool:
    """Put the triggers on ``coin_metrics``, whoever made it; return whether they were not there.

    Raises
    ------
    StorageError
        If there is no such table, or the role may not change it.
    """
    with database.connection() as connection:
        CoinTable.find(connection)
        there = feed_installed(connection)
        for statement in feed_trigger.creation():
            connection.execute(statement.encode())
        connection.execute("DELETE FROM coin_feed_seen")
        drop_states(connection)
    return not there


def remove_feed(database: Database) -> bool:
    """Take the triggers off ``coin_metrics``; return whether they were there. From then on the table is looked at."""
    with database.connection() as connection:
        there = feed_installed(connection)
        for statement in feed_trigger.removal():
            connection.execute(statement.encode())
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
    drop_states(connection)
    if not feed_installed(connection):
        look(connection, overlap_s=overlap_s, anew=True)
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


def look(connection: Connection, *, overlap_s: float = DEFAULT_OVERLAP_S, anew: bool = False) -> int:
    """Feed rows of a table without triggers that are new or changed; return how many.

    Looked at are rows from ``overlap_s`` before the newest one seen. One transaction; of several processes one looks.

    Parameters
    ----------
    connection
        In a transaction.
    anew
        Take all that is there as known.
    """
    row = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOOKING]).fetchone()
    if not row or not row[0]:
        return 0
    if anew:
        connection.execute("DELETE FROM coin_feed_seen")
    noted = connection.execute("SELECT count(*) FROM coin_feed_seen WHERE coin_id = ''").fetchone()
    table = CoinTable.find(connection)
    since = _horizon(connection, table, overlap_s)
    known = bool(noted and noted[0])
    if not known:
        connection.execute(_NOTE)
    found = connection.execute(_seen_statement(table, since)).fetchone()
    connection.execute("DELETE FROM coin_feed_seen WHERE coin_id <> '' AND \"timestamp\" < to_timestamp(%s)", [since])
    if not known:
        connection.execute("DELETE FROM coin_feed")
        drop_states(connection)
        return 0
    return int(found[0]) if found else 0


def _horizon(connection: Connection, table: CoinTable, overlap_s: float) -> float:
    """Return from when on rows are looked at, in seconds; a row from the future does not push it past now."""
    query = sql.SQL("SELECT extract(epoch FROM least(max({}), now()))::float8 FROM coin_metrics m WHERE {}").format(
        table.moment(), table.present()
    )
    row = connection.execute(query).fetchone()
    return (row[0] if row and row[0] is not None else 0.0) - overlap_s


def _seen_statement(table: CoinTable, since: float) -> sql.Composed:
    if TIMESTAMP not in table.columns:
        raise StorageError("coin_metrics has no timestamp")
    bound = sql.SQL("to_timestamp({})").format(sql.Literal(round(since * MICROSECONDS) / MICROSECONDS))
    if table.columns[TIMESTAMP].kind == "timestamp":
        bound = sql.SQL("({} AT TIME ZONE 'UTC')").format(bound)
    return sql.SQL(
        'WITH seen AS (INSERT INTO coin_feed_seen AS s (coin_id, "timestamp", content)'
        " SELECT DISTINCT ON (1, 2) mint::text, {moment}, hashtextextended(m::text, 0) FROM coin_metrics m"
        ' WHERE "timestamp" >= {bound} AND {present} ON CONFLICT ("timestamp", coin_id) DO UPDATE'
        " SET content = excluded.content WHERE s.content <> excluded.content"
        ' RETURNING s.coin_id, s."timestamp", (s.xmax <> 0)::int::smallint AS kind),'
        ' fed AS (INSERT INTO coin_feed (partition, kind, coin_id, "timestamp")'
        ' SELECT (hashtext(coin_id) & 63)::smallint, kind, coin_id, "timestamp" FROM seen RETURNING 1)'
        " SELECT count(*) FROM fed"
    ).format(moment=table.moment(), bound=bound, present=table.present())
