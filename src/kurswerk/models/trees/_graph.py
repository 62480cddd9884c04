"""Tree ensembles as ONNX: one operator for every library's trees."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import AttributeProto, NodeProto, helper, numpy_helper

from kurswerk.models._artifact import (
    COLUMN_CONSTANT,
    FORECAST,
    INPUT,
    LOGISTIC_CONSTANTS,
    LOGISTIC_OPERATORS,
    Graph,
    as_output,
    logistic_nodes,
    operators,
)
from kurswerk.models.trees._ensemble import TreeEnsemble

TREE_OPERATORS = LOGISTIC_OPERATORS | operators("TreeEnsemble", domain="ai.onnx.ml")
COMPARISONS = _LEQ, _LT, _GTE, _GT = 0, 1, 2, 3  # TreeEnsemble's codes for how a node compares x with its threshold
STRICT, TRUE_ABOVE = (_LT, _GTE), (_GTE, _GT)
SUM, NO_TRANSFORM = 1, 0  # its codes for adding leaves, and for leaving their sum as it is

Link = Literal["mean", "logistic"]


def tree_graph(trees: TreeEnsemble, link: Link) -> Graph:
    """Write trees, and the way from their sum to a probability, as ONNX nodes.

    Parameters
    ----------
    trees
        The ensemble; its sum over trees is s.
    link
        ``mean``: p = s / trees + 0.5, for leaves that hold a share less one half. ``logistic``: p = 1 / (exp(-s) + 1),
        the formula of XGBoost, step by step in float32.
    """
    if link == "logistic":
        return Graph([_ensemble(trees), *logistic_nodes("sum")], LOGISTIC_CONSTANTS)
    nodes = [_ensemble(trees), *mean_nodes()]
    halves = {"trees": np.array(trees.n_trees, np.float32), "half": np.array(0.5, np.float32)}
    return Graph(nodes, {**COLUMN_CONSTANT, **halves})


def forecast_graph(trees: TreeEnsemble, *, mean: bool) -> Graph:
    """Write trees whose leaves hold numbers, and their sum or their mean as the forecast."""
    if not mean:
        return Graph([_ensemble(trees), as_output("sum", FORECAST)], COLUMN_CONSTANT, (FORECAST,))
    divide = helper.make_node("Div", ["sum", "trees"], ["mean"], name="mean")
    constants = {**COLUMN_CONSTANT, "trees": np.array(trees.n_trees, np.float32)}
    return Graph([_ensemble(trees), divide, as_output("mean", FORECAST)], constants, (FORECAST,))


def mean_nodes() -> list[NodeProto]:
    """Return what leads from the sum of leaves, of which each holds a share less one half, to the mean share."""
    return [
        helper.make_node("Div", ["sum", "trees"], ["excess"], name="excess"),
        helper.make_node("Add", ["excess", "half"], ["mean"], name="mean"),
        as_output("mean"),
    ]


def _ensemble(trees: TreeEnsemble) -> NodeProto:
    """Write the trees; the operator counts inner nodes and leaves apart, and knows no tree without a node.

    A tree that is a single leaf becomes a node whose two sides are that leaf. NaN fails every comparison, so where all
    nodes send it to the same side no flag per node is needed, which is faster: only the comparison may have to be
    turned round, and the sides with it.
    """
    inner = trees.feature >= 0
    inner[trees.roots] = True
    leaf = trees.feature < 0
    inner_index, leaf_index = np.cumsum(inner) - 1, np.cumsum(leaf) - 1
    at = np.flatnonzero(inner)
    lone = leaf[at]
    left, right = np.where(lone, at, trees.left[at]), np.where(lone, at, trees.right[at])
    missing_left = trees.missing_left[at]
    turned = bool(missing_left[~lone].all()) and not lone.all()
    if turned:
        left, right = right, left
    node = NodeProto(op_type="TreeEnsemble", domain="ai.onnx.ml", name="trees", input=[INPUT], output=["sum"])
    mode = (_GTE if trees.strict else _GT) if turned else (_LT if trees.strict else _LEQ)
    node.attribute.extend(
        [
            _integer("aggregate_function", SUM),
            _integers("leaf_targetids", np.zeros(int(leaf.sum()), np.int64)),
            _tensor("leaf_weights", trees.value[leaf]),
            _integer("n_targets", 1),
            _integers("nodes_falseleafs", leaf[right]),
            _integers("nodes_falsenodeids", np.where(leaf[right], leaf_index[right], inner_index[right])),
            _integers("nodes_featureids", np.where(lone, 0, trees.feature[at])),
            _tensor("nodes_modes", np.full(len(at), mode, np.uint8)),
            _tensor("nodes_splits", np.where(lone, np.float32(0), trees.threshold[at]).astype(np.float32)),
            _integers("nodes_trueleafs", leaf[left]),
            _integers("nodes_truenodeids", np.where(leaf[left], leaf_index[left], inner_index[left])),
            _integer("post_transform", NO_TRANSFORM),
            _integers("tree_roots", inner_index[trees.roots]),
        ]
    )
    if missing_left.any() and not turned:
        node.attribute.append(_integers("nodes_missing_value_tracks_true", missing_left))
    return node


def _integer(name: str, value: int) -> AttributeProto:
    return AttributeProto(name=name, type=AttributeProto.INT, i=value)


def _integers(name: str, values: NDArray[Any]) -> AttributeProto:
    return AttributeProto(name=name, type=AttributeProto.INTS, ints=values.astype(np.int64).tolist())


def _tensor(name: str, values: NDArray[Any]) -> AttributeProto:
    return AttributeProto(name=name, type=AttributeProto.TENSOR, t=numpy_helper.from_array(values, name))
