"""Scalar metrics against scikit-learn, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from kurswerk.core.errors import DataError
from kurswerk.evaluation import brier, classification_metrics, log_loss

rows = st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=50)


@settings(max_examples=200, deadline=None)
@given(rows, st.sampled_from([0.3, 0.5, 0.9]))
def test_equal_scikit_learn(data: list[tuple[int, float]], threshold: float) -> None:
    y, probability = (np.array(column) for column in zip(*data, strict=True))
    found = classification_metrics(y, probability, threshold)
    decided = (probability >= threshold).astype(int)
    tn, fp, fn, tp = oracle.confusion_matrix(y, decided, labels=[0, 1]).ravel()
    assert found.confusion_matrix == {"tp": tp, "tn": tn, "fp": fp, "fn": fn}
    assert found.accuracy == pytest.approx(oracle.accuracy_score(y, decided))
    assert found.f1 == pytest.approx(oracle.f1_score(y, decided, zero_division=0))
    assert found.precision == pytest.approx(oracle.precision_score(y, decided, zero_division=0))
    assert found.recall == pytest.approx(oracle.recall_score(y, decided, zero_division=0))
    if len(set(y.tolist()) | set(decided.tolist())) == 2:
        assert found.mcc == pytest.approx(oracle.matthews_corrcoef(y, decided), abs=1e-12)
    assert found.fpr == (None if y.all() else pytest.approx(fp / (fp + tn)))
    assert found.fnr == (pytest.approx(fn / (fn + tp)) if y.any() else None)
    assert brier(y, probability) == pytest.approx(np.mean((probability - y) ** 2))
    inside = np.clip(probability, 1e-6, 1 - 1e-6)
    assert log_loss(y, inside) == pytest.approx(oracle.log_loss(y, inside, labels=[0, 1]))


def test_a_sure_error_costs_much_but_not_everything() -> None:
    assert log_loss(np.array([1]), np.array([0.0])) == pytest.approx(-np.log(1e-15))


def test_large_counts_do_not_overflow() -> None:
    y = np.tile(np.array([0, 1], dtype=np.int8), 1_000_000)
    assert classification_metrics(y, y.astype(np.float32)).mcc == pytest.approx(1.0)


def test_profit_is_passed_on() -> None:
    y = np.array([0, 1])
    assert classification_metrics(y, y, simulated_profit_pct=1.5).simulated_profit_pct == 1.5
    assert classification_metrics(y, y).simulated_profit_pct is None


@pytest.mark.parametrize(
    ("y", "probability", "message"),
    [
        ([], [], "no labelled rows"),
        ([1, 0], [0.5], "one of each per row"),
        ([[1]], [[0.5]], "one of each per row"),
        ([1, -1], [0.5, 0.5], "unknown"),
        ([1, 0], [0.5, np.nan], "outside"),
        ([1, 0], [0.5, 1.5], r"1 probability lies outside \[0, 1\]: 1.5 in row 1"),
        ([1, 0], [-0.1, 0.5], r"1 probability lies outside \[0, 1\]: -0.1 in row 0"),
    ],
)
def test_refused(y: list, probability: list, message: str) -> None:
    with pytest.raises(DataError, match=message):
        classification_metrics(np.array(y), np.array(probability))
