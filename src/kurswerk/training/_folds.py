"""Cross-validation: every fitted step sees its training fold alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import DataError
from kurswerk.core.messages import Message
from kurswerk.evaluation import (
    Fold,
    FoldScores,
    ForecastPart,
    classification_metrics,
    pr_auc,
    purged_hold_out,
    purged_walk_forward,
)
from kurswerk.jobs import Progress
from kurswerk.models import Estimator, create, needs_balance, resample, row_blocks
from kurswerk.training._dataset import Dataset, Examples
from kurswerk.training._forecasting import FittedForecaster, fit_forecaster, forecast_rows, part_of
from kurswerk.training.spec import ModelSpec

# What a single hold-out tests on: the last fifth of the rows.
_TEST_SHARE = 0.2
# Of the rows a model with early stopping is given, the last tenth decides when it ends; with fewer rows of either
# class there, chance would.
_WATCHED_SHARE, _LEAST_WATCHED = 0.1, 100
# Scores on the training rows only measure how far the model overfits; a sample is enough for that.
_MOST_TRAIN_ROWS_SCORED = 100_000
_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, eq=False)
class FoldOutcome:
    """A fold's predictions on its test rows, and its scores.

    ``rows`` are positions in the panel; ``probability`` has the same shape; ``forecasts`` are a forecast model's.
    """

    rows: NDArray[np.int64]
    probability: NDArray[np.float32]
    scores: FoldScores
    forecasts: ForecastPart | None = None


def fit_rows(spec: ModelSpec, examples: Examples, rows: NDArray[np.int64]) -> Estimator:
    """Fit everything that is fitted, resampling, the end of training and model, on the given rows and nothing else.

    An estimator that stops early learns from the earlier rows and finds its end by the last tenth; rows whose label
    reaches that tenth or its embargo are left out.

    Parameters
    ----------
    examples
        Of all rows of the panel.
    rows
        Positions to train on, int64.

    Raises
    ------
    DataError
        If the rows hold one class only.
    """
    if spec.is_forecast:
        return forecaster(spec, examples, rows).model
    X, y = examples.X, examples.y
    positives = int((y[rows] == 1).sum())
    if positives in {0, len(rows)}:
        raise DataError("training.single_label_in_fold", count=len(rows), label=int(positives > 0))
    params = spec.full_params
    classifier = create(spec.model_type, params)
    learnt, watched = _parted(examples, rows) if classifier.stops_early else (rows, rows[:0])
    held_out = (X[watched], y[watched]) if len(watched) else None
    if spec.use_smote and needs_balance(y[learnt]):
        return classifier.fit(*resample(X, y, int(params["random_state"]), learnt), held_out=held_out)
    return classifier.fit(X, y, rows=learnt, held_out=held_out)


def forecaster(spec: ModelSpec, examples: Examples, rows: NDArray[np.int64]) -> FittedForecaster:
    """Fit and calibrate a forecast model on the given rows and nothing else; errors as for `fit_rows`."""
    return fit_forecaster(spec, examples, rows, _parted)


def _parted(examples: Examples, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Part rows to learn from and rows to watch the end by; all and none where those would be too few."""
    try:
        times, ends, embargo_us = examples.timestamps[rows], examples.label_end_us[rows], examples.embargo_us[rows]
        fold = purged_hold_out(times, ends, _WATCHED_SHARE, embargo_us)
    except DataError:  # a single moment, or nothing before the embargo
        return rows, rows[:0]
    parts = rows[fold.train], rows[fold.test]
    counts = [np.count_nonzero(examples.y[part] == label) for part in parts for label in (0, 1)]
    return parts if min(counts) >= _LEAST_WATCHED else (rows, rows[:0])


def predict_rows(model: Any, X: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the probabilities of some rows, a block at a time so that no copy of the whole matrix is made."""
    parts = [model.predict_proba(block) for block in row_blocks(X, rows, _ROWS_AT_ONCE)]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.float32)


def plan_folds(
    spec: ModelSpec,
    timestamps: NDArray[np.int64],
    label_end_us: NDArray[np.int64],
    embargo_us: NDArray[np.int64],
) -> list[Fold]:
    """Return purged walk-forward folds over all coins, or a single hold-out of the last fifth.

    The arrays belong to the rows that take part, microseconds UTC, and the folds count within them.
    """
    if spec.use_timeseries_split:
        return purged_walk_forward(timestamps, label_end_us, spec.cv_splits, embargo_us)
    return [purged_hold_out(timestamps, label_end_us, _TEST_SHARE, embargo_us)]


def run_folds(spec: ModelSpec, dataset: Dataset, progress: Progress) -> list[FoldOutcome]:
    """Fit and test every fold; folds whose training rows hold one class only are left out.

    Raises
    ------
    DataError
        If no fold can be trained.
    """
    outcomes = []
    rows = dataset.rows
    folds = plan_folds(spec, dataset.timestamps, dataset.labels.end_us[rows], dataset.embargo_us[rows])
    for number, fold in enumerate(folds):
        message = Message("progress.fold", number=number + 1, folds=len(folds), count=len(fold.train))
        progress(number / len(folds), message)
        y_train = dataset.y[fold.train]
        if len(fold.train) and 0 < int(y_train.sum()) < len(y_train):
            outcomes.append(_run_fold(spec, dataset, fold))
    if not outcomes:
        raise DataError("training.no_fold_with_both_labels", count=len(folds))
    return outcomes


def _run_fold(spec: ModelSpec, dataset: Dataset, fold: Fold) -> FoldOutcome:
    train, test_rows = dataset.rows[fold.train], dataset.rows[fold.test]
    step = max(1, len(train) // _MOST_TRAIN_ROWS_SCORED)
    if spec.is_forecast:
        return _run_forecast_fold(spec, dataset, fold, train[::step])
    classifier = fit_rows(spec, dataset.examples, train)
    probability = predict_rows(classifier, dataset.features, test_rows)
    p_seen = predict_rows(classifier, dataset.features, train[::step])
    return FoldOutcome(test_rows, probability, _scores(dataset, fold, probability, train[::step], p_seen))


def _run_forecast_fold(spec: ModelSpec, dataset: Dataset, fold: Fold, seen: NDArray[np.int64]) -> FoldOutcome:
    fitted = forecaster(spec, dataset.examples, dataset.rows[fold.train])
    test_rows = dataset.rows[fold.test]
    found = forecast_rows(fitted.model, dataset.features, test_rows)
    p_seen = forecast_rows(fitted.model, dataset.features, seen).probability
    scores = _scores(dataset, fold, found.probability, seen, p_seen)
    return FoldOutcome(test_rows, found.probability, scores, part_of(found, fitted.naive, fitted.error_sizes))


def _scores(
    dataset: Dataset,
    fold: Fold,
    probability: NDArray[np.float32],
    seen: NDArray[np.int64],
    p_seen: NDArray[np.float32],
) -> FoldScores:
    y, test_rows = dataset.labels.values, dataset.rows[fold.test]
    return FoldScores(
        train=classification_metrics(y[seen], p_seen),
        test=classification_metrics(y[test_rows], probability),
        train_pr_auc=pr_auc(y[seen], p_seen),
        test_pr_auc=pr_auc(y[test_rows], probability),
        num_train=len(fold.train),
        num_test=len(fold.test),
        purged=fold.purged,
        test_start_us=fold.test_start_us,
    )
