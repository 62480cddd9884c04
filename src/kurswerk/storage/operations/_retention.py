"""Retention cleanup: what nobody needs any more is removed, so that no table grows for ever.

No step waits for a lock that a lane holds, so that no lane can end up waiting for a step that waits for it.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import psycopg
from psycopg import sql

from kurswerk.market import MARKETS
from kurswerk.storage.server import RETENTION_LOCK, Database

# Counts by minute and lane become one row a day, whose slot is none of a lane.
_COUNTS = """
WITH due AS (
    SELECT ctid AS place FROM prediction_counts
    WHERE slot >= 0 AND minute < date_trunc('day', now(), 'UTC') - interval '2 days' FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM prediction_counts c USING due WHERE c.ctid = due.place
    RETURNING c.minute, c.model_id, c.predictions, c.alerts
), folded AS (
    INSERT INTO prediction_counts AS c (slot, minute, model_id, predictions, alerts)
    SELECT -1, date_trunc('day', minute, 'UTC'), model_id, sum(predictions), sum(alerts) FROM gone GROUP BY 2, 3
    ON CONFLICT (minute, model_id, slot) DO UPDATE
    SET predictions = c.predictions + excluded.predictions, alerts = c.alerts + excluded.alerts
)
SELECT count(*) FROM gone"""
# A message silences others for as long as its rule's cool-down.
_DELIVERIES = """
WITH due AS (
    SELECT d.id FROM alert_deliveries d JOIN alert_rules r ON r.id = d.rule_id
    WHERE d.status IN ('SENT', 'FAILED') AND coalesce(d.sent_at, d.created_at)
        < now() - greatest(%(deliveries_days)s * interval '1 day', r.cooldown_seconds * interval '1 second')
    FOR UPDATE OF d SKIP LOCKED
), gone AS (DELETE FROM alert_deliveries d USING due WHERE d.id = due.id RETURNING 1)
SELECT count(*) FROM gone"""
_STATES = sql.SQL("""
WITH due AS (
    SELECT coin_id FROM {states} WHERE saved_at < now() - %(states_days)s * interval '1 day' FOR UPDATE SKIP LOCKED
), gone AS (DELETE FROM {states} s USING due WHERE s.coin_id = due.coin_id RETURNING 1)
SELECT count(*) FROM gone""")
_BACKLOG = """
WITH due AS (
    SELECT b.ctid AS place FROM prediction_backlog b JOIN ml_models m ON m.id = b.model_id
    WHERE m.is_deleted OR NOT m.is_active FOR UPDATE OF b SKIP LOCKED
), gone AS (DELETE FROM prediction_backlog b USING due WHERE b.ctid = due.place RETURNING 1)
SELECT count(*) FROM gone"""
# A replay needs them for the predictions there are, a lane for those that are still missed. Joined values are of all
# instruments.
_REVISIONS = sql.SQL("""
WITH gone AS (
    DELETE FROM {revisions} r WHERE r.created_at < now() - interval '1 hour'
        AND NOT %(keep_revisions)s
        AND CASE WHEN r.kind = 'joined' THEN NOT EXISTS (SELECT FROM predictions p WHERE p.id < r.first_prediction_id)
            ELSE NOT EXISTS (SELECT FROM predictions p WHERE p.coin_id = r.coin_id)
                AND NOT EXISTS (SELECT FROM prediction_backlog b WHERE b.coin_id = r.coin_id) END
    RETURNING 1
)
SELECT count(*) FROM gone""")
_ALERTS = """
WITH due AS (
    SELECT id FROM prediction_alerts WHERE created_at < now() - %(alerts_days)s * interval '1 day' LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), gone AS (DELETE FROM prediction_alerts a USING due WHERE a.id = due.id RETURNING 1)
SELECT count(*) FROM gone"""
_ENDED = "j.status IN ('COMPLETED', 'FAILED', 'CANCELLED') AND coalesce(j.completed_at, j.created_at)"
_JOB_LOG = f"""
WITH due AS (
    SELECT l.job_id, l.id FROM ml_job_log l JOIN ml_jobs j ON j.id = l.job_id
    WHERE {_ENDED} < now() - %(job_log_days)s * interval '1 day' LIMIT %(limit)s FOR UPDATE OF l SKIP LOCKED
), gone AS (DELETE FROM ml_job_log l USING due WHERE l.job_id = due.job_id AND l.id = due.id RETURNING 1)
SELECT count(*) FROM gone"""  # noqa: S608 - constants  # nosec B608
_JOBS = f"""
WITH due AS (
    SELECT id FROM ml_jobs j WHERE {_ENDED} < now() - %(jobs_days)s * interval '1 day' LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
DELETE FROM ml_jobs j USING due WHERE j.id = due.id RETURNING j.result ->> 'path'"""  # noqa: S608 - constants  # nosec B608
_FEED = sql.SQL("""
WITH due AS (
    SELECT ctid AS place FROM {feed} WHERE created_at < now() - %(feed_days)s * interval '1 day' LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), gone AS (DELETE FROM {feed} f USING due WHERE f.ctid = due.place RETURNING 1)
SELECT count(*) FROM gone""")
_SEALED_VALUES = """
WITH due AS (
    SELECT ctid AS place FROM sealed_values WHERE moment < now() - %(moments_days)s * interval '1 day' LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), gone AS (DELETE FROM sealed_values v USING due WHERE v.ctid = due.place RETURNING 1)
SELECT count(*) FROM gone"""
_ROWS_AT_ONCE = 20_000


@dataclass(frozen=True)
class Retention:
    """For how many days records are kept; None keeps them.

    Attributes
    ----------
    alerts_days, deliveries_days
        Alerts since they were raised, and messages since they were sent or given up; those only after their rule's
        cool-down.
    jobs_days, job_log_days
        Jobs since they ended, and their log.
    feed_days
        Rows that wait to be predicted, since they were written; later ones are given up without a prediction.
    states_days
        Stored states of instruments, since they were saved.
    moments_days
        Values of sealed moments, since these; their members are kept.
    keep_revisions
        Whether records of late and corrected rows are kept whatever predictions there are, because an archive holds
        more of these.
    """

    alerts_days: int | None = None
    deliveries_days: int | None = 30
    jobs_days: int | None = None
    job_log_days: int | None = None
    feed_days: int | None = None
    states_days: int | None = 30
    moments_days: int | None = None
    keep_revisions: bool = False


def _steps(retention: Retention) -> dict[str, sql.SQL | sql.Composed]:
    """Return the statement of each table that anything is removed from, with those of the registered markets."""
    steps = {"prediction_counts": sql.SQL(_COUNTS)}
    for table, days, statement in (
        ("alert_deliveries", retention.deliveries_days, _DELIVERIES),
        ("prediction_alerts", retention.alerts_days, _ALERTS),
        ("ml_job_log", retention.job_log_days, _JOB_LOG),
        ("sealed_values", retention.moments_days, _SEALED_VALUES),
    ):
        if days is not None:
            steps[table] = sql.SQL(statement)
    steps["prediction_backlog"] = sql.SQL(_BACKLOG)
    found: dict[str, sql.SQL | sql.Composed] = dict(steps)
    for market in MARKETS.values():
        names = market.feed
        if retention.states_days is not None:
            found[names.states] = _STATES.format(states=sql.Identifier(names.states))
        if retention.feed_days is not None:
            found[names.feed] = _FEED.format(feed=sql.Identifier(names.feed))
        found[names.revisions] = _REVISIONS.format(revisions=sql.Identifier(names.revisions))
    return found


def clean_up(
    database: Database, retention: Retention | None = None, *, remove_file: Callable[[str], object] = lambda _: None
) -> Mapping[str, int]:
    """Remove what nobody needs any more; sums of counts stay what they are.

    Parameters
    ----------
    remove_file
        Removes the file that a job wrote, by its path in the job's result.

    Returns
    -------
    Mapping
        Table → rows removed or folded into others, for each that another process was not cleaning up at this moment.

    Raises
    ------
    StorageError
        If the database refuses or cannot be reached.
    """
    retention = retention or Retention()
    found: dict[str, int] = {}
    for table, statement in _steps(retention).items():
        count = _in_batches(database, table, lambda connection: _count(connection, statement, retention))  # noqa: B023
        if count is not None:
            found[table] = count
    if retention.jobs_days is not None:
        count = _in_batches(database, "ml_jobs", lambda connection: _remove_jobs(connection, retention, remove_file))
        if count is not None:
            found["ml_jobs"] = count
    return found


def _in_batches(database: Database, table: str, step: Callable[[psycopg.Connection], int]) -> int | None:
    """Repeat a step, each time in a transaction, until it has little to do; None while another process cleans up."""
    total = 0
    while True:
        with database.connection() as connection:
            # Of a market on demand there may be none yet.
            there = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [table]).fetchone()
            if not there or not there[0]:
                return None
            row = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [RETENTION_LOCK]).fetchone()
            if not row or not row[0]:
                return None
            count = step(connection)
        total += count
        if count < _ROWS_AT_ONCE:
            return total


def _count(connection: psycopg.Connection, statement: sql.SQL | sql.Composed, retention: Retention) -> int:
    row = connection.execute(statement, {**asdict(retention), "limit": _ROWS_AT_ONCE}).fetchone()
    return int(row[0]) if row else 0


def _remove_jobs(connection: psycopg.Connection, retention: Retention, remove_file: Callable[[str], object]) -> int:
    """Remove jobs and their files; these first, so that a process that ends in between leaves none without a job."""
    rows = connection.execute(_JOBS.encode(), {"jobs_days": retention.jobs_days, "limit": _ROWS_AT_ONCE}).fetchall()
    for (path,) in rows:
        if path is not None:
            remove_file(path)
    return len(rows)
