import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier as SklearnForest
from sklearn.metrics import average_precision_score
from sklearn.tree._tree import Tree
from sklearnex.ensemble import RandomForestClassifier

from kurswerk.core.errors import DataError
from kurswerk.models import OnnxModel, create
from kurswerk.models.trees import from_scikit_learn
from kurswerk.models.trees._forest_nodes import count_classes, impurity_decrease

SENTINEL = -np.finfo(np.float32).max


def grown_by_the_library(model, X, y):
    """Grow the same forest with the library alone; missing values are the smallest."""
    filled = np.where(np.isnan(X), np.float32(SENTINEL), X)
    with np.errstate(all="ignore"):
        forest = RandomForestClassifier(**model.params, n_jobs=1).fit(filled, y)
    return [tree.tree_ for tree in forest.estimators_], filled


def passing(tree, filled, y):
    """Count rows and positive rows at every node, with scikit-learn's own walk."""
    path = tree.decision_path(filled)
    return path.T @ np.ones(len(y)), path.T @ y.astype(np.float64)


def refilled_share(trees, filled, y, queried):
    """Mean over trees of the positive share in the leaf (of the parent, where no row came), without any rounding."""
    total = np.zeros(len(queried))
    for tree in trees:
        seen, positive = passing(tree, filled, y)
        share = positive / np.maximum(seen, 1)
        for node in range(tree.node_count):
            for child in (tree.children_left[node], tree.children_right[node]):
                if child >= 0 and seen[child] == 0:
                    share[child] = share[node]
        total += share[tree.apply(queried)]
    return total / len(trees)


def predicted_by_scikit_learn(model, trees, queried):
    """Put the model's leaves into scikit-learn's trees and let those predict, in float64."""
    total = np.zeros(len(queried))
    for number, tree in enumerate(trees):
        state = tree.__getstate__()
        first = model.trees_.roots[number]
        values = model.trees_.value[first : first + tree.node_count].astype(np.float64) + 0.5
        state["values"] = np.stack([1 - values, values], axis=1)[:, np.newaxis, :]
        rebuilt = Tree(tree.n_features, np.array([2], np.intp), 1)
        rebuilt.__setstate__(state)
        total += rebuilt.predict(queried)[:, 1]
    return total / len(trees)


def assert_equal_to_the_library(model, X, y, queried):
    trees, filled = grown_by_the_library(model, X, y)
    queried_filled = np.where(np.isnan(queried), np.float32(SENTINEL), queried)
    served = OnnxModel.load(model.to_onnx([f"x{i}" for i in range(X.shape[1])], {})).predict_proba(queried)
    assert np.abs(served - refilled_share(trees, filled, y, queried_filled)).max() <= 1e-6
    own = predicted_by_scikit_learn(model, trees, queried_filled)
    assert np.abs(served - own).max() <= 6e-8
    assert np.array_equal(served >= 0.5, own >= 0.5)
    assert np.array_equal(served, model.predict_proba(queried))


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_served_probability_is_the_librarys_own(market, missing):
    X, y = market(3000, 8, missing=missing)
    fresh, _ = market(2000, 8, seed=9, missing=missing)
    fresh[:20] = np.nan
    fresh[20:40] = SENTINEL
    fresh[40:60] = -SENTINEL
    model = create("random_forest", {}, threads=2).fit(X, y)
    assert_equal_to_the_library(model, X, y, np.concatenate([X, fresh]))


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_small_and_odd_data_is_served_as_the_library_predicts(data):
    n, f = data.draw(st.integers(2, 40)), data.draw(st.integers(1, 4))
    cell = st.sampled_from([np.nan, 0.0, -0.0, 1.0, 1.0000001, 1e-45, 3.4028235e38, SENTINEL]) | st.floats(width=32)
    cells = data.draw(
        st.lists(cell.map(lambda x: max(-3.4028235e38, min(x, 3.4028235e38))), min_size=n * f, max_size=n * f)
    )
    X = np.clip(np.array(cells, np.float64), SENTINEL, -SENTINEL).astype(np.float32).reshape(n, f)
    y = np.array(data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)), np.int8)
    y[:2] = [0, 1]
    params = {"n_estimators": data.draw(st.integers(1, 12)), "bootstrap": data.draw(st.booleans())}
    assert_equal_to_the_library(create("random_forest", params, threads=1).fit(X, y), X, y, X)


def test_artifact_is_the_same_for_any_threads_order_and_subset(market):
    X, y = market(3000)
    names = [f"x{i}" for i in range(8)]
    made = {
        create("random_forest", {}, threads=threads).fit(given, y).to_onnx(names, {"a": 1})
        for threads in (1, 2, 3)
        for given in (X, np.asfortranarray(X), X.astype(np.float64))
    }
    rows = np.arange(0, 3000, 2)
    assert len(made) == 1
    assert create("random_forest", {"random_state": 1}).fit(X, y).to_onnx(names, {"a": 1}) not in made
    part = create("random_forest", {}).fit(X, y, rows).to_onnx(names, {})
    assert part == create("random_forest", {}).fit(X[rows], y[rows]).to_onnx(names, {})


def test_missing_values_are_distinguished_from_present_ones():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((400, 2)).astype(np.float32)
    y = (rng.random(400) < 0.5).astype(np.int8)
    X[y == 1, 0] = np.nan
    model = create("random_forest", {"max_features": None}).fit(X, y)
    assert model.predict_proba(np.array([[np.nan, 0], [-1e6, 0]], np.float32)).round(2).tolist() == [1.0, 0.0]
    assert model.feature_importance_[0] > 0.9


def test_importance_is_the_mean_decrease_of_impurity():
    # One tree of one split: 6 rows [4, 2] part into [4, 0] and [0, 2].
    roots, counts = np.array([0, 3]), np.array([[4, 2], [4, 0], [0, 2], [4, 2]])
    feature, left, right = np.array([1, -1, -1, -1]), np.array([1, 0, 0, 0]), np.array([2, 0, 0, 0])
    assert impurity_decrease(roots, feature, left, right, counts, 3).tolist() == [0.0, 1.0, 0.0]


def test_importance_is_what_the_splits_gained(market):
    X, y = market(1000)
    model = create("random_forest", {"n_estimators": 5}).fit(X, y)
    trees, filled = grown_by_the_library(model, X, y)
    total = np.zeros(8)
    for tree in trees:
        seen, positive = passing(tree, filled, y)
        share = positive / np.maximum(seen, 1)
        weighted_gini = seen * (1 - share**2 - (1 - share) ** 2)
        gain = np.zeros(8)
        for node in np.flatnonzero(tree.children_left >= 0):
            sides = [tree.children_left[node], tree.children_right[node]]
            gain[tree.feature[node]] += weighted_gini[node] - weighted_gini[sides].sum()
        total += gain / gain.sum()
    assert np.allclose(model.feature_importance_, total / 5, atol=1e-12)
    assert model.feature_importance_.sum() == pytest.approx(1, abs=1e-12)
    assert model.feature_importance_[6] == 0  # never present


def test_without_any_split_the_base_rate_is_predicted_and_nothing_is_important():
    X, y = np.ones((30, 2), np.float32), np.repeat([0, 1], [20, 10]).astype(np.int8)
    X[:, 1] = np.nan
    model = create("random_forest", {"n_estimators": 7}).fit(X, y)
    assert model.predict_proba(X) == pytest.approx(1 / 3, abs=1e-6)
    assert model.feature_importance_.tolist() == [0.0, 0.0]


def test_a_balanced_leaf_is_exactly_one_half():
    X, y = np.ones((10, 1), np.float32), np.tile([0, 1], 5).astype(np.int8)
    assert create("random_forest", {"n_estimators": 3}).fit(X, y).predict_proba(X).tolist() == [0.5] * 10


def test_one_class_is_refused():
    with pytest.raises(DataError, match="both classes"):
        create("random_forest", {}).fit(np.zeros((5, 1)), np.zeros(5, int))


@pytest.mark.parametrize(
    "params",
    [{"max_depth": None}, {"max_samples": 0.3}, {"bootstrap": False, "max_samples": 0.3}, {"max_features": 0.5},
     {"min_samples_split": 100}, {"min_samples_leaf": 50, "max_features": "log2"}, {"max_bins": 8, "min_bin_size": 5}],
)  # fmt: skip
def test_every_parameter_has_its_effect_and_keeps_its_property(market, params):
    X, y = market(800)
    model = create("random_forest", {"n_estimators": 10, **params}).fit(X, y)
    plain = create("random_forest", {"n_estimators": 10}).fit(X, y)
    p = model.predict_proba(X)
    assert ((p >= 0) & (p <= 1)).all()
    assert average_precision_score(y, p) > y.mean()
    assert not np.array_equal(p, plain.predict_proba(X))


def test_counting_is_the_same_compiled_and_not(market):
    X, y = market(60, missing=0.0)
    X[:, 6] = 0.0
    trees = create("random_forest", {"n_estimators": 3}).fit(X, y).trees_
    counts = [np.zeros((len(trees.feature), 2), np.int64) for _ in range(2)]
    for function, into in zip((count_classes, count_classes.py_func), counts, strict=True):
        function(trees.roots, trees.feature, trees.threshold, trees.left, trees.right, X, y, into)
    assert np.array_equal(*counts)
    assert counts[0][trees.roots].tolist() == [[60 - y.sum(), y.sum()]] * 3


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_a_forest_of_scikit_learn_is_served_as_it_predicts(market, missing):
    X, y = market(1500, missing=missing)
    X[:, 6] = 0.0
    forest = SklearnForest(100, max_depth=10, random_state=0).fit(X, y)
    model = from_scikit_learn(forest, threads=1)
    served, own = model.predict_proba(X), forest.predict_proba(X)[:, 1]
    assert np.abs(served - own).max() <= 1e-6
    assert np.array_equal(served >= 0.5, own >= 0.5)
    assert np.array_equal(model.feature_importance_, forest.feature_importances_)
    assert OnnxModel.load(model.to_onnx([f"x{i}" for i in range(8)], {})).model_type == "random_forest"


def test_a_forest_of_other_classes_is_refused(market):
    X, y = market(50, missing=0.0)
    X[:, 6] = 0.0
    with pytest.raises(DataError, match="classes 0 and 1"):
        from_scikit_learn(SklearnForest(2).fit(X, y + 1))
    with pytest.raises(DataError, match="classes 0 and 1"):
        from_scikit_learn(SklearnForest(2))
