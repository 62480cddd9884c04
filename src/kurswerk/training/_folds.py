"""Cross-validation: every fitted step sees its training fold alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import DataError
from kurswerk.evaluation import Fold, FoldScores, classification_metrics, pr_auc, purged_walk_forward
from kurswerk.models import Classifier, as_model_input, create, resample
from kurswerk.training._dataset import Dataset
from kurswerk.training.spec import ModelSpec

# A single hold-out is the last fold of this many, so that it is tested on the last fifth of the rows.
_HOLD_OUT_SPLITS = 4
# Scores on the training rows only tell how far the model overfits; a sample is enough for that.
_MOST_TRAIN_ROWS_SCORED = 100_000
_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, eq=False)
class FoldOutcome:
    """A fold's predictions on its test rows, and its scores.

    ``rows`` are positions in the panel; ``probability`` has the same shape.
    """

    rows: NDArray[np.int64]
    probability: NDArray[np.float32]
    scores: FoldScores


def fit_rows(spec: ModelSpec, X: NDArray[np.float32], y: NDArray[np.int8], rows: NDArray[np.int64]) -> Classifier:
    """Fit everything that is fitted, resampling and model, on the given rows and nothing else.

    Parameters
    ----------
    X, y
        Of all rows of the panel, shapes (n, n_features) and (n,).
    rows
        Positions to train on.

    Raises
    ------
    DataError
        If the rows hold one class only.
    """
    positives = int((y[rows] == 1).sum())
    if positives in {0, len(rows)}:
        raise DataError(
            f"all {len(rows)} training rows have the label {int(positives > 0)}; "
            "choose another target, a longer period or more coins"
        )
    params = spec.full_params
    classifier = create(spec.model_type, params)
    if spec.use_smote and min(positives, len(rows) - positives) < 0.3 * len(rows):
        return classifier.fit(*resample(X, y, int(params["random_state"]), rows))
    return classifier.fit(X, y, rows=rows)


def predict_rows(model: Any, X: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the probabilities of some rows, a block at a time so that no copy of the whole matrix is made."""
    parts = [
        model.predict_proba(as_model_input(X[rows[start : start + _ROWS_AT_ONCE]]))
        for start in range(0, len(rows), _ROWS_AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.float32)


def plan_folds(spec: ModelSpec, timestamps: NDArray[np.int64], label_end_us: NDArray[np.int64]) -> list[Fold]:
    """Return purged walk-forward folds over all coins, or the last of them as a single hold-out.

    Both arrays belong to the rows that take part, microseconds UTC, and the folds count within them.
    """
    if spec.use_timeseries_split:
        return purged_walk_forward(timestamps, label_end_us, spec.cv_splits, spec.embargo_us)
    return purged_walk_forward(timestamps, label_end_us, _HOLD_OUT_SPLITS, spec.embargo_us)[-1:]


def run_folds(spec: ModelSpec, dataset: Dataset, progress: Callable[[float, str], None]) -> list[FoldOutcome]:
    """Fit and test every fold; folds whose training rows hold one class only are left out.

    Raises
    ------
    DataError
        If no fold can be trained.
    """
    outcomes = []
    folds = plan_folds(spec, dataset.timestamps, dataset.labels.end_us[dataset.rows])
    for number, fold in enumerate(folds):
        progress(number / len(folds), f"fold {number + 1} of {len(folds)}: {len(fold.train):,} rows")
        y_train = dataset.y[fold.train]
        if len(fold.train) and 0 < int(y_train.sum()) < len(y_train):
            outcomes.append(_run_fold(spec, dataset, fold))
    if not outcomes:
        raise DataError(
            f"none of the {len(folds)} folds has both labels among its training rows; "
            "choose a longer period, fewer folds or a target that is reached more often"
        )
    return outcomes


def _run_fold(spec: ModelSpec, dataset: Dataset, fold: Fold) -> FoldOutcome:
    y = dataset.labels.values
    classifier = fit_rows(spec, dataset.features, y, dataset.rows[fold.train])
    test_rows = dataset.rows[fold.test]
    probability = predict_rows(classifier, dataset.features, test_rows)
    step = max(1, len(fold.train) // _MOST_TRAIN_ROWS_SCORED)
    seen = dataset.rows[fold.train[::step]]
    p_seen = predict_rows(classifier, dataset.features, seen)
    scores = FoldScores(
        train=classification_metrics(y[seen], p_seen),
        test=classification_metrics(y[test_rows], probability),
        train_pr_auc=pr_auc(y[seen], p_seen),
        test_pr_auc=pr_auc(y[test_rows], probability),
        num_train=len(fold.train),
        num_test=len(fold.test),
        purged=fold.purged,
        test_start_us=fold.test_start_us,
    )
    return FoldOutcome(test_rows, probability, scores)
