"""Retention cleanup: what nobody needs any more is removed, so that no table grows for ever.

No step waits for a lock that a lane holds, so that no lane can end up waiting for a step that waits for it.
"""

from collections.abc import Mapping

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
        < now() - greatest(interval '30 days', r.cooldown_seconds * interval '1 second') FOR UPDATE OF d SKIP LOCKED
), gone AS (DELETE FROM alert_deliveries d USING due WHERE d.id = due.id RETURNING 1)
SELECT count(*) FROM gone"""
_STATES = sql.SQL("""
WITH due AS (
    SELECT coin_id FROM {states} WHERE saved_at < now() - interval '30 days' FOR UPDATE SKIP LOCKED
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
        AND CASE WHEN r.kind = 'joined' THEN NOT EXISTS (SELECT FROM predictions p WHERE p.id < r.first_prediction_id)
            ELSE NOT EXISTS (SELECT FROM predictions p WHERE p.coin_id = r.coin_id)
                AND NOT EXISTS (SELECT FROM prediction_backlog b WHERE b.coin_id = r.coin_id) END
    RETURNING 1
)
SELECT count(*) FROM gone""")
_STEPS: dict[str, sql.SQL | sql.Composed] = {
    "prediction_counts": sql.SQL(_COUNTS),
    "alert_deliveries": sql.SQL(_DELIVERIES),
    "prediction_backlog": sql.SQL(_BACKLOG),
}


def _steps() -> dict[str, sql.SQL | sql.Composed]:
    """Return the statement of each table, with those of the registered markets."""
    steps = dict(_STEPS)
    for market in MARKETS.values():
        states, revisions = market.feed.states, market.feed.revisions
        steps[states] = _STATES.format(states=sql.Identifier(states))
        steps[revisions] = _REVISIONS.format(revisions=sql.Identifier(revisions))
    return steps


def clean_up(database: Database) -> Mapping[str, int]:
    """Remove what nobody needs any more; sums of counts stay what they are.

    Returns
    -------
    Mapping
        Table → rows removed or folded into others, for each that another process was not cleaning up at this moment.

    Raises
    ------
    StorageError
        If the database refuses or cannot be reached.
    """
    found: dict[str, int] = {}
    for table, statement in _steps().items():
        with database.connection() as connection:
            # Of a market on demand there may be none yet.
            there = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [table]).fetchone()
            if not there or not there[0]:
                continue
            row = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [RETENTION_LOCK]).fetchone()
            if row and row[0]:
                count = connection.execute(statement).fetchone()
                found[table] = int(count[0]) if count else 0
    return found
