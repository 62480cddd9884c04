"""Scores of cross-validation and the signs of overfitting."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kurswerk.core.errors import DataError
from kurswerk.core.timestamps import format_timestamp
from kurswerk.evaluation._metrics import Metrics

# A model whose accuracy falls by more than this from training to test counts as overfitted.
OVERFITTED_ABOVE = 0.10


@dataclass(frozen=True)
class FoldScores:
    """What one fold scored on its own training rows and on its test rows."""

    train: Metrics
    test: Metrics
    train_pr_auc: float | None
    test_pr_auc: float | None
    num_train: int
    num_test: int
    purged: int
    test_start_us: int


@dataclass(frozen=True)
class CvSummary:
    """Scores of all folds; ``overfitting_gap`` is mean training F1 minus mean test F1."""

    folds: tuple[FoldScores, ...]
    overfitting_gap: float

    def as_json(self) -> dict[str, Any]:
        """Return lists with one entry per fold, and means (over the folds where a score is defined)."""
        sides = (("train", "train_pr_auc"), ("test", "test_pr_auc"))
        scores: dict[str, list[float | None]] = {}
        for side, pr_auc in sides:
            for name in ("accuracy", "f1", "precision", "recall", "roc_auc"):
                scores[f"{side}_{name}"] = [getattr(getattr(fold, side), name) for fold in self.folds]
            scores[f"{side}_pr_auc"] = [getattr(fold, pr_auc) for fold in self.folds]
        return {
            "n_splits": len(self.folds),
            **scores,
            "mean": {name: _mean(values) for name, values in scores.items()},
            "num_train": [fold.num_train for fold in self.folds],
            "num_test": [fold.num_test for fold in self.folds],
            "purged": [fold.purged for fold in self.folds],
            "test_start": [format_timestamp(fold.test_start_us) for fold in self.folds],
            "overfitting_gap": self.overfitting_gap,
        }


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None


def summarize_folds(folds: Sequence[FoldScores]) -> CvSummary:
    """Join the scores of folds.

    Raises
    ------
    DataError
        If there are none.
    """
    if not folds:
        raise DataError("evaluation.no_folds")
    gap = sum(fold.train.f1 - fold.test.f1 for fold in folds) / len(folds)
    return CvSummary(tuple(folds), gap)


def accuracy_degradation(train_accuracy: float, test_accuracy: float) -> float:
    """Return how much accuracy is lost from training to test; negative is a gain."""
    return train_accuracy - test_accuracy


def is_overfitted(train_accuracy: float, test_accuracy: float) -> bool:
    """Return whether more than 0.10 of accuracy is lost from training to test.

    Examples
    --------
    >>> is_overfitted(0.95, 0.80), is_overfitted(0.80, 0.75)
    (True, False)
    """
    return accuracy_degradation(train_accuracy, test_accuracy) > OVERFITTED_ABOVE
