"""Faulty models and resamplers are found by the check meant for them."""

import json

import numpy as np
import pytest

from kurswerk.checks import Effort, model_checks, resampler_checks
from kurswerk.core.errors import ArtifactError, DataError
from unit.checks.pipelines import resample

EFFORT = Effort(trials=2)


class Line:
    """A linear model with missing values as zero."""

    weights = None

    def fit(self, X, y):
        if len(np.unique(y)) < 2:
            raise DataError("one class only")
        filled = np.nan_to_num(X).astype(np.float64)
        self.weights = filled[y == 1].mean(axis=0) - filled[y == 0].mean(axis=0)
        self.weights[filled.std(axis=0) == 0] = 0.0
        total = np.abs(self.weights).sum()
        self.feature_importance_ = np.abs(self.weights) / (total or 1.0)
        return self

    def predict_proba(self, X):
        return served(X, self.weights)

    def to_onnx(self, feature_names, metadata):
        return json.dumps([list(feature_names), dict(metadata), self.weights.tolist()]).encode()


def served(X, weights):
    score = np.zeros(len(X))
    for column, weight in zip(np.nan_to_num(X, posinf=0, neginf=0).T.astype(np.float64), weights, strict=True):
        score += np.clip(column, -1e3, 1e3) * weight
    return (1 / (1 + np.exp(-np.clip(score, -50, 50)))).astype(np.float32)


class Loaded:
    def __init__(self, data):
        try:
            self.feature_names, self.metadata, self.weights = json.loads(data)
        except ValueError as error:
            raise ArtifactError("no artifact") from error

    def predict_proba(self, X):
        return served(X, self.weights)


def failed(create=Line, load=Loaded):
    return {f.check: f.message for f in model_checks(create, load, rows=120, effort=EFFORT) if not f.passed}


def test_honest_model_passes():
    assert failed() == {}


class Random(Line):
    def fit(self, X, y, rng=np.random.default_rng(0)):  # noqa: B008 - one generator for all instances is the fault
        super().fit(X, y)
        self.weights = self.weights + rng.normal(0, 1e-6, len(self.weights))


class Writing(Line):
    def fit(self, X, y):
        np.nan_to_num(X, copy=False)
        return super().fit(X, y)


class Shared(Line):
    def fit(self, X, y):
        super().fit(X, y)
        Shared.weights = self.__dict__.pop("weights")


class Ranking(Line):
    def predict_proba(self, X):
        return (np.argsort(np.argsort(super().predict_proba(X))) / len(X)).astype(np.float32)


class Missing(Line):
    def predict_proba(self, X):
        return np.where(np.isnan(X).all(axis=1), np.nan, super().predict_proba(X)).astype(np.float32)


class Upside(Line):
    def fit(self, X, y):
        return super().fit(X, 1 - y)


class Wide(Line):
    def predict_proba(self, X):
        return super().predict_proba(X)[:, None]


class Fond(Line):
    def fit(self, X, y):
        super().fit(X, y)
        self.feature_importance_ = np.full(X.shape[1], 1 / X.shape[1])


class Short(Line):
    def fit(self, X, y):
        super().fit(X, y)
        self.feature_importance_ = np.ones(1)


class Careless(Line):
    def fit(self, X, y):
        try:
            super().fit(X, y)
        except DataError:
            self.weights = np.full(X.shape[1], np.nan)


class LoadedElsewhere(Loaded):
    def predict_proba(self, X):
        return np.clip(super().predict_proba(X) + np.float32(2e-6), 0, 1)


class LoadedShifted(Loaded):
    def predict_proba(self, X):
        proba = super().predict_proba(X)
        return np.where(proba >= 0.5, proba - np.float32(0.5), proba)


class LoadedNameless(Loaded):
    def __init__(self, data):
        super().__init__(data)
        self.feature_names, self.metadata = self.feature_names[::-1], {}


class LoadsAnything(Loaded):
    def __init__(self, data):
        try:
            super().__init__(data)
        except ArtifactError:
            self.weights = []


@pytest.mark.parametrize(
    ("create", "load", "check"),
    [
        (Random, Loaded, "model_deterministic"),
        (Writing, Loaded, "model_input_kept"),
        (Shared, Loaded, "model_apart"),
        (Ranking, Loaded, "model_rows_apart"),
        (Missing, Loaded, "model_probabilities"),
        (Upside, Loaded, "model_probabilities"),
        (Fond, Loaded, "model_dull_columns"),
        (Short, Loaded, "model_dull_columns"),
        (Careless, Loaded, "model_degenerate"),
        (Line, LoadedElsewhere, "model_served"),
        (Line, LoadedShifted, "model_served"),
        (Line, LoadedNameless, "model_round_trip"),
        (Line, LoadsAnything, "model_round_trip"),
    ],
)
def test_faulty_model_is_found(create, load, check):
    assert check in failed(create, load)


# --- resampling


def resampling(function):
    return {f.check: f.message for f in resampler_checks(function, effort=EFFORT) if not f.passed}


def test_honest_resampler_passes():
    assert resampling(resample) == {}


def unseeded(X, y, random_state, rng=np.random.default_rng(0)):  # noqa: B008 - one generator for all calls is the fault
    return resample(X, y, int(rng.integers(1000)))


def writing(X, y, random_state):
    np.nan_to_num(X, copy=False)
    return resample(X, y, random_state)


def noisy(X, y, random_state):
    new, labels = resample(X, y, random_state)
    return new + np.where(np.arange(len(new)) >= len(X), np.float32(9), np.float32(0))[:, None], labels


def moving(X, y, random_state):
    new, labels = resample(X, y, random_state)
    return new + np.float32(1e-3), labels


def losing(X, y, random_state):
    new, labels = resample(X, y, random_state)
    kept = np.ones(len(new), dtype=bool)
    kept[np.flatnonzero(y == 1)[:2]] = False
    return new[kept], labels[kept]


def evening_out(X, y, random_state):
    rows = np.concatenate((np.flatnonzero(y == 0), np.resize(np.flatnonzero(y == 1), int((y == 0).sum()))))
    return X[rows], y[rows]


def third_class(X, y, random_state):
    new, labels = resample(X, y, random_state)
    return new, np.where(np.arange(len(labels)) == 0, 2, labels).astype(np.int8)


@pytest.mark.parametrize(
    ("function", "check"),
    [
        (unseeded, "resample_repeatable"),
        (writing, "resample_repeatable"),
        (noisy, "resample_real_rows"),
        (moving, "resample_real_rows"),
        (losing, "resample_real_rows"),
        (third_class, "resample_real_rows"),
        (evening_out, "resample_balance"),
        (evening_out, "resample_kept"),
    ],
)
def test_faulty_resampler_is_found(function, check):
    assert check in resampling(function)
