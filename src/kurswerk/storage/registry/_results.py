"""``ml_test_results`` and ``ml_comparisons``."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.rows import DictRow, dict_row

from kurswerk.core.errors import ConstraintError, NotFoundError
from kurswerk.registry import Comparison, TestResult
from kurswerk.storage.registry._rows import (
    TEST_METRICS,
    insert_row,
    metrics_json,
    metrics_of_json,
    metrics_of_row,
    metrics_row,
    number,
    record_of,
)
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
        try:
            with self._database.connection() as connection:
                return insert_row(connection, table, row)
        except ConstraintError as error:
            if error.constraint.endswith("_fkey"):
                raise NotFoundError("result.of_unknown_model", constraint=error.constraint) from error
            raise


def _test_row(result: TestResult) -> dict[str, Any]:
    metrics = result.metrics
    return {
        "model_id": result.model_id,
        "test_start": result.test_start,
        "test_end": result.test_end,
        **metrics_row(metrics, TEST_METRICS),
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
        "evaluation": jsonb(result.evaluation),
    }


def _test(row: DictRow) -> TestResult:
    return record_of(TestResult, row, metrics=metrics_of_row(row, TEST_METRICS), evaluation=row["evaluation"] or {})


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
    return record_of(
        Comparison,
        row,
        a_metrics=metrics_of_json(row["a_metrics"] or {}),
        b_metrics=metrics_of_json(row["b_metrics"] or {}),
        significance=row["significance"] or {},
    )
