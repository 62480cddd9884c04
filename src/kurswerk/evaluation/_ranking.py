"""Ranking metrics on scores sorted once, for any number of weightings."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.jit import kernel

Float = NDArray[np.float64]
Int = NDArray[np.int64]


@kernel
def _weighted_ranking(
    positive: NDArray[np.uint8], last_of_tie: NDArray[np.uint8], group: NDArray[np.int32], weights: Float
) -> tuple[float, float]:
    """Return (average precision, ROC AUC) of rows in descending score; NaN where undefined. Ties count together."""
    tp, fp, tp_before, fp_before = 0.0, 0.0, 0.0, 0.0
    precision_sum, area = 0.0, 0.0
    for i in range(len(positive)):
        weight = weights[group[i]]
        if positive[i]:
            tp += weight
        else:
            fp += weight
        if last_of_tie[i]:
            gained = tp - tp_before
            if gained > 0.0:
                precision_sum += gained * (tp / (tp + fp))
            area += (fp - fp_before) * (tp_before + 0.5 * gained)
            tp_before, fp_before = tp, fp
    precision = precision_sum / tp if tp > 0.0 else np.nan
    auc = area / (tp * fp) if tp > 0.0 and fp > 0.0 else np.nan
    return precision, auc


@dataclass(frozen=True, eq=False)
class Ranking:
    """Rows in descending order of a score, ready to be weighted by group again and again."""

    positive: NDArray[np.uint8]
    last_of_tie: NDArray[np.uint8]
    group: NDArray[np.int32]

    @classmethod
    def of(cls, y: NDArray[np.integer], scores: NDArray[np.floating], group: Int | None = None) -> "Ranking":
        """Sort once; NaN scores rank last. ``group`` (default: all rows in one) indexes the weights."""
        values = np.asarray(scores, dtype=np.float64)
        values = np.where(np.isnan(values), -np.inf, values)
        order = np.argsort(-values, kind="stable")
        ranked = values[order]
        last = np.ones(len(ranked), dtype=np.uint8)
        last[:-1] = ranked[1:] != ranked[:-1]
        groups = np.zeros(len(ranked), dtype=np.int32) if group is None else group[order].astype(np.int32)
        return cls((np.asarray(y)[order] == 1).astype(np.uint8), last, groups)

    def scores(self, weights: Float) -> tuple[float, float]:
        """Return (average precision, ROC AUC) with the weight of each group; NaN where undefined."""
        return _weighted_ranking(self.positive, self.last_of_tie, self.group, weights)


def pr_auc(y: NDArray[np.integer], scores: NDArray[np.floating]) -> float | None:
    """Average precision: the sum over thresholds of precision times gained recall; None without positives.

    The definition of scikit-learn's ``average_precision_score``: no interpolation, equal scores counted together.

    Parameters
    ----------
    y
        1 or 0, shape (n,).
    scores
        Higher means more likely 1; NaN ranks last; shape (n,).

    Examples
    --------
    >>> pr_auc(np.array([1, 0, 1]), np.array([0.9, 0.8, 0.7]))
    0.8333333333333333
    """
    return _or_none(Ranking.of(y, scores).scores(np.ones(1))[0])


def roc_auc(y: NDArray[np.integer], scores: NDArray[np.floating]) -> float | None:
    """Probability that a positive ranks above a negative, ties counting half; None with one class only.

    Parameters and NaN rule as in `pr_auc`.

    Examples
    --------
    >>> roc_auc(np.array([1, 0, 1]), np.array([0.9, 0.8, 0.7]))
    0.5
    """
    return _or_none(Ranking.of(y, scores).scores(np.ones(1))[1])


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
