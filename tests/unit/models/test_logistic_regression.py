"""Logistic regression: the library's own coefficients, standardised inside the graph, the same bits row by row."""

import numpy as np
import onnx
import pytest
from sklearn.linear_model import LogisticRegression as Library

from kurswerk.models import OnnxModel, create, family_named


def fitted(market, **given):
    X, y = market(**given)
    return create("logistic_regression").fit(X, y), X, y


def standardised(model, X):
    """Standardise as declared, in numpy alone."""
    found = model.standardisation_
    limited = np.clip(X.astype(np.float64), found.low, found.high)
    return np.where(np.isnan(X), 0.0, (limited - found.mean) / found.scale)


@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_served_probability_is_that_of_the_formula(market, missing):
    model, X, _ = fitted(market, missing=missing)
    margin = standardised(model, X) @ model.coefficients_ + model.intercept_
    assert np.allclose(model.predict_proba(X), 1 / (1 + np.exp(-margin)), atol=1e-6)


def test_coefficients_are_those_of_the_library_on_standardised_columns(market):
    model, X, y = fitted(market)
    library = Library(C=1.0, solver="newton-cholesky", tol=1e-6).fit(standardised(model, X), y)
    assert np.allclose(model.coefficients_, library.coef_[0], atol=1e-6)
    assert model.facts_ == {"iterations": library.n_iter_[0]}


def test_columns_are_standardised_and_extremes_limited(market):
    model, X, _ = fitted(market, n=4000, missing=0.05)
    values = np.where(np.isnan(X), np.nan, standardised(model, X))[:, :4]
    assert np.allclose(np.nanmean(values, axis=0), 0, atol=1e-6)
    assert np.allclose(np.nanstd(values, axis=0), 1)
    far = X[:1].copy()
    far[0, 0] = np.float32(3e38)
    edge = far.copy()
    edge[0, 0] = model.standardisation_.high[0]
    assert model.predict_proba(far) == model.predict_proba(edge)


def test_a_column_without_information_has_no_coefficient_and_no_importance(market):
    model, _, _ = fitted(market)
    assert (model.coefficients_[[5, 6]] == 0).all()  # constant, and always missing
    assert model.feature_importance_.sum() == pytest.approx(1)
    assert (model.feature_importance_[[5, 6]] == 0).all()
    X = np.full((8, 2), np.nan, np.float32)
    base = create("logistic_regression").fit(X, np.array([0, 0, 0, 1] * 2))
    assert np.allclose(base.predict_proba(X), 0.25)
    assert not base.feature_importance_.any()


def test_artifact_is_the_same_for_any_threads_order_and_subset(market):
    X, y = market(n=900)
    rows = np.flatnonzero(np.arange(900) % 3 > 0)
    names = [f"f{k}" for k in range(X.shape[1])]
    made = [
        create("logistic_regression", threads=1).fit(X[rows], y[rows]),
        create("logistic_regression", threads=4).fit(X, y, rows),
        create("logistic_regression").fit(np.asfortranarray(X.astype(np.float64)), y, rows),
    ]
    assert len({model.to_onnx(names, {}) for model in made}) == 1


@pytest.mark.parametrize("width", [1, 2, 3, 17, 64])
def test_a_row_has_the_same_bits_in_any_batch_for_any_width(width):
    rng = np.random.default_rng(width)
    X = rng.standard_normal((700, width)).astype(np.float32)
    X[rng.random(X.shape) < 0.1] = np.nan
    y = (rng.random(700) < 0.4).astype(np.int8)
    served = OnnxModel.load(create("logistic_regression").fit(X, y).to_onnx([f"f{k}" for k in range(width)], {}))
    whole = served.predict_proba(X)
    for size in (1, 2, 7, 256):
        parts = [served.predict_proba(X[at : at + size]) for at in range(0, len(X), size)]
        assert np.array_equal(np.concatenate(parts), whole)


def test_the_graph_has_no_operator_whose_order_of_summation_depends_on_the_batch(market):
    model, X, _ = fitted(market)
    graph = onnx.load_model_from_string(model.to_onnx([f"f{k}" for k in range(X.shape[1])], {})).graph
    used = {(node.domain, node.op_type) for node in graph.node}
    assert used <= family_named("logistic_regression").operators
    assert not {name for _, name in used} & {"MatMul", "Gemm", "ReduceSum"}


def test_a_stronger_penalty_makes_smaller_coefficients(market):
    X, y = market()
    sizes = [np.abs(create("logistic_regression", {"C": C}).fit(X, y).coefficients_).sum() for C in (1e-4, 1e-2, 1.0)]
    assert sizes == sorted(sizes)
    assert create("logistic_regression", {"max_iter": 1}).fit(X, y).iterations_ == 1
