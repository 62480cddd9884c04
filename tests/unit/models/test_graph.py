import numpy as np
import onnx
import pytest

from kurswerk.models import OnnxModel
from kurswerk.models._artifact import build_artifact
from kurswerk.models.trees._ensemble import TreeEnsemble
from kurswerk.models.trees._graph import tree_graph

VALUES = np.array([-np.inf, 0.5, np.nextafter(np.float32(1), 0), 1.0, 1.5, np.inf, np.nan], np.float32)


def stump_and_leaf(strict, missing_left):
    """Two trees: one asks whether x is below 1 (or equal), -0.25 left and 0.25 right; the other is a leaf of 0.25."""
    return TreeEnsemble(
        roots=np.array([0, 3]),
        feature=np.array([0, -1, -1, -1]),
        threshold=np.array([1, 0, 0, 0], np.float32),
        left=np.array([1, 0, 0, 0]),
        right=np.array([2, 0, 0, 0]),
        missing_left=np.array([missing_left, False, False, False]),
        value=np.array([0, -0.25, 0.25, 0.25], np.float32),
        strict=strict,
    )


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("missing_left", [False, True])
def test_every_comparison_and_side_of_missing_values(strict, missing_left):
    data = build_artifact(tree_graph(stump_and_leaf(strict, missing_left), "mean"), "random_forest", ["x"], {})
    left = [True, True, True, not strict, False, False, missing_left]
    expected = [0.5 if is_left else 0.75 for is_left in left]
    assert OnnxModel.load(data).predict_proba(VALUES[:, np.newaxis]).tolist() == expected


def two_stumps(missing_left):
    trees = stump_and_leaf(strict=True, missing_left=False)
    return TreeEnsemble(
        roots=np.array([0, 3]),
        feature=np.tile(trees.feature[:3], 2),
        threshold=np.tile(trees.threshold[:3], 2),
        left=np.array([1, 0, 0, 4, 0, 0]),
        right=np.array([2, 0, 0, 5, 0, 0]),
        missing_left=np.array([missing_left[0], False, False, missing_left[1], False, False]),
        value=np.array([0, -1, 1, 0, -2, 2], np.float32),
        strict=True,
    )


@pytest.mark.parametrize("sides", [(False, False), (True, True), (True, False), (False, True)])
def test_nodes_may_send_missing_values_to_different_sides(sides):
    data = build_artifact(tree_graph(two_stumps(sides), "logistic"), "xgboost", ["x"], {})
    margin = sum(-size if side else size for side, size in zip(sides, (1, 2), strict=True))
    served = OnnxModel.load(data).predict_proba(np.array([[np.nan], [0], [2]], np.float32))
    assert np.allclose(served, 1 / (1 + np.exp(-np.array([margin, -3.0, 3.0]))), atol=1e-7)
    flags = [a.name for a in onnx.load_model_from_string(data).graph.node[0].attribute]
    assert ("nodes_missing_value_tracks_true" in flags) == (sides[0] != sides[1])


def test_the_same_model_gives_the_same_bytes_and_another_gives_others():
    made = [
        build_artifact(tree_graph(stump_and_leaf(strict, True), "mean"), "random_forest", ["x"], {})
        for strict in (True, True, False)
    ]
    assert made[0] == made[1] != made[2]
