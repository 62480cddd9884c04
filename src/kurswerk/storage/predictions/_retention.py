"""Retention of predictions: whole partitions are detached, archived where that is asked for, and dropped.

No step waits for a lock for long, nor keeps others waiting for one. What is interrupted goes on the next time: a
partition that was detached has a name of its own until it is dropped.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import psycopg
from psycopg import sql

from kurswerk.archive import PredictionArchive
from kurswerk.core.timestamps import DAY_US
from kurswerk.observability import get_logger
from kurswerk.storage.predictions._archiving import DETACHED, archived_batches, detached_tables
from kurswerk.storage.predictions._partitions import Partition, create_partitions, forecasts_of, prediction_partitions
from kurswerk.storage.server import RETENTION_LOCK, Database, execute_without_queueing, translating

log = get_logger(__name__)
# Made before anybody needs them, so that no batch has to at midnight.
_DAYS_AHEAD = 2
_ROWS_AT_ONCE = 5_000
_PATIENCE_S = 10.0
_DELETE = """
WITH due AS (
    SELECT id, "timestamp" FROM predictions WHERE model_id = %s AND "timestamp" < now() - %s * interval '1 day'
    LIMIT %s FOR UPDATE SKIP LOCKED
), forecast AS (
    DELETE FROM forecasts f USING due WHERE f.prediction_id = due.id AND f."timestamp" = due."timestamp"
), gone AS (DELETE FROM predictions p USING due WHERE p.id = due.id AND p."timestamp" = due."timestamp" RETURNING 1)
SELECT count(*) FROM gone"""
_FORGET_FEATURES = """
WITH due AS (
    SELECT id, "timestamp" FROM predictions WHERE features IS NOT NULL AND "timestamp" < now() - %s * interval '1 day'
    LIMIT %s FOR UPDATE SKIP LOCKED
), done AS (
    UPDATE predictions p SET features = NULL FROM due WHERE p.id = due.id AND p."timestamp" = due."timestamp"
    RETURNING 1
)
SELECT count(*) FROM done"""


@dataclass(frozen=True)
class PredictionRetention:
    """How long predictions are kept, by the time of their row.

    Attributes
    ----------
    days
        Partitions whose rows are all older are dropped; None keeps them.
    model_days
        Model id → days, for models whose predictions are kept for a shorter time.
    features_days
        For how long stored features are kept with the predictions; None is as long as these.
    archive
        Takes what is dropped; None does not keep it.
    """

    days: int | None = None
    model_days: Mapping[int, int] = field(default_factory=dict)
    features_days: int | None = None
    archive: PredictionArchive | None = None


def retain_predictions(database: Database, retention: PredictionRetention) -> Mapping[str, int]:
    """Create the partitions of the next days, and remove what is older than it need be.

    Returns
    -------
    Mapping
        ``partitions`` dropped, ``archived`` predictions, ``predictions`` deleted of single models, and ``features``
        removed; nothing where another process does this at the moment.

    Raises
    ------
    StorageError
        If the database refuses or cannot be reached, or the archive cannot be written.
    """
    with _only_one(database) as connection:
        if connection is None:
            return {}
        _create_ahead(connection)
        found = {"partitions": 0, "archived": 0, "predictions": 0, "features": 0}
        if retention.days is not None:
            _detach_older_than(connection, retention.days)
        for name in detached_tables(connection):
            found["archived"] += _archive(database, connection, name, retention.archive)
            found["partitions"] += _drop(connection, name)
        for model, days in retention.model_days.items():
            found["predictions"] += _in_batches(connection, _DELETE, [model, days])
        if retention.features_days is not None:
            found["features"] = _in_batches(connection, _FORGET_FEATURES, [retention.features_days])
        return found


@contextmanager
def _only_one(database: Database) -> Iterator[psycopg.Connection | None]:
    """Give a connection in autocommit mode; None while another process cleans up, or a backup is made."""
    with translating(database.url), psycopg.connect(database.url, autocommit=True) as connection:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", [RETENTION_LOCK]).fetchone()
        yield connection if row and row[0] else None


def _create_ahead(connection: psycopg.Connection) -> None:
    with connection.transaction():
        row = connection.execute("SELECT (extract(epoch FROM now()) * 1000000)::bigint").fetchone()
        now_us = row[0] if row else 0
        create_partitions(connection, now_us + DAY_US * np.arange(_DAYS_AHEAD + 1, dtype=np.int64))


def _detach_older_than(connection: psycopg.Connection, days: int) -> None:
    row = connection.execute(
        "SELECT (extract(epoch FROM now() - %s * interval '1 day') * 1000000)::bigint", [days]
    ).fetchone()
    cut_us = row[0] if row else 0
    for part in prediction_partitions(connection):
        if part.until_us <= cut_us:
            name = _detached_name(connection, part)
            _quickly(
                connection,
                f'ALTER TABLE predictions DETACH PARTITION "{part.name}"',
                f'ALTER TABLE "{part.name}" RENAME TO "{name}"',
                f'ALTER TABLE forecasts DETACH PARTITION "{forecasts_of(part.name)}"',
                f'ALTER TABLE "{forecasts_of(part.name)}" RENAME TO "{forecasts_of(name)}"',
            )


def _detached_name(connection: psycopg.Connection, part: Partition) -> str:
    """Return a name that no other partition of the same time will ever have."""
    row = connection.execute("SELECT to_regclass(%s)::oid", [part.name]).fetchone()
    return f"{DETACHED}{part.name.removeprefix('predictions_')}_{row[0] if row else 0}"


def _archive(database: Database, connection: psycopg.Connection, name: str, archive: PredictionArchive | None) -> int:
    """Write a detached partition into the archive, unless it is there; return how many predictions it holds."""
    if archive is None or archive.holds(name.removeprefix(DETACHED)):
        return 0
    rows = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))).fetchone()
    count = int(rows[0]) if rows else 0
    with archived_batches(database, name) as batches:
        archive.write(name.removeprefix(DETACHED), batches, count)
    log.info("predictions archived", partition=name, predictions=count)
    return count


def _drop(connection: psycopg.Connection, name: str) -> int:
    return int(_quickly(connection, f'DROP TABLE "{name}"', f'DROP TABLE IF EXISTS "{forecasts_of(name)}"'))


def _quickly(connection: psycopg.Connection, *statements: str) -> bool:
    """Execute statements, unless others hold what they need; return whether they were executed."""
    try:
        with connection.transaction():
            execute_without_queueing(connection, statements, timeout_ms=200, patience_s=_PATIENCE_S)
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
        log.warning("retention waits until predictions are not being read", statement=statements[0])
        return False
    return True


def _in_batches(connection: psycopg.Connection, statement: str, values: list[int]) -> int:
    total = 0
    while True:
        row = connection.execute(statement.encode(), [*values, _ROWS_AT_ONCE]).fetchone()
        count = int(row[0]) if row else 0
        total += count
        if count < _ROWS_AT_ONCE:
            return total
