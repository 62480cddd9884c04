"""Ranking metrics against scikit-learn."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from kurswerk.evaluation import _ranking, pr_auc, roc_auc
from kurswerk.evaluation._ranking import Ranking

rows = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]), st.integers(0, 4)),
    min_size=1,
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(rows)
def test_equal_scikit_learn(data: list[tuple[int, float, int]]) -> None:
    y, scores, _ = (np.array(column) for column in zip(*data, strict=True))
    if y.sum() == 0:
        assert pr_auc(y, scores) is None
    else:
        assert pr_auc(y, scores) == pytest.approx(average_precision_score(y, scores), abs=1e-12)
    if 0 < y.sum() < len(y):
        assert roc_auc(y, scores) == pytest.approx(roc_auc_score(y, scores), abs=1e-12)
    else:
        assert roc_auc(y, scores) is None


@settings(max_examples=300, deadline=None)
@given(rows, st.lists(st.integers(0, 3), min_size=5, max_size=5))
def test_weighted_equal_scikit_learn_and_repetition(data: list[tuple[int, float, int]], weights: list[int]) -> None:
    y, scores, group = (np.array(column) for column in zip(*data, strict=True))
    weight = np.array(weights, dtype=float)
    precision, auc = Ranking.of(y, scores, group).scores(weight)
    repeated = np.repeat(np.arange(len(y)), weight[group].astype(int))
    assume(len(repeated))
    assert [precision, auc] == pytest.approx(
        list(Ranking.of(y[repeated], scores[repeated]).scores(np.ones(1))), abs=1e-12, nan_ok=True
    )
    if y[repeated].sum():
        expected = average_precision_score(y, scores, sample_weight=weight[group])
        assert precision == pytest.approx(expected, abs=1e-12)
        if y[repeated].sum() < len(repeated):
            assert auc == pytest.approx(roc_auc_score(y, scores, sample_weight=weight[group]), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(rows)
def test_compiled_equals_python(data: list[tuple[int, float, int]]) -> None:
    y, scores, group = (np.array(column) for column in zip(*data, strict=True))
    ranking = Ranking.of(y, scores, group)
    parts = (ranking.positive, ranking.last_of_tie, ranking.group, np.array([1.0, 0.0, 2.0, 3.0, 1.0]))
    plain = _ranking._weighted_ranking.py_func(*parts)
    assert np.array_equal(plain, _ranking._weighted_ranking(*parts), equal_nan=True)


@settings(max_examples=60, deadline=None)
@given(rows)
def test_only_the_order_counts(data: list[tuple[int, float, int]]) -> None:
    y, scores, _ = (np.array(column) for column in zip(*data, strict=True))
    assert pr_auc(y, scores) == pr_auc(y, np.exp(scores * 3) - 7)


def test_nan_ranks_last() -> None:
    y = np.array([0, 1, 1])
    assert pr_auc(y, np.array([np.nan, 0.1, -5.0])) == 1.0
    assert roc_auc(y, np.array([np.nan, 0.1, -5.0])) == 1.0
