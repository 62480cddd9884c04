"""Old test results, comparisons, jobs, predictions and alerts as rows of our tables, by SQL alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from psycopg import sql

from kurswerk.core.messages import Message
from kurswerk.storage.adoption._old_tables import OldTable
from kurswerk.storage.predictions import create_partitions
from kurswerk.storage.server import Connection, stored_message

# Values that our CHECK constraints would refuse become NULL.
_KINDS: Final[Mapping[str, str]] = {
    "plain": "{c}",
    "ratio": "CASE WHEN {c}::float8 BETWEEN 0 AND 1 THEN {c}::float8 END",
    "signed": "CASE WHEN {c}::float8 BETWEEN -1 AND 1 THEN {c}::float8 END",
    "number": "CASE WHEN {c}::float8 NOT IN ('NaN', 'Infinity', '-Infinity') THEN {c}::float8 END",
    "count": "CASE WHEN {c}::numeric >= 0 THEN {c}::bigint END",
    "flag": "coalesce({c}::boolean, false)",
    "json": "CASE WHEN jsonb_typeof({c}::jsonb) = 'string' THEN ({c}::jsonb #>> '{{}}')::jsonb ELSE {c}::jsonb END",
    "moment": "coalesce({c}::timestamptz, now())",
    "share": "coalesce(least(greatest({c}::float8, 0), 1), 0)",
    "model": "(SELECT m.id FROM ml_models m WHERE m.id = {c})",
    "test": "(SELECT t.id FROM ml_test_results t WHERE t.id = {c})",
    "comparison": "(SELECT k.id FROM ml_comparisons k WHERE k.id = {c})",
}
_TESTS: Final = {
    "id": "plain", "model_id": "plain", "test_start": "plain", "test_end": "plain", "accuracy": "ratio",
    "f1_score": "ratio", "precision_score": "ratio", "recall": "ratio", "roc_auc": "ratio", "mcc": "signed",
    "fpr": "ratio", "fnr": "ratio", "num_samples": "count", "num_positive": "count", "num_negative": "count",
    "has_overlap": "flag", "overlap_note": "plain", "feature_importance": "json", "train_accuracy": "ratio",
    "accuracy_degradation": "number", "is_overfitted": "plain", "simulated_profit_pct": "number",
    "created_at": "moment",
}  # fmt: skip
_COMPARISONS: Final = {
    "id": "plain", "model_a_id": "plain", "model_b_id": "plain", "test_a_id": "test", "test_b_id": "test",
    "test_start": "plain", "test_end": "plain", "num_samples": "count", "a_accuracy": "ratio", "a_f1": "ratio",
    "a_precision": "ratio", "a_recall": "ratio", "b_accuracy": "ratio", "b_f1": "ratio", "b_precision": "ratio",
    "b_recall": "ratio", "created_at": "moment",
}  # fmt: skip
_JOBS: Final = {
    "id": "plain", "progress": "share", "progress_msg": "plain", "result_model_id": "model", "result_test_id": "test",
    "result_comparison_id": "comparison", "created_at": "moment", "started_at": "plain", "completed_at": "plain",
}  # fmt: skip
_PREDICTIONS: Final = {
    "id": "plain", "coin_id": "plain", "timestamp": "plain", "model_id": "plain", "prediction": "plain",
    "probability": "plain", "features": "json", "created_at": "moment",
}  # fmt: skip
_ALERTS: Final = {
    "id": "plain", "prediction_id": "plain", "coin_id": "plain", "model_id": "plain", "probability": "plain",
    "threshold": "plain", "alert_sent": "flag", "created_at": "moment",
}  # fmt: skip
_COUNTS: Final = {"tp": (1, 1), "tn": (0, 0), "fp": (0, 1), "fn": (1, 0)}
# What a job's row has in columns of ours; everything else of it is what was ordered.
_NO_REQUEST: Final = (
    "id", "job_type", "status", "priority", "progress", "progress_msg", "error_msg", "result_model_id",
    "result_test_id", "result_comparison_id", "worker_id", "created_at", "started_at", "completed_at",
)  # fmt: skip
_ENDED = ("COMPLETED", "FAILED", "CANCELLED")


def copy_rows(connection: Connection, table: OldTable) -> int:
    """Copy what our table takes of an old one, in the caller's transaction, and return how many rows that is.

    Left out are rows of models that are not taken over, those without a period or a probability, and all but the
    newest of predictions of the same row by the same model.
    """
    return _COPIES[table.name](connection, table)


def _tests(connection: Connection, table: OldTable) -> int:
    fields = _fields(table, _TESTS)
    fields.update(_counts_of(table))
    if "confusion_matrix" in table.columns:
        fields["confusion_matrix"] = _matrix(fields)
    return _insert(connection, table, "ml_test_results", fields, "o.test_start < o.test_end", models=("model_id",))


def _counts_of(table: OldTable) -> dict[str, sql.Composable]:
    """Return the four counts: of columns, else of an object or scikit-learn's two rows in the confusion matrix."""
    matrix = _expression(table, "confusion_matrix", "json")
    found: dict[str, sql.Composable] = {}
    for name, (row, column) in _COUNTS.items():
        ways: list[sql.Composable] = []
        if name in table.columns:
            ways.append(_expression(table, name, "count"))
        if "confusion_matrix" in table.columns:
            text = sql.SQL("coalesce({m} ->> {name}, {m} -> {row} ->> {column})").format(
                m=sql.SQL("({})").format(matrix),
                name=sql.Literal(name),
                row=sql.Literal(row),
                column=sql.Literal(column),
            )
            ways.append(sql.SQL(r"CASE WHEN {t} ~ '^\d{{1,18}}$' THEN ({t})::bigint END").format(t=text))
        if ways:
            found[name] = sql.SQL("coalesce({})").format(sql.SQL(", ").join(ways))
    return found


def _matrix(fields: Mapping[str, sql.Composable]) -> sql.Composable:
    """Return the confusion matrix as our table holds it, NULL where a count is missing."""
    counts = [fields[name] for name in _COUNTS]
    pairs = sql.SQL(", ").join(
        sql.SQL("{}, {}").format(sql.Literal(name), value) for name, value in zip(_COUNTS, counts, strict=True)
    )
    known = sql.SQL(" + ").join(sql.SQL("({})").format(count) for count in counts)
    return sql.SQL("CASE WHEN {} IS NOT NULL THEN jsonb_build_object({}) END").format(known, pairs)


def _comparisons(connection: Connection, table: OldTable) -> int:
    fields = _fields(table, _COMPARISONS)
    if "winner_id" in table.columns:
        fields["winner_id"] = sql.SQL("CASE WHEN o.winner_id IN (o.model_a_id, o.model_b_id) THEN o.winner_id END")
    condition = "o.model_a_id <> o.model_b_id AND o.test_start < o.test_end"
    return _insert(connection, table, "ml_comparisons", fields, condition, models=("model_a_id", "model_b_id"))


def _jobs(connection: Connection, table: OldTable) -> int:
    fields = _fields(table, _JOBS)
    fields["job_type"] = sql.SQL("left(upper(o.job_type), 20)")
    known = sql.SQL("CASE WHEN upper(o.status) IN ({}) THEN upper(o.status) ELSE 'CANCELLED' END").format(
        sql.SQL(", ").join(map(sql.Literal, _ENDED))
    )
    fields["status"] = known
    open_, text = sql.SQL("({}) = 'CANCELLED'").format(known), stored_message(Message("adoption.job_not_ended"))
    old_text = _expression(table, "error_msg", "plain")
    fields["error_msg"] = sql.SQL("CASE WHEN {} THEN coalesce({}, {}) ELSE {} END").format(
        open_, old_text, sql.Literal(text["text"]), old_text
    )
    if "priority" in table.columns:
        fields["priority"] = sql.SQL("coalesce(o.priority, 5)")
    if "worker_id" in table.columns:
        fields["worker_id"] = sql.SQL("left(o.worker_id::text, 100)")
    rest = sql.SQL("jsonb_strip_nulls(to_jsonb(o)) - {}::text[]").format(sql.Literal(list(_NO_REQUEST)))
    fields["request"] = rest
    return _insert(connection, table, "ml_jobs", fields, "o.job_type IS NOT NULL")


def _predictions(connection: Connection, table: OldTable) -> int:
    days = connection.execute(
        sql.SQL(
            "SELECT DISTINCT (extract(epoch FROM date_trunc('day', {} AT TIME ZONE 'UTC')) * 1000000)::bigint"
            " FROM {} o WHERE {}"
        ).format(sql.SQL("o.timestamp::timestamptz"), table.identifier, sql.SQL("o.timestamp IS NOT NULL"))
    ).fetchall()
    if days:
        create_partitions(connection, np.array([day for (day,) in days], dtype=np.int64))
    condition = (
        "o.timestamp IS NOT NULL AND o.coin_id IS NOT NULL AND o.prediction IN (0, 1) AND o.probability BETWEEN 0 AND 1"
        " AND NOT EXISTS (SELECT FROM newer_predictions d WHERE d.id = o.id)"
    )
    # Older services kept several predictions of one row by one model; ours keeps one, the last of them.
    connection.execute(
        sql.SQL(
            "CREATE TEMPORARY TABLE newer_predictions ON COMMIT DROP AS SELECT id FROM (SELECT id, row_number() OVER"
            " (PARTITION BY coin_id, timestamp, model_id ORDER BY id DESC) AS place FROM {}) p WHERE place > 1"
        ).format(table.identifier)
    )
    fields = _fields(table, _PREDICTIONS)
    return _insert(connection, table, "predictions", fields, condition, models=("model_id",))


def _alerts(connection: Connection, table: OldTable) -> int:
    fields = _fields(table, _ALERTS)
    # Of their prediction, where that is taken over; an alert carries the time of its row.
    fields["timestamp"] = sql.SQL("(SELECT p.timestamp FROM predictions p WHERE p.id = o.prediction_id)")
    condition = (
        "EXISTS (SELECT FROM predictions p WHERE p.id = o.prediction_id)"
        " AND o.probability BETWEEN 0 AND 1 AND o.threshold BETWEEN 0 AND 1"
    )
    return _insert(connection, table, "prediction_alerts", fields, condition, models=("model_id",))


def _nothing(_connection: Connection, _table: OldTable) -> int:
    return 0


_COPIES: Final[Mapping[str, Callable[[Connection, OldTable], int]]] = {
    "ml_test_results": _tests,
    "ml_comparisons": _comparisons,
    "ml_jobs": _jobs,
    "predictions": _predictions,
    "prediction_alerts": _alerts,
    "ml_artifacts": _nothing,  # bytes that somebody else wrote are never loaded
}


def _fields(table: OldTable, kinds: Mapping[str, str]) -> dict[str, sql.Composable]:
    """Return our column → expression over the old row ``o``, for the columns that there are."""
    return {name: _expression(table, name, kind) for name, kind in kinds.items() if name in table.columns}


def _expression(table: OldTable, column: str, kind: str) -> sql.Composable:
    if column not in table.columns:
        return sql.SQL("NULL")
    return sql.SQL(_KINDS[kind]).format(c=sql.Identifier("o", column))


def _insert(
    connection: Connection,
    table: OldTable,
    target: str,
    fields: Mapping[str, sql.Composable],
    condition: str,
    *,
    models: Sequence[str] = (),
) -> int:
    known = [f"EXISTS (SELECT FROM ml_models m WHERE m.id = o.{column})" for column in models]  # nosec B608 - columns of ours
    statement = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} o WHERE {} ORDER BY o.id").format(
        sql.Identifier(target),
        sql.SQL(", ").join(map(sql.Identifier, fields)),
        sql.SQL(", ").join(fields.values()),
        table.identifier,
        sql.SQL(" AND ".join((condition, *known))),
    )
    return connection.execute(statement).rowcount
