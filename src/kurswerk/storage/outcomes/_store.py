"""The store of outcomes: one transaction of a market at a time, and which predictions are final."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import sql

from kurswerk.market import MARKETS, market_named
from kurswerk.storage.outcomes._transaction import PostgresOutcomeTransaction
from kurswerk.storage.server import Connection, Database

# With the market's name it makes one lock per market. Any constant: "KWo" in hexadecimal.
_JUDGING = 0x4B576F
# Every query looks rows up by index, or by ranges of blocks; the tables change too fast for statistics to show it.
_SETTINGS = ("enable_seqscan = off", "jit = off")
_LAST_ID = sql.SQL("greatest((SELECT max(id) FROM predictions), {})")
# Some markets have no tables before their first rows.
_THERE = "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NOT NULL"
_LAST_REVISION = sql.SQL("(SELECT max(first_prediction_id) FROM {})")

_REMOVE = """
WITH due AS MATERIALIZED (
    SELECT o.place FROM ml_models m CROSS JOIN LATERAL (
        SELECT ctid AS place FROM outcomes WHERE model_id = m.id AND "timestamp" < now() - %(days)s * interval '1 day'
        ORDER BY "timestamp" LIMIT %(limit)s
    ) o LIMIT %(limit)s
), gone AS (
    DELETE FROM outcomes o USING due WHERE o.ctid = due.place RETURNING o.coin_id, o."timestamp", o.model_id
), corrections AS (
    DELETE FROM outcome_corrections c USING gone g
    WHERE c.coin_id = g.coin_id AND c."timestamp" = g."timestamp" AND c.model_id = g.model_id
)
SELECT count(*) FROM gone"""


class PostgresOutcomeStore:
    """Keeps outcomes in PostgreSQL; implements `kurswerk.oversight.OutcomeStore`.

    Ids of predictions and revisions ascend, but the transactions that store them end in any order. An id is *final*
    when every transaction that might still store a smaller one has ended: all ids up to the greatest one seen are, once
    no transaction runs any more that ran when it was seen.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._final_id = 0
        # The greatest id that was seen, and the number of the first transaction that began after it.
        self._seen: tuple[int, int] | None = None
        self._newest_us: dict[str, int] = {}

    @contextmanager
    def transaction(self, market: str) -> Iterator[PostgresOutcomeTransaction | None]:
        """Open a transaction of a market, committed at the end of the block.

        None if another service has one, or the market has no tables yet.

        Raises
        ------
        UnknownNameError
            For a market that does not exist.
        StorageError
            If the database refuses or cannot be reached.
        """
        schema = market_named(market)
        with self._database.connection() as connection:
            row = connection.execute(
                "SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", [_JUDGING, market]
            ).fetchone()
            if not row or not row[0] or not connection.execute(_THERE, [[schema.feed.revisions]]).fetchone():
                yield None
                return
            for setting in _SETTINGS:
                connection.execute(sql.SQL("SET LOCAL " + setting))
            final_id = self._find_final_id(connection)
            yield PostgresOutcomeTransaction(connection, schema, final_id, self._newest_us)

    def remove_older(self, days: int, limit: int) -> int:
        """Remove outcomes of rows that are older than so many days, and their corrections; return how many.

        At most ``limit`` in one transaction; the sums by day stay what they are.

        Raises
        ------
        StorageError
            If the database refuses or cannot be reached.
        """
        with self._database.connection() as connection:
            row = connection.execute(_REMOVE, {"days": days, "limit": limit}).fetchone()
        return int(row[0]) if row else 0

    def _find_final_id(self, connection: Connection) -> int:
        with self._lock:
            if self._seen is None:
                self._seen = self._look(connection)
            row = connection.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint").fetchone()
            if row and row[0] >= self._seen[1]:
                self._final_id, self._seen = max(self._final_id, self._seen[0]), None
            return self._final_id

    def _look(self, connection: Connection) -> tuple[int, int]:
        tables = connection.execute(_THERE, [[market.feed.revisions for market in MARKETS.values()]]).fetchall()
        revisions = sql.SQL(", ").join(_LAST_REVISION.format(sql.Identifier(name)) for (name,) in tables)
        last = connection.execute(sql.SQL("SELECT {}").format(_LAST_ID.format(revisions))).fetchone()
        # By a statement of its own: a transaction that begins after it gets greater ids.
        begun = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint").fetchone()
        return (last and last[0]) or 0, begun[0] if begun else 0
