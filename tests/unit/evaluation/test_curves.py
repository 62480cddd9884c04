"""Curves for plots."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve, roc_curve

from kurswerk.evaluation import curves
from kurswerk.evaluation._curves import MAX_POINTS

rows = st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0])), min_size=1, max_size=40)


@settings(max_examples=150, deadline=None)
@given(rows)
def test_equal_scikit_learn(data: list[tuple[int, float]]) -> None:
    y, probability = (np.array(column) for column in zip(*data, strict=True))
    found = curves(y, probability)
    if y.any():
        precision, recall, _ = precision_recall_curve(y, probability)
        assert found["precision_recall"]["precision"] == pytest.approx(precision[:-1][::-1])
        assert found["precision_recall"]["recall"] == pytest.approx(recall[:-1][::-1])
    else:
        assert found["precision_recall"] is None
    if y.any() and not y.all():
        fpr, tpr, _ = roc_curve(y, probability, drop_intermediate=False)
        assert found["roc"]["fpr"] == pytest.approx(fpr)
        assert found["roc"]["tpr"] == pytest.approx(tpr)
    else:
        assert found["roc"] is None
    assert sum(bin_["count"] for bin_ in found["calibration"]) == len(y)
    json.dumps(found, allow_nan=False)


def test_many_rows_make_few_points_with_both_ends() -> None:
    rng = np.random.default_rng(3)
    probability = rng.random(20_000)
    y = (rng.random(20_000) < probability).astype(int)
    found = curves(y, probability)
    for curve, axis in (("precision_recall", "recall"), ("roc", "fpr")):
        points = found[curve][axis]
        assert 100 < len(points) <= MAX_POINTS
        assert points == sorted(points)
        assert points[-1] == 1.0
        assert np.diff(points).max() < 0.02
    for bin_ in found["calibration"]:
        assert bin_["low"] <= bin_["mean_probability"] <= bin_["high"]
        assert bin_["positive_rate"] == pytest.approx(bin_["mean_probability"], abs=0.05)


def test_empty_bins_are_none() -> None:
    found = curves(np.array([1, 0]), np.array([1.0, 0.05]))["calibration"]
    assert [bin_["count"] for bin_ in found] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert found[5]["mean_probability"] is None
    assert found[5]["positive_rate"] is None
    assert found[9]["positive_rate"] == 1.0


outcomes = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 20).map(lambda k: k / 20), st.sampled_from([-2.0, 0.5, 3.0, np.nan])),
    min_size=1,
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(outcomes)
def test_each_threshold_decides_as_counted_row_by_row(data: list[tuple[int, float, float]]) -> None:
    y, probability, returns = (np.array(column) for column in zip(*data, strict=True))
    found = curves(y, probability, returns)["thresholds"]
    for k, threshold in enumerate(found["threshold"]):
        chosen = [(truth, gain) for truth, score, gain in data if score >= threshold]
        gains = [gain for _, gain in chosen if gain == gain]
        assert found["tp"][k] == sum(truth for truth, _ in chosen)
        assert found["fp"][k] == sum(1 - truth for truth, _ in chosen)
        assert found["trades"][k] == len(gains)
        assert found["profit_pct"][k] == (pytest.approx(sum(gains) / len(gains)) if gains else None)
    json.dumps(found, allow_nan=False)


def test_without_prices_no_threshold_trades() -> None:
    found = curves(np.array([1, 0]), np.array([0.7, 0.3]))["thresholds"]
    assert len(found["threshold"]) == 101
    assert set(found["trades"]) == {0}
    assert set(found["profit_pct"]) == {None}
