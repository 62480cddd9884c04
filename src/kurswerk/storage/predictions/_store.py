"""Stored predictions: found, listed, counted, and what they did not know."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import sql
from psycopg.errors import QueryCanceled
from psycopg.rows import dict_row

from kurswerk.core.errors import NotFoundError, TooBroadError
from kurswerk.market import MarketSchema, market_named
from kurswerk.serving import PredictionFilter, StoredPrediction
from kurswerk.serving.ports import JoinedChange
from kurswerk.storage.operations import ALIVE
from kurswerk.storage.server import Database

# A search is given up after so long: what it has not found by then lies far back among very many others.
_PATIENCE_MS = 5000
_FIELDS = sql.SQL(
    'p.id, p.coin_id, p."timestamp", p.model_id, m.name AS model_name, p.prediction,'
    " p.probability::float8 AS probability, p.features, p.in_scope, p.created_at"
)
_OUTCOME = sql.SQL(
    " CASE WHEN o.coin_id IS NOT NULL THEN jsonb_build_object('label', o.label, 'reason', o.reason,"
    " 'horizon_end', o.horizon_end, 'judged_at', o.judged_at, 'corrected_at', o.corrected_at) END AS outcome"
)
# By the key that both have; an outcome may outlive its prediction, and most newest predictions have none yet.
_JUDGED = sql.SQL(
    "predictions p JOIN ml_models m ON m.id = p.model_id LEFT JOIN outcomes o"
    ' ON o.coin_id = p.coin_id AND o."timestamp" = p."timestamp" AND o.model_id = p.model_id'
)
_OUTCOMES = {
    "positive": sql.SQL("o.label = 1"),
    "negative": sql.SQL("o.label = 0"),
    "unknown": sql.SQL("o.reason IS NOT NULL"),
    "pending": sql.SQL("o.coin_id IS NULL"),
}
_CORRECTIONS = (
    "SELECT c.label, c.reason, c.judged_at, c.corrected_at FROM predictions p JOIN outcome_corrections c"
    ' ON c.coin_id = p.coin_id AND c."timestamp" = p."timestamp" AND c.model_id = p.model_id'
    " WHERE p.id = {} ORDER BY c.corrected_at"
)
_ALERT_FIELDS = sql.SQL(
    'a.id, a.prediction_id, a.coin_id, a."timestamp", a.model_id, m.name AS model_name,'
    " a.probability::float8 AS probability, a.threshold::float8 AS threshold, a.alert_sent, a.created_at"
)


class PostgresPredictionStore:
    """Reads ``predictions`` and ``prediction_alerts``; implements `kurswerk.serving.PredictionLog`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, chosen: PredictionFilter, limit: int = 100, offset: int = 0) -> Sequence[Mapping[str, Any]]:
        """Return predictions: one coin's by the moment of their row, newest first; others by when they were stored.

        Raises
        ------
        TooBroadError
            If it takes longer than five seconds.
        """
        order = sql.SQL('p."timestamp" DESC, p.model_id' if chosen.coin_id is not None else "p.id DESC")
        query = sql.SQL("SELECT {},{} FROM {} WHERE {} ORDER BY {} LIMIT {} OFFSET {}").format(
            _FIELDS, _OUTCOME, _JUDGED, _conditions(chosen, "p"), order, sql.Literal(limit), sql.Literal(offset)
        )
        return self._found(query)

    def get(self, prediction_id: int) -> Mapping[str, Any]:
        """Return a prediction with its outcome and the corrections of that, oldest first.

        Raises
        ------
        NotFoundError
            If there is none with this id.
        """
        query = sql.SQL("SELECT {},{} FROM {} WHERE p.id = {}").format(
            _FIELDS, _OUTCOME, _JUDGED, sql.Literal(prediction_id)
        )
        for row in self._rows(query):
            corrections = sql.SQL(_CORRECTIONS).format(sql.Literal(prediction_id))
            return row | {"corrections": self._rows(corrections)}
        raise NotFoundError("prediction.not_found", id=prediction_id)

    def latest(self, coin_id: str) -> Sequence[Mapping[str, Any]]:
        """Return all models' predictions of a coin's newest predicted row.

        Raises
        ------
        NotFoundError
            If the coin has none.
        """
        query = sql.SQL(
            "SELECT {fields},{outcome} FROM {judged} WHERE p.coin_id = {coin}"
            ' AND p."timestamp" = (SELECT max("timestamp") FROM predictions WHERE coin_id = {coin}) ORDER BY p.model_id'
        ).format(fields=_FIELDS, outcome=_OUTCOME, judged=_JUDGED, coin=sql.Literal(coin_id))
        rows = self._rows(query)
        if not rows:
            raise NotFoundError("prediction.none_for_coin", coin=coin_id)
        return rows

    def alerts(self, chosen: PredictionFilter, limit: int = 100, offset: int = 0) -> Sequence[Mapping[str, Any]]:
        """Return alerts, newest first. Errors as for `find`."""
        query = sql.SQL(
            "SELECT {} FROM prediction_alerts a JOIN ml_models m ON m.id = a.model_id"
            " WHERE {} ORDER BY a.created_at DESC, a.id DESC LIMIT {} OFFSET {}"
        ).format(_ALERT_FIELDS, _conditions(chosen, "a"), sql.Literal(limit), sql.Literal(offset))
        return self._found(query)

    def stats(self) -> Mapping[str, Any]:
        """Return total_predictions, predictions_last_hour, alerts, active_models, coins_tracked, lag_rows, lag_seconds
        and avg_prediction_time_ms (per batch row, of the predictors that are alive; None if there are none).
        """
        query = sql.SQL(
            "SELECT (SELECT coalesce(sum(predictions), 0)::bigint FROM prediction_counts) AS total_predictions,"
            " (SELECT coalesce(sum(predictions), 0)::bigint FROM prediction_counts"
            "  WHERE minute > now() - interval '1 hour') AS predictions_last_hour,"
            " (SELECT coalesce(sum(alerts), 0)::bigint FROM prediction_counts) AS total_alerts,"
            " (SELECT count(*) FROM ml_models WHERE is_active AND NOT is_deleted) AS active_models,"
            " count(*) AS replicas, coalesce(sum((state ->> 'coins')::bigint), 0)::bigint AS coins_tracked,"
            " coalesce(sum((state ->> 'memory_bytes')::bigint), 0)::bigint AS memory_bytes,"
            " coalesce(sum((state ->> 'lag_rows')::bigint), 0)::bigint AS lag_rows,"
            " coalesce(max((state ->> 'lag_seconds')::float8), 0) AS lag_seconds,"
            " avg((state ->> 'prediction_ms')::float8) AS avg_prediction_time_ms"
            " FROM serving_replicas WHERE {}"
        ).format(ALIVE)
        return self._rows(query)[0]

    def minute_counts(self, minutes: int) -> Sequence[Mapping[str, Any]]:
        """Return minute and predictions of each of the last full minutes, oldest first; those without any are 0.

        Counted are predictions of rows in scope, by when they were stored. Counts of minutes are kept for two days.
        """
        query = sql.SQL(
            "SELECT m.minute, coalesce(sum(c.predictions), 0)::bigint AS predictions FROM generate_series("
            " date_trunc('minute', now()) - {minutes} * interval '1 minute',"
            " date_trunc('minute', now()) - interval '1 minute', '1 minute') AS m(minute)"
            " LEFT JOIN prediction_counts c ON c.minute = m.minute AND c.slot >= 0 GROUP BY 1 ORDER BY 1"
        ).format(minutes=sql.Literal(minutes))
        return self._rows(query)

    def stored_prediction(self, prediction_id: int) -> StoredPrediction:
        """Return what a replay needs of a prediction.

        Raises
        ------
        NotFoundError
            If there is none with this id.
        """
        query = sql.SQL(
            'SELECT id, coin_id, (extract(epoch FROM "timestamp") * 1000000)::bigint AS timestamp_us, model_id,'
            " score::float8 AS score, features_digest FROM predictions WHERE id = {}"
        ).format(sql.Literal(prediction_id))
        for row in self._rows(query):
            return StoredPrediction(**row)
        raise NotFoundError("prediction.not_found", id=prediction_id)

    def revisions_after(self, coin: str, prediction_id: int) -> tuple[Sequence[int], Sequence[int]]:
        """Return timestamps of a coin's rows that a prediction did not know, and of those corrected after it."""
        feed = self._market_of(prediction_id).feed
        query = sql.SQL(
            "SELECT kind, (extract(epoch FROM moment) * 1000000)::bigint AS us FROM {revisions} r,"
            " unnest(r.timestamps) AS moment WHERE r.coin_id = {coin} AND r.first_prediction_id > {id}"
            " UNION ALL SELECT CASE kind WHEN 0 THEN 'late' ELSE 'corrected' END,"
            ' (extract(epoch FROM "timestamp") * 1000000)::bigint FROM {feed} WHERE coin_id = {coin}'
        ).format(
            revisions=sql.Identifier(feed.revisions),
            feed=sql.Identifier(feed.feed),
            coin=sql.Literal(coin),
            id=sql.Literal(prediction_id),
        )
        rows = self._rows(query)
        late, corrected = ([row["us"] for row in rows if row["kind"] == kind] for kind in ("late", "corrected"))
        return late, corrected

    def joined_changes_after(self, coin: str, prediction_id: int) -> Sequence[JoinedChange]:
        """Return the changes of joined values that a prediction of a coin cannot have known, those that wait too."""
        market = self._market_of(prediction_id)
        if not market.joined:
            return []
        query = sql.SQL(
            "WITH home AS (SELECT (hashtext({coin}) & 63)::smallint AS number), changes AS ("
            " SELECT r.source, r.timestamps[1] AS first, r.timestamps[2] AS until FROM {revisions} r, home"
            " WHERE r.coin_id = '' AND r.kind = 'joined' AND r.first_prediction_id > {id}"
            " AND home.number = ANY (r.partitions)"
            " UNION ALL SELECT c.source, c.from_time, c.until_time FROM joined_changes c, home"
            " WHERE c.market = {market} AND c.partition = home.number)"
            " SELECT source, (extract(epoch FROM first) * 1000000)::bigint AS from_us,"
            " CASE WHEN until < '9999-12-31' THEN (extract(epoch FROM until) * 1000000)::bigint END AS until_us"
            " FROM changes ORDER BY 2"
        ).format(
            coin=sql.Literal(coin),
            revisions=sql.Identifier(market.feed.revisions),
            id=sql.Literal(prediction_id),
            market=sql.Literal(market.name),
        )
        return [JoinedChange(row["source"], (), row["from_us"], row["until_us"]) for row in self._rows(query)]

    def _market_of(self, prediction_id: int) -> MarketSchema:
        query = sql.SQL("SELECT m.market FROM predictions p JOIN ml_models m ON m.id = p.model_id WHERE p.id = {}")
        rows = self._rows(query.format(sql.Literal(prediction_id)))
        return market_named(rows[0]["market"]) if rows else market_named()

    def _found(self, query: sql.Composed) -> list[dict[str, Any]]:
        """Search for no longer than is good for the others who want a connection."""
        with self._database.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(sql.SQL("SET LOCAL statement_timeout = {}").format(sql.Literal(_PATIENCE_MS)))
            try:
                return cursor.execute(query).fetchall()
            except QueryCanceled as error:
                raise TooBroadError("prediction.search_too_broad", seconds=_PATIENCE_MS / 1000) from error

    def _rows(self, query: sql.SQL | sql.Composed) -> list[dict[str, Any]]:
        with self._database.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query).fetchall()


def _conditions(chosen: PredictionFilter, table: str) -> sql.Composable:
    """Return the condition on a table by its alias."""
    parts: list[sql.Composable] = [sql.SQL("true")]
    for column, operator, value in (
        ("coin_id", "=", chosen.coin_id),
        ("model_id", "=", chosen.model_id),
        ("probability", ">=", chosen.min_probability),
        ("created_at", ">=", chosen.since),
        ("created_at", "<=", chosen.until),
        # Alerts have no such column: all of them are of rows in scope.
        ("in_scope", "=", chosen.in_scope if table == "p" else None),
    ):
        if value is not None:
            field = sql.SQL("{}.{}").format(sql.Identifier(table), sql.Identifier(column))
            parts.append(sql.SQL("{} {} {}").format(field, sql.SQL(operator), sql.Literal(value)))
    if chosen.outcome is not None and table == "p":
        parts.append(_OUTCOMES[chosen.outcome])
    return sql.SQL(" AND ").join(parts)
