"""The trees' own kernel, bit by bit beside ONNX Runtime."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, helper, numpy_helper

from kurswerk.models import OnnxModel, create
from kurswerk.models._artifact import INPUT, OUTPUT, build_artifact
from kurswerk.models._session import runtime
from kurswerk.models.trees._compiled import compile_prediction, compile_trees
from kurswerk.models.trees._ensemble import TreeEnsemble
from kurswerk.models.trees._graph import COMPARISONS, tree_graph

FEATURES = 5
NUMBERS = np.array([-np.inf, -1.5, -0.0, 0.0, 1e-45, 0.5, 1.0, 3.4e38, np.inf], np.float32)


def grown(random: np.random.Generator, trees: int, deepest: int, *, strict: bool, missing: str) -> TreeEnsemble:
    """Trees of any shape: single leaves, chains, full trees; thresholds that rows meet exactly."""
    feature, threshold, left, right, missing_left, value, roots = ([] for _ in range(7))

    def node(depth: int) -> int:
        here = len(feature)
        inner = depth < deepest and random.random() < 0.8
        feature.append(int(random.integers(FEATURES)) if inner else -1)
        threshold.append(random.choice(NUMBERS))
        left.append(0)
        right.append(0)
        missing_left.append(inner and {"left": True, "right": False, "mixed": random.random() < 0.5}[missing])
        value.append(random.normal())
        if inner:
            left[here] = node(depth + 1)
            right[here] = node(depth + 1)
        return here

    for _ in range(trees):
        roots.append(node(0))
    return TreeEnsemble(
        np.array(roots),
        np.array(feature),
        np.array(threshold, np.float32),
        np.array(left),
        np.array(right),
        np.array(missing_left),
        np.array(value, np.float32),
        strict=strict,
    )


def some_rows(random: np.random.Generator, n: int, missing_share: float) -> np.ndarray:
    X = np.where(
        random.random((n, FEATURES)) < 0.5, random.choice(NUMBERS, (n, FEATURES)), random.normal(size=(n, FEATURES))
    )
    X[random.random(X.shape) < missing_share] = np.nan
    return np.ascontiguousarray(X, np.float32)


def reference(model: ModelProto, X: np.ndarray) -> np.ndarray:
    return runtime(model.SerializeToString()).run([OUTPUT], {INPUT: X})[0]


def bits(values: np.ndarray) -> list[int]:
    assert values.dtype == np.float32
    return values.view(np.uint32).tolist()


def artifact(trees: TreeEnsemble, link: str) -> ModelProto:
    family = "xgboost" if link == "logistic" else "random_forest"
    return ModelProto.FromString(
        build_artifact(tree_graph(trees, link), family, [f"f{k}" for k in range(FEATURES)], {})
    )


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(0, 50),
    trees=st.integers(1, 40),
    deepest=st.integers(0, 7),
    strict=st.booleans(),
    missing=st.sampled_from(["left", "right", "mixed"]),
    missing_share=st.sampled_from([0.0, 0.3]),
    link=st.sampled_from(["mean", "logistic"]),
)
def test_has_the_bits_of_onnx_runtime(seed, n, trees, deepest, strict, missing, missing_share, link) -> None:
    random = np.random.default_rng(seed)
    model = artifact(grown(random, trees, deepest, strict=strict, missing=missing), link)
    X = some_rows(random, n, missing_share)
    predict = compile_prediction(model)
    assert predict is not None
    assert bits(predict(X)) == bits(reference(model, X))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_nodes_may_compare_in_different_ways(seed) -> None:
    random = np.random.default_rng(seed)
    model = artifact(grown(random, 10, 5, strict=False, missing="mixed"), "logistic")
    node = model.graph.node[0]
    for attribute in node.attribute:
        if attribute.name == "nodes_modes":
            modes = random.choice(COMPARISONS, len(numpy_helper.to_array(attribute.t))).astype(np.uint8)
            attribute.t.CopyFrom(numpy_helper.from_array(modes, "nodes_modes"))
    X = some_rows(random, 37, 0.2)
    predict = compile_prediction(model)
    assert predict is not None
    assert bits(predict(X)) == bits(reference(model, X))


def test_chains_deeper_than_one_look_for_leaves() -> None:
    deep = 40
    inner = np.arange(deep)
    trees = TreeEnsemble(
        roots=np.array([0]),
        feature=np.append(np.repeat([[0, -1]], deep, axis=0).ravel(), -1),
        threshold=np.append(np.column_stack([inner, inner]).ravel(), 0).astype(np.float32),
        left=np.append(np.column_stack([2 * inner + 1, 0 * inner]).ravel(), 0),
        right=np.append(np.column_stack([2 * inner + 2, 0 * inner]).ravel(), 0),
        missing_left=np.zeros(2 * deep + 1, bool),
        value=np.arange(2 * deep + 1, dtype=np.float32),
        strict=False,
    )
    model = artifact(trees, "mean")
    X = np.zeros((33, FEATURES), np.float32)
    X[:, 0] = np.arange(33) * 1.3 - 0.5
    predict = compile_prediction(model)
    assert predict is not None
    assert bits(predict(X)) == bits(reference(model, X))


@pytest.mark.parametrize("model_type", ["random_forest", "xgboost"])
def test_a_trained_model_is_served_by_it(model_type, monkeypatch) -> None:
    random = np.random.default_rng(3)
    X = random.standard_normal((700, FEATURES)).astype(np.float32)
    X[random.random(X.shape) < 0.1] = np.nan
    model = create(model_type, {"n_estimators": 30}).fit(X, (np.nan_to_num(X[:, 0]) > 0).astype(np.int8))
    data = model.to_onnx([f"f{k}" for k in range(FEATURES)], {})
    expected = reference(ModelProto.FromString(data), X)
    calls = []
    from kurswerk.models.trees import _compiled  # noqa: PLC0415 - patched

    monkeypatch.setattr(
        _compiled, "sum_trees", lambda *given, kernel=_compiled.sum_trees: (calls.append(1), kernel(*given))
    )
    assert bits(OnnxModel.load(data).predict_proba(X)) == bits(expected)
    assert bits(model.predict_proba(X)) == bits(expected)
    assert calls


def change(name: str, value) -> ModelProto:
    model = artifact(grown(np.random.default_rng(1), 3, 3, strict=True, missing="right"), "mean")
    node = model.graph.node[0]
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])
    return model


def ints(name: str) -> list[int]:
    model = artifact(grown(np.random.default_rng(1), 3, 3, strict=True, missing="right"), "mean")
    return next(list(attribute.ints) for attribute in model.graph.node[0].attribute if attribute.name == name)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("nodes_featureids", lambda given: [FEATURES, *given[1:]]),
        ("nodes_featureids", lambda given: [-1, *given[1:]]),
        ("nodes_truenodeids", lambda given: [10**6] * len(given)),
        ("nodes_falsenodeids", lambda given: [-1] * len(given)),
        ("tree_roots", lambda given: [*given[:-1], 10**6]),
        ("leaf_targetids", lambda given: [1, *given[1:]]),
        ("nodes_trueleafs", lambda given: given[:-1]),
    ],
)
def test_leaves_to_onnx_runtime_what_leads_nowhere(name, changed) -> None:
    assert compile_trees(change(name, changed(ints(name)))) is None


@pytest.mark.parametrize(
    ("name", "value"), [("aggregate_function", 0), ("post_transform", 1), ("n_targets", 2), ("new", 1)]
)
def test_leaves_to_onnx_runtime_what_it_does_not_know(name, value) -> None:
    assert compile_trees(change(name, value)) is None


def test_leaves_a_cycle_to_onnx_runtime() -> None:
    roots = ints("tree_roots")
    leaves = [0] * len(ints("nodes_trueleafs"))
    model = change("nodes_trueleafs", leaves)
    node = model.graph.node[0]
    for attribute in node.attribute:
        if attribute.name == "nodes_truenodeids":
            attribute.ints[:] = [roots[0]] * len(attribute.ints)
    assert compile_trees(model) is None


def test_a_sum_that_goes_another_way_is_computed_as_the_graph_states() -> None:
    """The mean is computed here only where the graph is exactly the one that forests have."""
    model = artifact(grown(np.random.default_rng(2), 4, 3, strict=True, missing="right"), "mean")
    division = next(node for node in model.graph.node if node.op_type == "Div")
    division.input[:] = ["trees", "sum"]
    X = some_rows(np.random.default_rng(3), 20, 0.1)
    predict = compile_prediction(model)
    assert predict is not None
    assert bits(predict(X)) == bits(reference(model, X))


def test_leaves_two_ensembles_to_onnx_runtime() -> None:
    model = artifact(grown(np.random.default_rng(2), 4, 3, strict=True, missing="right"), "mean")
    model.graph.node.append(model.graph.node[0])
    assert compile_prediction(model) is None
