"""Tree ensembles as ONNX graphs: one builder for every library, the same bytes for the same model."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, helper, numpy_helper

from kurswerk.core.errors import SpecError
from kurswerk.models._trees import TreeEnsemble

FORMAT = "kurswerk-model"
FORMAT_VERSION = "1"
INPUT, OUTPUT = "features", "probability"
# A file's last bytes: the SHA-256, in hexadecimal digits, of all bytes before them.
SEAL = "sha256"
SEAL_LENGTH = 64
OPERATORS = frozenset(
    {("ai.onnx.ml", "TreeEnsemble"), *(("", op) for op in ("Neg", "Exp", "Add", "Div", "Reshape"))},
)
_OPSETS = (("", 18), ("ai.onnx.ml", 5))
_IR_VERSION = 10
_LEQ, _LT, _GTE, _GT = 0, 1, 2, 3  # TreeEnsemble's codes for how a node compares x with its threshold
_SUM, _NO_TRANSFORM = 1, 0

Link = Literal["mean", "logistic"]


def build_model(
    trees: TreeEnsemble, link: Link, model_type: str, feature_names: Sequence[str], metadata: Mapping[str, Any]
) -> bytes:
    """Write a model as ONNX.

    Parameters
    ----------
    trees
        The ensemble; its sum over trees is s.
    link
        ``mean``: p = s / trees + 0.5, for leaves that hold a share less one half. ``logistic``: p = 1 / (exp(-s) + 1),
        the formula of XGBoost, step by step in float32.
    model_type, feature_names, metadata
        Kept in the model's properties; ``metadata`` must be JSON.

    Returns
    -------
    bytes
        No time stamp, no host, no path in them: the same model gives the same bytes.
    """
    graph = _graph(trees, link, len(feature_names))
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in _OPSETS],
        ir_version=_IR_VERSION,
        producer_name="kurswerk",
    )
    properties = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "model_type": model_type,
        "feature_names": _json(list(feature_names)),
        "metadata": _json(dict(metadata)),
        SEAL: "0" * SEAL_LENGTH,
    }
    helper.set_model_props(model, properties)
    unsealed: bytes = model.SerializeToString(deterministic=True)[:-SEAL_LENGTH]
    return unsealed + seal(unsealed)


def seal(data: bytes) -> bytes:
    """Return what must follow ``data`` in an undamaged file."""
    return hashlib.sha256(data).hexdigest().encode()


def _json(value: Any) -> str:
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SpecError(f"a model's metadata must be JSON: {error}") from error


def _graph(trees: TreeEnsemble, link: Link, n_features: int) -> GraphProto:
    constants: dict[str, NDArray[Any]] = {"column": np.array([-1], np.int64)}
    nodes = [_ensemble(trees)]
    if link == "mean":
        constants |= {"trees": np.array(trees.n_trees, np.float32), "half": np.array(0.5, np.float32)}
        nodes += [
            helper.make_node("Div", ["sum", "trees"], ["excess"], name="excess"),
            helper.make_node("Add", ["excess", "half"], ["mean"], name="mean"),
        ]
        last = "mean"
    else:
        constants["one"] = np.array(1, np.float32)
        nodes += [
            helper.make_node("Neg", ["sum"], ["negative"], name="negative"),
            helper.make_node("Exp", ["negative"], ["odds"], name="odds"),
            helper.make_node("Add", ["odds", "one"], ["inverse"], name="inverse"),
            helper.make_node("Div", ["one", "inverse"], ["logistic"], name="logistic"),
        ]
        last = "logistic"
    nodes.append(helper.make_node("Reshape", [last, "column"], [OUTPUT], name=OUTPUT))
    return helper.make_graph(
        nodes,
        "kurswerk",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, n_features])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )


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
            _integer("aggregate_function", _SUM),
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
            _integer("post_transform", _NO_TRANSFORM),
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
