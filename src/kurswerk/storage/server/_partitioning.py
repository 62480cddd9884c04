"""The long part of partitioning ``predictions`` (revision 0015), done while others read and write.

Every step is committed by itself and finds out whether it was done, so that an upgrade that was interrupted goes on
where it was. What then remains for the revision is a short transaction.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from kurswerk.storage.server._database import Database
from kurswerk.storage.server._errors import translating
from kurswerk.storage.server._short_locks import execute_without_queueing
from kurswerk.storage.server.migrations.partitions_v15 import (
    BOUNDS,
    FILL_ALERTS,
    KEY,
    TIMED_ALERTS,
    TIMED_CHECK,
    add_bound,
    key_is_valid,
    next_bound,
)

REVISION = "0015"
# One process at a time. Any constant: "KWp" in hexadecimal.
_PREPARING = 0x4B5770
_PAUSE_S = 0.2
_ATTEMPTS = 3
_ALERTS_AT_ONCE = 20_000
# The index of fifty million rows is then sorted in memory for the most part; half of it is taken with two workers.
_MEMORY = "SET maintenance_work_mem = '512MB'"


@contextmanager
def prepared_partitioning(database: Database) -> Iterator[None]:
    """Prepare the tables for revision 0015, and keep other processes from doing it until the end of the block.

    Those wait without a snapshot: an index that is built beside writers would wait for them.
    """
    with translating(database.url), psycopg.connect(database.url, autocommit=True) as connection:
        while not _one(connection, f"SELECT pg_try_advisory_lock({_PREPARING})"):
            time.sleep(_PAUSE_S)
        if _one(connection, "SELECT relkind = 'r' FROM pg_class WHERE oid = to_regclass('predictions')"):
            _prepare(connection)
        yield


def _prepare(connection: psycopg.Connection) -> None:
    connection.execute(_MEMORY)
    if _one(connection, "SELECT EXISTS (SELECT FROM predictions)"):
        _build_key(connection)
    _time_alerts(connection)
    # Last: while it is there, no row may be of next week.
    if _one(connection, "SELECT EXISTS (SELECT FROM predictions)"):
        _hold_to_bound(connection)


def _build_key(connection: psycopg.Connection) -> None:
    """Build the index (id, timestamp) beside writers."""
    valid = key_is_valid(connection)
    if valid is False:  # left over from one that was interrupted
        connection.execute(f"DROP INDEX CONCURRENTLY {KEY}".encode())
    if not valid:
        connection.execute(f'CREATE UNIQUE INDEX CONCURRENTLY {KEY} ON predictions (id, "timestamp")'.encode())


def _hold_to_bound(connection: psycopg.Connection) -> None:
    """Have a check hold all rows to the bound of the partition that they become."""
    name = _roomy_bound(connection) or _new_bound(connection)
    for _ in range(_ATTEMPTS):
        try:
            connection.execute(f"ALTER TABLE predictions VALIDATE CONSTRAINT {name}".encode())
        except psycopg.errors.CheckViolation:  # a later row was stored before the check was there
            name = _new_bound(connection)
        else:
            return


def _roomy_bound(connection: psycopg.Connection) -> str | None:
    """Return the check that an interrupted upgrade left, unless writers would soon come up against it."""
    rows = connection.execute(BOUNDS.encode()).fetchall()
    return next((name for name, day in rows if _one(connection, f"SELECT now() + '1 day' < '{day} 00:00+00'")), None)


def _new_bound(connection: psycopg.Connection) -> str:
    day = next_bound(connection)  # reads all rows: before others are kept waiting
    with connection.transaction():
        execute_without_queueing(connection, ("LOCK TABLE predictions IN ACCESS EXCLUSIVE MODE",))
        for name, _ in connection.execute(BOUNDS.encode()).fetchall():
            connection.execute(f"ALTER TABLE predictions DROP CONSTRAINT {name}".encode())
        return add_bound(connection, day, validated=False)


def _time_alerts(connection: psycopg.Connection) -> None:
    """Give alerts the time of their prediction's row, in batches."""
    with connection.transaction():
        execute_without_queueing(connection, ("LOCK TABLE prediction_alerts IN ACCESS EXCLUSIVE MODE", *TIMED_ALERTS))
        connection.execute(f"ALTER TABLE prediction_alerts DROP CONSTRAINT IF EXISTS {TIMED_CHECK}".encode())
        connection.execute(
            f'ALTER TABLE prediction_alerts ADD CONSTRAINT {TIMED_CHECK} CHECK ("timestamp" IS NOT NULL)'
            " NOT VALID".encode()
        )
    first, last = connection.execute(
        'SELECT coalesce(min(id), 1), coalesce(max(id), 0) FROM prediction_alerts WHERE "timestamp" IS NULL'
    ).fetchone() or (1, 0)
    for start in range(first, last + 1, _ALERTS_AT_ONCE):
        connection.execute(f"{FILL_ALERTS} AND a.id >= %s AND a.id < %s".encode(), [start, start + _ALERTS_AT_ONCE])
    connection.execute(f"ALTER TABLE prediction_alerts VALIDATE CONSTRAINT {TIMED_CHECK}".encode())


def _one(connection: psycopg.Connection, query: str) -> object:
    row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None
