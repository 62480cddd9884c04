"""``ml_test_results`` and ``ml_comparisons``."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from psycopg import sql
from psycopg.rows import DictRow, dict_row

from kurswerk.core.errors import ConstraintError, NotFoundError
from kurswerk.evaluation import Metrics
from kurswerk.registry import Comparison, TestResult
from kurswerk.storage.registry._metrics_row import metrics_json, metrics_of, number
from kurswerk.storage.server import Database, jsonb


class PostgresResultStore:
    """Tests and comparisons in PostgreSQL; implements `kurswerk.registry.ResultStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save_test(self, result: TestResult) -> int:
        """Insert a test and return its id.

        Raises
        ------
        NotFoundError
            If there is no such model.
        """
        return self._insert("ml_test_results", _test_row(result))

    def save_comparison(self, comparison: Comparison) -> int:
        """Insert a comparison and return its id.

        Raises
        ------
        NotFoundError
            If there is no such model or test.
        ConstraintError
            If a model is compared with itself.
        """
        return self._insert("ml_comparisons", _comparison_row(comparison))

    def tests_of(self, model_id: int, limit: int = 100) -> Sequence[TestResult]:
        """Return a model's tests, newest first."""
        query = "SELECT * FROM ml_test_results WHERE model_id = %s ORDER BY id DESC LIMIT %s"
        return [_test(row) for row in self._rows(query, [model_id, limit])]

    def test(self, test_id: int) -> TestResult:
        """Return a test.

        Raises
        ------
        NotFoundError
            If there is none with this id.
        """
        for row in self._rows("SELECT * FROM ml_test_results WHERE id = %s", [test_id]):
            return _test(row)
        raise NotFoundError("test.not_found", id=test_id)

    def comparison(self, comparison_id: int) -> Comparison:
        """Return a comparison.

        Raises
        ------
        NotFoundError
            If there is none with this id.
        """
        for row in self._rows("SELECT * FROM ml_comparisons WHERE id = %s", [comparison_id]):
            return _comparison(row)
        raise NotFoundError("comparison.not_found", id=comparison_id)

    def comparisons_of(self, model_id: int, limit: int = 100) -> Sequence[Comparison]:
        """Return the comparisons that a model took part in, newest first."""
        query = "SELECT * FROM ml_comparisons WHERE model_a_id = %s OR model_b_id = %s ORDER BY id DESC LIMIT %s"
        return [_comparison(row) for row in self._rows(query, [model_id, model_id, limit])]

    def _rows(self, query: Any, parameters: Sequence[Any]) -> list[DictRow]:
        with self._database.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, parameters).fetchall()

    def _insert(self, table: str, row: Mapping[str, Any]) -> int:
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING id").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(map(sql.Placeholder, row)),
        )
        try:
            with self._database.connection() as connection:
                found = connection.execute(statement, row).fetchone()
        except ConstraintError as error:
            if error.constraint.endswith("_fkey"):
                raise NotFoundError("result.of_unknown_model", constraint=error.constraint) from error
            raise
        return int(found[0]) if found else 0


def _test_row(result: TestResult) -> dict[str, Any]:
    metrics = result.metrics
    return {
        "model_id": result.model_id,
        "test_start": result.test_start,
        "test_end": result.test_end,
        "accuracy": number(metrics.accuracy),
        "f1_score": number(metrics.f1),
        "precision_score": number(metrics.precision),
        "recall": number(metrics.recall),
        "roc_auc": number(metrics.roc_auc),
        "mcc": number(metrics.mcc),
        "fpr": number(metrics.fpr),
        "fnr": number(metrics.fnr),
        "confusion_matrix": jsonb(metrics.confusion_matrix),
        **metrics.confusion_matrix,
        "num_samples": result.num_samples,
        "num_positive": result.num_positive,
        "num_negative": result.num_negative,
        "has_overlap": result.has_overlap,
        "overlap_note": result.overlap_note,
        "feature_importance": jsonb(result.feature_importance),
        "train_accuracy": number(result.train_accuracy),
        "accuracy_degradation": number(result.accuracy_degradation),
        "is_overfitted": result.is_overfitted,
        "simulated_profit_pct": number(metrics.simulated_profit_pct),
        "evaluation": jsonb(result.evaluation),
    }


def _test(row: DictRow) -> TestResult:
    importance = row["feature_importance"] or {}
    return TestResult(
        id=row["id"],
        model_id=row["model_id"],
        test_start=row["test_start"].astimezone(UTC),
        test_end=row["test_end"].astimezone(UTC),
        metrics=Metrics(
            accuracy=row["accuracy"],
            f1=row["f1_score"],
            precision=row["precision_score"],
            recall=row["recall"],
            roc_auc=row["roc_auc"],
            mcc=row["mcc"],
            fpr=row["fpr"],
            fnr=row["fnr"],
            tp=row["tp"],
            tn=row["tn"],
            fp=row["fp"],
            fn=row["fn"],
            simulated_profit_pct=row["simulated_profit_pct"],
        ),
        num_samples=row["num_samples"],
        num_positive=row["num_positive"],
        num_negative=row["num_negative"],
        has_overlap=row["has_overlap"],
        overlap_note=row["overlap_note"],
        train_accuracy=row["train_accuracy"],
        accuracy_degradation=row["accuracy_degradation"],
        is_overfitted=row["is_overfitted"],
        feature_importance=dict(sorted(importance.items(), key=lambda item: (-item[1], item[0]))),
        evaluation=row["evaluation"] or {},
        created_at=row["created_at"].astimezone(UTC),
    )


def _comparison_row(comparison: Comparison) -> dict[str, Any]:
    row: dict[str, Any] = {
        "model_a_id": comparison.model_a_id,
        "model_b_id": comparison.model_b_id,
        "test_a_id": comparison.test_a_id,
        "test_b_id": comparison.test_b_id,
        "test_start": comparison.test_start,
        "test_end": comparison.test_end,
        "num_samples": comparison.num_samples,
        "winner_id": comparison.winner_id,
        "significance": jsonb(comparison.significance),
    }
    for side, metrics in (("a", comparison.a_metrics), ("b", comparison.b_metrics)):
        row[f"{side}_metrics"] = jsonb(metrics_json(metrics))
        for name in ("accuracy", "f1", "precision", "recall"):
            row[f"{side}_{name}"] = number(getattr(metrics, name))
    return row


def _comparison(row: DictRow) -> Comparison:
    return Comparison(
        id=row["id"],
        model_a_id=row["model_a_id"],
        model_b_id=row["model_b_id"],
        test_a_id=row["test_a_id"],
        test_b_id=row["test_b_id"],
        test_start=row["test_start"].astimezone(UTC),
        test_end=row["test_end"].astimezone(UTC),
        num_samples=row["num_samples"],
        a_metrics=metrics_of(row["a_metrics"] or {}),
        b_metrics=metrics_of(row["b_metrics"] or {}),
        winner_id=row["winner_id"],
        significance=row["significance"] or {},
        created_at=row["created_at"].astimezone(UTC),
    )
