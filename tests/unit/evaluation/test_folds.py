"""Scores of folds and the overfitting rule."""

import json

import numpy as np
import pytest

from kurswerk.core.errors import DataError
from kurswerk.evaluation import (
    FoldScores,
    accuracy_degradation,
    classification_metrics,
    is_overfitted,
    summarize_folds,
)


def fold(train_right: int, test_right: int, pr_auc: float | None) -> FoldScores:
    def scored(right: int) -> object:
        y = np.ones(10, dtype=int)
        return classification_metrics(y, np.where(np.arange(10) < right, 0.9, 0.1))

    return FoldScores(scored(train_right), scored(test_right), 0.9, pr_auc, 10, 10, 3, 1_000_000)


def test_gap_is_mean_training_f1_minus_mean_test_f1() -> None:
    summary = summarize_folds([fold(10, 5, 0.4), fold(10, 10, None)])
    assert summary.overfitting_gap == pytest.approx(((1 - 2 * 5 / 15) + 0) / 2)
    record = summary.as_json()
    json.dumps(record, allow_nan=False)
    assert record["n_splits"] == 2
    assert record["test_accuracy"] == [0.5, 1.0]
    assert record["test_pr_auc"] == [0.4, None]
    assert record["mean"]["test_pr_auc"] == 0.4
    assert record["mean"]["test_roc_auc"] is None
    assert record["mean"]["train_f1"] == 1.0
    assert record["purged"] == [3, 3]
    assert record["test_start"] == ["1970-01-01T00:00:01Z"] * 2


def test_no_folds() -> None:
    with pytest.raises(DataError, match="no folds"):
        summarize_folds([])


def test_overfitting_rule() -> None:
    assert is_overfitted(0.95, 0.80)
    assert not is_overfitted(0.75, 0.70)
    assert not is_overfitted(0.6, 0.9)
    assert accuracy_degradation(0.9, 0.75) == pytest.approx(0.15)
