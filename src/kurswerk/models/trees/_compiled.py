"""Trees read back from an artifact, in the form that the kernel walks."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from kurswerk.models._artifact import INPUT
from kurswerk.models._session import BlockFunction, run_graph
from kurswerk.models.trees._graph import COMPARISONS, NO_TRANSFORM, STRICT, SUM, TRUE_ABOVE, mean_nodes
from kurswerk.models.trees._kernel import CHILD_BITS, FEATURE_BITS, sum_trees

Int = NDArray[np.int64]

_SUMS: Final = "sum"
_LARGEST_STEP: Final = (1 << CHILD_BITS) - 1


_ATTRIBUTES: Final = frozenset(
    {
        "aggregate_function",
        "leaf_targetids",
        "leaf_weights",
        "n_targets",
        "nodes_falseleafs",
        "nodes_falsenodeids",
        "nodes_featureids",
        "nodes_missing_value_tracks_true",
        "nodes_modes",
        "nodes_splits",
        "nodes_trueleafs",
        "nodes_truenodeids",
        "post_transform",
        "tree_roots",
    }
)


@dataclass(frozen=True)
class CompiledTrees:
    """Trees whose children lie side by side: a comparison that holds leads to the second, anything else to the first.

    Attributes
    ----------
    words
        uint32 (nodes,): the feature in the lowest 15 bits; whether a missing value goes to the second child in the
        next; above, how many places after the node its first child is, 0 at a leaf.
    thresholds
        float32 (nodes,); the second child is taken when ``x <= threshold``; NaN at a leaf, which leads to itself.
    values
        float32 (nodes,), what a leaf adds to the sum; 0 at other nodes.
    roots
        uint32 (trees,), in the order in which their leaves are added.
    depths
        int32 (trees,), edges on the longest path.
    fill
        What takes the place of a missing value before the trees see it.
    by_node
        Whether nodes differ in where a missing value goes.
    """

    words: NDArray[np.uint32]
    thresholds: NDArray[np.float32]
    values: NDArray[np.float32]
    roots: NDArray[np.uint32]
    depths: NDArray[np.int32]
    fill: np.float32
    by_node: bool

    def __call__(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return each row's sum over the trees, float32 (n,).

        Parameters
        ----------
        X
            Rows, float32 (n, f) in C order, as wide as the artifact has features.
        """
        out = np.empty(len(X), np.float32)
        arrays = (self.words, self.thresholds, self.values, self.roots, self.depths)
        sum_trees(X, *arrays, self.fill, self.by_node, out)
        return out


def compile_prediction(model: ModelProto) -> BlockFunction | None:
    """Return a function from rows to the outputs with the bits of ONNX Runtime; None where there is none.

    The trees are summed by our kernel. What follows in the graph is left to ONNX Runtime, whose exponential has bits of
    its own; the mean of a forest is one division and one addition, which IEEE 754 leaves no choice in.
    """
    trees = compile_trees(model)
    if trees is None:
        return None
    rest = ModelProto()
    rest.CopyFrom(model)
    del rest.graph.node[:], rest.graph.input[:]
    rest.graph.node.extend(node for node in model.graph.node if node.op_type != "TreeEnsemble")
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    if list(rest.graph.node) == mean_nodes() and all(constants[name].shape == () for name in ("trees", "half")):
        divisor, half = constants["trees"], constants["half"]
        return lambda X: trees(X) / divisor + half
    rest.graph.input.append(helper.make_tensor_value_info(_SUMS, TensorProto.FLOAT, [None, 1]))
    run = run_graph(rest.SerializeToString(), _SUMS)
    return lambda X: run(trees(X)[:, np.newaxis])


def compile_kernel() -> None:
    """Have the kernel compiled, which takes seconds where it is not cached."""
    leaf = np.zeros(1, np.float32)
    CompiledTrees(
        words=np.zeros(1, np.uint32),
        thresholds=np.full(1, np.nan, np.float32),
        values=leaf,
        roots=np.zeros(1, np.uint32),
        depths=np.zeros(1, np.int32),
        fill=np.float32(np.nan),
        by_node=False,
    )(leaf[:, np.newaxis])


def compile_trees(model: ModelProto) -> CompiledTrees | None:
    """Return the trees of an artifact; None where its operator holds something that the kernel does not know.

    ONNX Runtime serves those: trees of more than 32,768 features or with two generations further apart than 65,535
    nodes, comparisons for equality, several outputs, and indexes that lead nowhere, which it refuses.
    """
    found = [node for node in model.graph.node if node.op_type == "TreeEnsemble"]
    if [(list(node.input), list(node.output)) for node in found] != [([INPUT], [_SUMS])]:
        return None
    node = found[0]
    width = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    given = _attributes(node)
    if width > 1 << FEATURE_BITS or not _is_known(given, width):
        return None
    places = _breadth_first(given)
    return None if places is None else _compile(given, places)


def _attributes(node: NodeProto) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for attribute in node.attribute:
        if attribute.type == AttributeProto.TENSOR:
            found[attribute.name] = numpy_helper.to_array(attribute.t)
        elif attribute.type == AttributeProto.INTS:
            found[attribute.name] = np.array(attribute.ints, dtype=np.int64)
        else:
            found[attribute.name] = attribute.i
    return found


def _is_known(given: dict[str, Any], width: int) -> bool:
    """Whether the operator holds one sum of trees, and all its indexes lead somewhere."""
    given.setdefault("nodes_missing_value_tracks_true", np.zeros(len(given["nodes_splits"]), np.int64))
    nodes, leaves = len(given["nodes_splits"]), len(given["leaf_weights"])
    of_nodes = ("featureids", "modes", "truenodeids", "falsenodeids", "trueleafs", "falseleafs")
    return (
        set(given) == _ATTRIBUTES
        and (given["n_targets"], given["aggregate_function"], given["post_transform"]) == (1, SUM, NO_TRANSFORM)
        and all(given[name].dtype == np.float32 for name in ("nodes_splits", "leaf_weights"))
        and all(len(given[f"nodes_{name}"]) == nodes for name in of_nodes)
        and len(given["nodes_missing_value_tracks_true"]) == nodes
        and not given["leaf_targetids"].any()
        and bool(np.isin(given["nodes_modes"], COMPARISONS).all())
        and _within(given["nodes_featureids"], width)
        and _within(given["tree_roots"], nodes)
        and all(
            _within(given[f"nodes_{side}nodeids"], np.where(given[f"nodes_{side}leafs"], leaves, nodes))
            for side in ("true", "false")
        )
    )


def _within(indexes: Int, end: Int | int) -> bool:
    return bool(((indexes >= 0) & (indexes < end)).all())


@dataclass(frozen=True)
class _Places:
    """Nodes and leaves of all trees in the order in which the kernel has them.

    ``source`` is the index of a node, or of a leaf where ``leaf``; ``step`` is 0 at a leaf.
    """

    leaf: NDArray[np.bool_]
    source: Int
    step: Int
    roots: Int
    depths: Int


def _breadth_first(given: dict[str, Any]) -> _Places | None:
    """Put every tree's nodes one generation after the other; None if a node is reached twice or too far away."""
    turned = np.isin(given["nodes_modes"], TRUE_ABOVE)
    sides = [(given[f"nodes_{side}leafs"].astype(bool), given[f"nodes_{side}nodeids"]) for side in ("false", "true")]
    # Where the comparison holds for large values, the sides are exchanged, so that it holds for small ones.
    children = [[np.where(turned, sides[1 - k][part], sides[k][part]) for part in range(2)] for k in range(2)]
    trees = len(given["tree_roots"])
    tree, leaf, source = np.arange(trees), np.zeros(trees, dtype=bool), given["tree_roots"]
    generations: list[tuple[Int, NDArray[np.bool_], Int]] = []
    first_child, reached, parents = [], 0, 0
    depths = np.zeros(trees, np.int64)
    while len(tree):
        depths[tree] = len(generations)
        generations.append((tree, leaf, source))
        reached += len(tree)
        inner = np.flatnonzero(~leaf)
        parents += len(inner)
        if parents > len(given["nodes_splits"]):
            return None
        first_child.append(np.where(leaf, -1, reached + 2 * (np.cumsum(~leaf) - 1)))
        nodes = source[inner]
        tree = np.repeat(tree[inner], 2)
        leaf, source = (np.column_stack([side[part][nodes] for side in children]).ravel() for part in range(2))
    all_trees, leaf, source = (np.concatenate(part) for part in zip(*generations, strict=True))
    order = np.argsort(all_trees, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    child = np.concatenate(first_child)[order]
    step = np.where(child < 0, 0, place[child] - np.arange(len(order)))
    if step.max(initial=0) > _LARGEST_STEP:
        return None
    return _Places(leaf[order], source[order], step, place[:trees], depths)


def _compile(given: dict[str, Any], places: _Places) -> CompiledTrees:
    inner = np.flatnonzero(~places.leaf)
    nodes = places.source[inner]
    splits, modes = given["nodes_splits"][nodes], given["nodes_modes"][nodes]
    turned = np.isin(modes, TRUE_ABOVE)
    # x < t is x <= the float below t, and never holds for t = -inf.
    with np.errstate(over="ignore"):  # below the lowest finite float32 lies -inf, and that is meant
        below = np.where(splits == -np.inf, np.float32(np.nan), np.nextafter(splits, np.float32(-np.inf)))
    limits = np.where(np.isin(modes, STRICT), below, splits)
    limits = np.where(turned & np.isnan(splits), np.float32(np.inf), limits).astype(np.float32)
    missing = given["nodes_missing_value_tracks_true"][nodes].astype(bool) ^ turned
    to_second = bool(missing.all()) and not np.isnan(limits).any()
    by_node = bool(missing.any()) and not to_second
    thresholds = np.full(len(places.leaf), np.nan, np.float32)
    values = np.zeros(len(places.leaf), np.float32)
    words = places.step << CHILD_BITS
    thresholds[inner] = limits
    words[inner] |= given["nodes_featureids"][nodes] | (by_node & missing).astype(np.int64) << FEATURE_BITS
    values[places.leaf] = given["leaf_weights"][places.source[places.leaf]]
    return CompiledTrees(
        words.astype(np.uint32),
        thresholds,
        values,
        places.roots.astype(np.uint32),
        places.depths.astype(np.int32),
        np.float32(-np.inf if to_second else np.nan),
        by_node,
    )
