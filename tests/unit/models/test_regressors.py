"""Forecast models: what they learn, what they serve, and that neither depends on anything but the rows."""

import numpy as np
import onnx
import pytest
import xgboost
from sklearn.linear_model import Ridge

from kurswerk.core.errors import ConflictError, DataError
from kurswerk.models import REGRESSORS, OnnxModel, create, half_width, model_params

NAMES = ["a", "b", "c", "d"]


def small(model_type):
    return {"n_estimators": 12, "max_depth": 4} if "n_estimators" in model_params(model_type) else {}


def rows(n=900, seed=0, missing=0.05):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 4)).astype(np.float32)
    y = 2.0 * X[:, 0] - X[:, 1] + rng.standard_normal(n) * 0.5 - 1.0
    X[rng.random(X.shape) < missing] = np.nan
    return X, y


def fitted(model_type, missing=0.05, **params):
    X, y = rows(missing=missing)
    model = create(model_type, {**small(model_type), **params})
    model.fit(X, y, rows=np.arange(600)).calibrate(X, y, np.arange(600, 900), 0.8)
    return model, X, y


@pytest.fixture(scope="module", params=REGRESSORS)
def forecaster(request):
    return (request.param, *fitted(request.param))


def test_a_forecast_is_learnt_and_better_than_the_mean(forecaster):
    _, model, X, y = forecaster
    error = y[600:] - model.forecast(X[600:]).forecast
    assert np.mean(error**2) < 0.5 * np.var(y[600:])
    assert model.feature_importance_.sum() == pytest.approx(1)
    assert np.argmax(model.feature_importance_) == 0
    assert all(model.facts_.values())


def test_the_same_rows_give_the_same_bytes_with_any_number_of_threads(forecaster):
    model_type, model, X, y = forecaster
    data = model.to_onnx(NAMES, {"note": 1})
    again = create(model_type, small(model_type), threads=1)
    again.fit(X, y, rows=np.arange(600)).calibrate(X, y, np.arange(600, 900), 0.8)
    assert again.to_onnx(NAMES, {"note": 1}) == data
    onnx.checker.check_model(onnx.load_model_from_string(data), full_check=True)


def test_what_is_served_has_the_fitted_bits_in_any_batch(forecaster):
    model_type, model, X, _ = forecaster
    served = OnnxModel.load(model.to_onnx(NAMES, {}))
    assert served.is_forecast
    assert served.model_type == model_type
    whole = served.forecast(X)
    for ours, theirs in zip(model.forecast(X), whole, strict=True):
        assert ours.dtype == np.float32
        assert np.array_equal(ours, theirs)
    for size in (1, 7, 294):
        parts = [served.forecast(X[i : i + size]) for i in range(0, 294, size)]
        for column, expected in zip(zip(*parts, strict=True), whole, strict=True):
            assert np.array_equal(np.concatenate(column), expected[:294])
    assert np.array_equal(served.predict_proba(X), whole.probability)
    assert np.array_equal(OnnxModel.load(model.to_onnx(NAMES, {}), threads=3).predict_proba(X), whole.probability)
    assert len(served.forecast(X[:0]).forecast) == 0


def test_interval_and_probability_follow_from_the_errors_of_the_held_out_rows(forecaster):
    _, model, X, y = forecaster
    found = model.forecast(X)
    errors = y[600:] - model.points(X[600:]).astype(np.float64)
    half = half_width(errors, 0.8)
    assert np.allclose(found.high - found.forecast, half, rtol=1e-5, atol=1e-5)
    assert np.allclose(found.forecast - found.low, half, rtol=1e-5, atol=1e-5)
    smaller = np.array([np.mean(np.abs(errors) < abs(value)) for value in found.forecast.astype(np.float64)])
    expected = 0.5 + np.sign(found.forecast) * smaller / 2
    assert np.allclose(found.probability, expected, atol=0.5 / 256 + 1 / 301)
    assert np.array_equal(found.probability >= 0.5, found.forecast >= 0)
    order = np.argsort(found.forecast)
    assert np.all(np.diff(found.probability[order]) >= 0)


def test_ridge_has_the_coefficients_of_scikit_learn():
    model, X, y = fitted("ridge", missing=0.0, alpha=5.0)
    found = model.standardisation_
    design = (np.clip(X[:600], found.low, found.high).astype(np.float64) - found.mean) / found.scale
    oracle = Ridge(alpha=5.0).fit(design, y[:600])
    assert np.allclose(model.coefficients_, oracle.coef_, rtol=1e-9)
    assert model.intercept_ == pytest.approx(oracle.intercept_)
    assert np.allclose(model.points(X[:600]), oracle.predict(design), rtol=1e-5, atol=1e-5)


def test_boosting_gives_the_forecasts_of_xgboost():
    model, X, y = fitted("xgboost_regressor", missing=0.3)
    oracle = xgboost.XGBRegressor(
        n_estimators=12, max_depth=4, learning_rate=0.1, tree_method="hist", max_bin=256, random_state=42
    ).fit(X[:600], y[:600])
    assert np.array_equal(model.points(X), oracle.predict(X))


def test_boosting_ends_where_held_out_rows_are_forecast_best():
    X, y = rows()
    noise = np.random.default_rng(5).standard_normal(len(y))
    model = create("xgboost_regressor", {"n_estimators": 300, "early_stopping_rounds": 3})
    model.fit(X, noise, rows=np.arange(600), held_out=(X[600:], noise[600:]))
    assert model.trees_.n_trees < 50
    assert model.stops_early


def test_a_leaf_of_a_forest_is_the_mean_of_the_rows_that_reach_it():
    X, y = rows(missing=0.0)
    model = create("random_forest_regressor", {"n_estimators": 1, "max_depth": 3, "bootstrap": False})
    model.fit(X, y)
    points = model.points(X)
    for value in np.unique(points):
        assert value == pytest.approx(y[points == value].mean(), abs=1e-5)


def test_strange_rows_are_forecast_with_finite_numbers(forecaster):
    _, model, X, _ = forecaster
    huge = np.finfo(np.float32).max
    strange = np.vstack([np.full((1, 4), value, np.float32) for value in (np.nan, 0, huge, -huge, 1e-38)])
    found = model.forecast(np.vstack([strange, X[:5]]))
    assert all(np.isfinite(column).all() for column in found)
    assert np.all((found.probability >= 0) & (found.probability <= 1))


def test_nothing_is_exported_before_it_is_fitted_and_calibrated(forecaster):
    model_type, _, X, y = forecaster
    blank = create(model_type, small(model_type))
    with pytest.raises(ConflictError, match="call fit first"):
        blank.forecast(X)
    blank.fit(X, y)
    with pytest.raises(ConflictError, match="no interval yet"):
        blank.to_onnx(NAMES, {})
    blank.calibrate(X, y).fit(X, y)
    with pytest.raises(ConflictError, match="no interval yet"):
        blank.forecast(X)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros((3, 2), np.float32), np.zeros(2), "do not match labels"),
        (np.zeros((2, 2), np.float32), np.array([1.0, np.nan]), "no finite numbers"),
        (np.zeros((0, 2), np.float32), np.zeros(0), "nothing to train on"),
    ],
)
def test_what_cannot_be_learnt_is_refused(X, y, message):
    with pytest.raises(DataError, match=message):
        create("ridge").fit(X, y)
    with pytest.raises(DataError, match="row indexes"):
        create("ridge").fit(np.zeros((2, 2), np.float32), np.zeros(2), rows=np.array([5]))


def test_a_constant_column_is_worth_nothing(forecaster):
    model_type, _, X, y = forecaster
    wider = np.column_stack((X, np.full(len(X), 7.0), np.full(len(X), np.nan))).astype(np.float32)
    model = create(model_type, small(model_type)).fit(wider, y)
    assert not model.feature_importance_[-2:].any()


def test_a_classifier_has_no_forecast_and_its_format_stays_the_first():
    X, y = rows()
    data = create("logistic_regression").fit(X, (y > 0).astype(np.int8)).to_onnx(NAMES, {})
    model = onnx.load_model_from_string(data)
    assert {entry.key: entry.value for entry in model.metadata_props}["version"] == "1"
    with pytest.raises(ConflictError, match="no forecast"):
        OnnxModel.load(data).forecast(X)
