"""Stored predictions: found, listed, counted, and what they did not know."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import sql
from psycopg.errors import QueryCanceled, UndefinedTable
from psycopg.rows import dict_row

from kurswerk.archive import PredictionArchive
from kurswerk.core.errors import NotFoundError, StorageError, TooBroadError
from kurswerk.core.timestamps import to_us
from kurswerk.features import SealedMoment
from kurswerk.market import MarketSchema, market_named
from kurswerk.serving import PredictionFilter, StoredPrediction
from kurswerk.serving.ports import JoinedChange
from kurswerk.storage.operations import ALIVE, sealed_moments
from kurswerk.storage.predictions._archiving import FORECAST, OUTCOME, ArchivedPredictions, first_of
from kurswerk.storage.predictions._forecasts import with_forecasts
from kurswerk.storage.server import Database

# A search is given up after so long: what it has not found by then lies far back among very many others.
_PATIENCE_MS = 5000
_FIELDS = sql.SQL(
    'p.id, p.coin_id, p."timestamp", p.model_id, m.name AS model_name, p.prediction,'
    " p.probability::float8 AS probability, p.features, p.in_scope, p.created_at,"
    " m.spec ? 'target' AS is_forecast"
)
# By the key that both have; an outcome may outlive its prediction, and most newest predictions have none yet.
_JUDGED = sql.SQL(
    "{} p JOIN ml_models m ON m.id = p.model_id LEFT JOIN outcomes o"
    ' ON o.coin_id = p.coin_id AND o."timestamp" = p."timestamp" AND o.model_id = p.model_id'
)
_OUTCOMES = {
    "positive": sql.SQL("o.label = 1"),
    "negative": sql.SQL("o.label = 0"),
    "unknown": sql.SQL("o.reason IS NOT NULL"),
    "pending": sql.SQL("o.coin_id IS NULL"),
}
_CORRECTIONS = sql.SQL(
    "SELECT label, reason, judged_at, corrected_at FROM outcome_corrections WHERE coin_id = {}"
    ' AND "timestamp" = {} AND model_id = {} ORDER BY corrected_at'
)
_TABLE = sql.Identifier("predictions")
_OF_REPLAY = ("score", "features_digest")
# Models that predict one row, at the very most.
_MOST_MODELS = 1000
_ALERT_FIELDS = sql.SQL(
    'a.id, a.prediction_id, a.coin_id, a."timestamp", a.model_id, m.name AS model_name,'
    " a.probability::float8 AS probability, a.threshold::float8 AS threshold, a.alert_sent, a.created_at"
)


class PostgresPredictionStore:
    """Reads predictions and ``prediction_alerts``; implements `kurswerk.serving.PredictionLog`.

    Parameters
    ----------
    archive
        Where predictions of dropped partitions are; without it only those in the database are found.
    """

    def __init__(self, database: Database, archive: PredictionArchive | None = None) -> None:
        self._database = database
        self._older = None if archive is None else ArchivedPredictions(database, archive)

    def find(self, chosen: PredictionFilter, limit: int = 100, offset: int = 0) -> Sequence[Mapping[str, Any]]:
        """Return predictions: one coin's by the moment of their row, newest first; others by when they were stored.

        Raises
        ------
        TooBroadError
            If it takes longer than five seconds.
        """
        rows: list[Mapping[str, Any]] = self._listed(chosen, "predictions", limit, offset)
        # Looked for afterwards: a partition that is detached in between is found twice rather than not at all.
        if self._older is None or not (parts := self._older.parts()):
            return rows
        if offset:
            rows = self._listed(chosen, "predictions", limit + offset, 0)
        for table in parts.tables:
            rows += self._of_detached(chosen, table, limit + offset)
        rows = first_of(rows, chosen, limit + offset)
        # Again: a table that was dropped meanwhile is a file now.
        # What became of archived predictions is not in their files: a search by it finds those in the database alone.
        # Nor are they searched for several instruments at once.
        if (
            chosen.outcome is None
            and chosen.coin_ids is None
            and self._older.parts().may_come_before(rows, chosen, limit + offset)
        ):
            rows += self._older.find(chosen, limit + offset, seconds=_PATIENCE_MS / 1000)
        return first_of(rows, chosen, limit + offset)[offset:]

    def get(self, prediction_id: int) -> Mapping[str, Any]:
        """Return a prediction with its outcome and the corrections of that, oldest first.

        Raises
        ------
        NotFoundError
            If there is none with this id.
        """
        row = {name: value for name, value in self._whole(prediction_id).items() if name not in _OF_REPLAY}
        key = (sql.Literal(row[name]) for name in ("coin_id", "timestamp", "model_id"))
        return row | {"corrections": self._rows(_CORRECTIONS.format(*key))}

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
        ).format(fields=_FIELDS, outcome=OUTCOME, judged=_JUDGED.format(_TABLE), coin=sql.Literal(coin_id))
        rows: Sequence[Mapping[str, Any]] = self._with_forecasts(self._rows(query))
        chosen = PredictionFilter(coin_id=coin_id)
        if self._older is not None and self._older.parts().may_come_before(rows, chosen, 1):
            newest = self.find(chosen, _MOST_MODELS)
            rows = [row for row in newest if row["timestamp"] == newest[0]["timestamp"]]
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
        row = self._whole(prediction_id)
        names = ("id", "coin_id", "model_id", *_OF_REPLAY)
        forecast = None if row["forecast"] is None else tuple(row[name] for name in FORECAST)
        given = {name: row[name] for name in names}
        return StoredPrediction(timestamp_us=to_us(row["timestamp"]), forecast=forecast, **given)

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

    def sealed_moments(
        self, market: str, moments: Sequence[int], definitions: Mapping[str, str]
    ) -> Mapping[int, SealedMoment]:
        """Return sealed moments of a market with the values of features (name → definition hash) that each has."""
        with self._database.connection() as connection:
            return sealed_moments(connection, market, moments, definitions)

    def _market_of(self, prediction_id: int) -> MarketSchema:
        query = sql.SQL("SELECT market FROM ml_models WHERE id = {}")
        rows = self._rows(query.format(sql.Literal(self._whole(prediction_id)["model_id"])))
        return market_named(rows[0]["market"]) if rows else market_named()

    def _whole(self, prediction_id: int) -> Mapping[str, Any]:
        """Return a prediction with what only a replay needs of it."""

        def query(table: str) -> sql.Composed:
            return sql.SQL("SELECT {},{}, p.score::float8 AS score, p.features_digest FROM {} WHERE p.id = {}").format(
                _FIELDS, OUTCOME, _JUDGED.format(sql.Identifier(table)), sql.Literal(prediction_id)
            )

        for row in self._with_forecasts(self._rows(query("predictions"))):
            return row
        if self._older is not None:
            for table in self._older.parts().tables:
                for row in self._unless_dropped(query(table), table):
                    return row
            if found := self._older.get(prediction_id):
                return found
        raise NotFoundError("prediction.not_found", id=prediction_id)

    def _listed(self, chosen: PredictionFilter, table: str, limit: int, offset: int) -> list[Mapping[str, Any]]:
        return list(self._with_forecasts(self._found(_listing(chosen, table, limit, offset)), table))

    def _of_detached(self, chosen: PredictionFilter, table: str, limit: int) -> list[dict[str, Any]]:
        return self._unless_dropped(_listing(chosen, table, limit, 0), table)

    def _unless_dropped(self, query: sql.Composed, table: str) -> list[dict[str, Any]]:
        """Search in a detached partition; nothing where it has been dropped since, because the archive has it then."""
        try:
            return self._with_forecasts(self._found(query), table)
        except StorageError as error:
            if isinstance(error.__cause__, UndefinedTable):
                return []
            raise

    def _with_forecasts(self, rows: list[dict[str, Any]], table: str = "predictions") -> list[dict[str, Any]]:
        """Add forecast, low and high to predictions; those of forecast models are read by their ids and moments."""
        with self._database.connection() as connection:
            return with_forecasts(rows, table, lambda query: connection.execute(query).fetchall())

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


def _listing(chosen: PredictionFilter, table: str, limit: int, offset: int) -> sql.Composed:
    return sql.SQL("SELECT {},{} FROM {} WHERE {} ORDER BY {} LIMIT {} OFFSET {}").format(
        _FIELDS,
        OUTCOME,
        _JUDGED.format(sql.Identifier(table)),
        _conditions(chosen, "p"),
        sql.SQL('p."timestamp" DESC, p.model_id' if chosen.coin_id is not None else "p.id DESC"),
        sql.Literal(limit),
        sql.Literal(offset),
    )


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
    if chosen.coin_ids is not None:
        names = sorted(name for name in chosen.coin_ids if "\0" not in name)
        field = sql.SQL("{}.coin_id").format(sql.Identifier(table))
        parts.append(sql.SQL("{} = ANY ({}::text[])").format(field, sql.Literal(names)))
    if chosen.outcome is not None and table == "p":
        parts.append(_OUTCOMES[chosen.outcome])
    return sql.SQL(" AND ").join(parts)
