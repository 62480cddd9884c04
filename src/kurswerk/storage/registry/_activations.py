"""Which models predict, since when, and how they do."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import sql
from psycopg.rows import dict_row

from kurswerk.core.errors import NotFoundError
from kurswerk.features import FeaturePlan
from kurswerk.market import MarketSchema, market_named
from kurswerk.registry import ModelRecord, market_of
from kurswerk.serving import Scope, required_columns
from kurswerk.storage.feed import begin_feed, has_active_models
from kurswerk.storage.markets import absent_columns, missing_columns
from kurswerk.storage.operations import ALIVE
from kurswerk.storage.server import Connection, Database

# One activation at a time. Any constant: "KWa" in hexadecimal.
_ACTIVATING = 0x4B5761
_ACTIVE = sql.SQL("""
SELECT m.id, m.name, m.market, m.model_type, m.is_active, m.alert_threshold::float8 AS alert_threshold, m.active_since,
    (SELECT p.created_at FROM predictions p WHERE p.model_id = m.id ORDER BY p.id DESC LIMIT 1) AS last_prediction,
    (SELECT bool_or(r.state -> 'loaded' @> to_jsonb(m.id)) FROM serving_replicas r
     WHERE {alive}) AS loaded,
    (SELECT max(r.state -> 'faults' ->> m.id::text) FROM serving_replicas r
     WHERE {alive}) AS fault,
    (SELECT count(*) FROM (SELECT FROM prediction_backlog b WHERE b.model_id = m.id LIMIT 10000) b) AS owed
FROM ml_models m WHERE m.is_active AND NOT m.is_deleted ORDER BY m.id""").format(alive=ALIVE)


class PostgresActivationStore:
    """Turns models on and off; implements `kurswerk.serving.ActivationStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def activate(self, model_id: int, *, forced: bool = False, reason: str | None = None) -> bool:
        """Let a model predict every row that is committed from now on; return whether it did not already.

        Raises
        ------
        NotFoundError
            If there is no such model.
        ConflictError
            If it is the first one of its market and rows are being written without end.
        """
        with self._database.connection() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_ACTIVATING])
            market = _market_of(connection, model_id)
            if not has_active_models(connection, market):
                begin_feed(connection, market)
            changed = self._switch(connection, model_id, active=True)
            _note(connection, model_id, "activate", forced=forced, reason=reason)
        return changed

    def deactivate(self, model_id: int, reason: str | None = None) -> bool:
        """Let a model predict no more, and forget the rows that it missed; return whether it was active.

        Raises
        ------
        NotFoundError
            If there is no such model.
        """
        with self._database.connection() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_ACTIVATING])
            changed = self._switch(connection, model_id, active=False)
            connection.execute("DELETE FROM prediction_backlog WHERE model_id = %s", [model_id])
            _note(connection, model_id, "deactivate", forced=False, reason=reason)
        return changed

    def reload(self, model_id: int) -> None:
        """Make every replica load the model anew.

        Raises
        ------
        NotFoundError
            If there is no such model.
        """
        with self._database.connection() as connection:
            found = connection.execute(
                "UPDATE ml_models SET serving_epoch = serving_epoch + 1, updated_at = now()"
                " WHERE id = %s AND NOT is_deleted",
                [model_id],
            ).rowcount
            if not found:
                raise NotFoundError("model.not_found", id=model_id)
            _note(connection, model_id, "reload", forced=False, reason=None)

    def active(self) -> Sequence[Mapping[str, Any]]:
        """Return the active models: id, name, market, model_type, is_active, alert_threshold, active_since,
        last_prediction, loaded (by any replica), fault, owed (rows, at most 10,000 are counted) and missing_columns
        (that it needs and the database lacks).
        """
        with self._database.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(_ACTIVE).fetchall()
        missing = missing_columns(self._database)
        return [
            row
            | {
                "loaded": bool(row["loaded"]),
                "missing_columns": [one.column for one in missing if row["id"] in one.model_ids],
            }
            for row in rows
        ]

    def missing_columns(self, model: ModelRecord) -> Sequence[str]:
        """Return the columns that a model needs and the database lacks, as ``table.column``, whether active or not."""
        market = market_of(model)
        needed = required_columns(FeaturePlan(model.features, market), Scope.of(model.spec))
        absent = absent_columns(self._database, market, needed)
        return [f"{market.table_of(column)}.{column}" for column in absent]

    def active_markets(self) -> frozenset[str]:
        """Return the names of the markets that have active models."""
        with self._database.connection() as connection:
            rows = connection.execute("SELECT DISTINCT market FROM ml_models WHERE is_active AND NOT is_deleted")
            return frozenset(row[0] for row in rows)

    @staticmethod
    def _switch(connection: Connection, model_id: int, *, active: bool) -> bool:
        row = connection.execute(
            "SELECT is_active FROM ml_models WHERE id = %s AND NOT is_deleted FOR NO KEY UPDATE", [model_id]
        ).fetchone()
        if row is None:
            raise NotFoundError("model.not_found", id=model_id)
        if row[0] == active:
            return False
        connection.execute(
            "UPDATE ml_models SET is_active = %(active)s, updated_at = now(),"
            " active_since = CASE WHEN %(active)s THEN now() END WHERE id = %(id)s",
            {"active": active, "id": model_id},
        )
        return True


def _market_of(connection: Connection, model_id: int) -> MarketSchema:
    row = connection.execute("SELECT market FROM ml_models WHERE id = %s AND NOT is_deleted", [model_id]).fetchone()
    if row is None:
        raise NotFoundError("model.not_found", id=model_id)
    return market_named(row[0])


def _note(connection: Connection, model_id: int, action: str, *, forced: bool, reason: str | None) -> None:
    connection.execute(
        "INSERT INTO model_activations (model_id, action, forced, reason) VALUES (%s, %s, %s, %s)",
        [model_id, action, forced, reason],
    )
