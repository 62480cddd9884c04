import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from kurswerk.core.errors import DataError
from kurswerk.models import OnnxModel, create
from kurswerk.models import _matrix as matrix

NAMES = [f"x{i}" for i in range(8)]
LARGEST = float(np.finfo(np.float32).max)


def assert_equal_to_the_library(model, queried):
    served = OnnxModel.load(model.to_onnx(NAMES[: queried.shape[1]], {})).predict_proba(queried)
    own = model.booster_.predict(xgboost.DMatrix(queried))
    assert np.abs(served - own).max() <= 1.3e-7
    assert np.array_equal(served >= 0.5, own >= 0.5)
    assert np.array_equal(served, model.predict_proba(queried))


@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize("params", [{}, {"max_depth": 3, "subsample": 0.5, "colsample_bytree": 0.5, "max_bin": 16}])
def test_served_probability_is_the_librarys_own(market, missing, params):
    X, y = market(3000, missing=missing)
    fresh, _ = market(3000, seed=5, missing=missing)
    fresh[:20] = np.nan
    fresh[20:40] = LARGEST
    fresh[40:60] = -LARGEST
    assert_equal_to_the_library(create("xgboost", params).fit(X, y), np.concatenate([X, fresh]))


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_small_and_odd_data_is_served_as_the_library_predicts(data):
    n, f = data.draw(st.integers(2, 40)), data.draw(st.integers(1, 4))
    cell = st.sampled_from([np.nan, 0.0, -0.0, 1.0, 1.0000001192092896, 1.401298464324817e-45, LARGEST]) | st.floats(
        width=32
    )
    cells = np.array(data.draw(st.lists(cell, min_size=n * f, max_size=n * f)))
    X = matrix.as_model_input(cells.reshape(n, f))
    y = np.array(data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)), np.int8)
    y[:2] = [0, 1]
    params = {"n_estimators": data.draw(st.integers(1, 12)), "min_child_weight": 0.0, "learning_rate": 1.0}
    assert_equal_to_the_library(create("xgboost", params).fit(X, y), X)


@pytest.mark.parametrize("sample_rows", [1 << 17, 300])
def test_where_few_rows_miss_a_value_it_goes_to_the_lower_side(market, monkeypatch, sample_rows):
    monkeypatch.setattr("kurswerk.models.trees._boosting._SAMPLE_ROWS", sample_rows)
    X, y = market(3000, missing=0.0)
    X[:, 6] = 0.0
    X[5:30, 2] = np.nan
    model = create("xgboost", {}).fit(X, y)
    queried = market(3000, seed=5, missing=0.2)[0]
    assert_equal_to_the_library(model, queried)
    lowest = np.where(np.isnan(queried), np.float32(-LARGEST), queried)
    assert np.array_equal(model.predict_proba(queried), model.predict_proba(lowest))
    X[30:36, 3] = np.nan  # one in a hundred is not rare
    learned = create("xgboost", {}).fit(X, y)
    assert not np.array_equal(learned.predict_proba(queried), learned.predict_proba(lowest))


def test_margins_near_zero_decide_as_the_library():
    # Balanced classes and splits that mean little: many rows come out at, or within a rounding of, one half.
    rng = np.random.default_rng(0)
    X = rng.integers(0, 3, (4000, 6)).astype(np.float32)
    y = rng.permutation(np.tile([0, 1], 2000)).astype(np.int8)
    for rate in (1e-7, 1e-4, 0.1):
        assert_equal_to_the_library(create("xgboost", {"learning_rate": rate, "max_depth": 2}).fit(X, y), X)


def test_artifact_is_the_same_for_any_threads_order_and_subset(market, monkeypatch):
    monkeypatch.setattr("kurswerk.models.trees._boosting._CELLS_FOR_THREADS", 0)
    X, y = market(2000)
    params = {"subsample": 0.8, "n_estimators": 3, "max_depth": 4}
    made = {
        create("xgboost", params, threads=threads).fit(given, y).to_onnx(NAMES, {})
        for threads, given in [(1, X), (2, X), (1, np.asfortranarray(X)), (1, X.astype(np.float64))]
    }
    rows = np.arange(0, 2000, 2)
    assert len(made) == 1
    part = create("xgboost", params).fit(X, y, rows).to_onnx(NAMES, {})
    assert part == create("xgboost", params).fit(X[rows], y[rows]).to_onnx(NAMES, {})
    assert part not in made


def test_feeding_in_blocks_loses_no_row(market, monkeypatch):
    X, y = market(1000)
    X = np.round(np.clip(X, -9, 9), 1)  # few enough values that every one is a bin, in one block or many
    whole = create("xgboost", {"n_estimators": 10}).fit(X, y)
    monkeypatch.setattr("kurswerk.models.trees._boosting._CELLS_AT_ONCE", 0)
    monkeypatch.setattr(matrix.row_blocks, "__defaults__", (64,))
    blocks = create("xgboost", {"n_estimators": 10}).fit(X, y)
    assert np.array_equal(whole.predict_proba(X), blocks.predict_proba(X))


def test_infinite_values_are_limited(market):
    X, y = market(500)
    X[::7, 0], X[::5, 1] = np.inf, -np.inf
    limited = matrix.as_model_input(X)
    model = create("xgboost", {"n_estimators": 5}).fit(X, y)
    assert model.to_onnx(NAMES, {}) == create("xgboost", {"n_estimators": 5}).fit(limited, y).to_onnx(NAMES, {})
    assert np.array_equal(model.predict_proba(X), model.predict_proba(limited))


def test_importance_is_that_of_the_librarys_classifier(market):
    X, y = market(1000)
    model = create("xgboost", {"n_estimators": 20}).fit(X, y)
    settings = {k: v for k, v in model.params.items() if k not in {"random_state", "early_stopping_rounds"}}
    own = xgboost.XGBClassifier(**settings, random_state=42, tree_method="hist", n_jobs=1).fit(X, y)
    assert np.allclose(model.feature_importance_, own.feature_importances_, atol=1e-6)
    assert model.feature_importance_.sum() == pytest.approx(1)


def test_without_any_split_the_base_rate_is_predicted_and_nothing_is_important():
    X, y = np.full((30, 2), np.nan, np.float32), np.repeat([0, 1], [20, 10]).astype(np.int8)
    model = create("xgboost", {"n_estimators": 3}).fit(X, y)
    assert model.predict_proba(X) == pytest.approx(1 / 3, abs=1e-6)
    assert model.feature_importance_.tolist() == [0.0, 0.0]


def weighted_loss(y, probability, share):
    """Logarithmic loss where positives weigh as many as they are among the rows trained on."""
    weights = np.where(y == 1, share / y.mean(), (1 - share) / (1 - y.mean()))
    return -np.average(np.where(y == 1, np.log(probability), np.log1p(-probability)), weights=weights)


@pytest.mark.parametrize(("positives_dropped", "max_bin"), [(0, 256), (400, 256), (0, 32)])
def test_boosting_ends_where_rows_held_out_show_it(market, positives_dropped, max_bin):
    """The trees kept are those with the lowest loss of all up to ten trees later, counted by the library's own sums."""
    (X, y), (other, truth) = market(3000), market(1500, seed=8)
    chosen = np.setdiff1d(np.arange(1500), np.flatnonzero(truth)[:positives_dropped])
    held_out = other[chosen], truth[chosen]
    params = {"n_estimators": 200, "learning_rate": 0.3, "early_stopping_rounds": 10, "max_bin": max_bin}
    model = create("xgboost", params).fit(X, y, held_out=held_out)
    kept = len(model.trees_.roots)
    whole = create("xgboost", {**params, "early_stopping_rounds": 0}).fit(X, y, held_out=held_out)
    assert len(whole.trees_.roots) == 200
    queried = xgboost.DMatrix(held_out[0])
    grown = [whole.booster_.predict(queried, iteration_range=(0, count)) for count in range(1, kept + 11)]
    losses = [weighted_loss(held_out[1], p.astype(np.float64), y.mean()) for p in grown]
    assert int(np.argmin(losses)) + 1 == kept < 190
    assert_equal_to_the_library(model, held_out[0])
    assert average_precision_score(held_out[1], model.predict_proba(held_out[0])) > held_out[1].mean()


def test_rows_held_out_are_checked():
    X, y = np.arange(10.0).reshape(-1, 1), np.repeat([0, 1], 5)
    with pytest.raises(DataError, match="both classes"):
        create("xgboost", {}).fit(X, y, held_out=(X, np.zeros(10, int)))


def test_one_class_is_refused():
    with pytest.raises(DataError, match="both classes"):
        create("xgboost", {}).fit(np.zeros((5, 1)), np.ones(5, int))


def test_bins_from_a_sample_keep_every_property(market, monkeypatch):
    monkeypatch.setattr("kurswerk.models.trees._boosting._SAMPLE_ROWS", 300)
    X, y = market(3000)
    X[:, 3] = np.nan
    X[7, 3] = 1.0  # not in the sample
    X[8, 0] = 1e9  # beyond the sample
    whole = create("xgboost", {}).fit(X, y)
    assert_equal_to_the_library(whole, X)
    rows = np.arange(1, 3000, 2)
    part = create("xgboost", {}).fit(X, y, rows).to_onnx(NAMES, {})
    assert part == create("xgboost", {}).fit(X[rows], y[rows]).to_onnx(NAMES, {})
    monkeypatch.undo()
    exact = create("xgboost", {}).fit(X, y).predict_proba(X)
    assert average_precision_score(y, whole.predict_proba(X)) > average_precision_score(y, exact) - 0.05
    assert not np.array_equal(exact, whole.predict_proba(X))
