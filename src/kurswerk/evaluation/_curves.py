"""Points for plots, few enough for a page."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kurswerk.evaluation._metrics import checked

MAX_POINTS = 200
CALIBRATION_BINS = 10


def evenly(n: int, at_most: int = MAX_POINTS) -> NDArray[np.int64]:
    """Return at most ``at_most`` indices into n points, evenly spread, with the first and the last.

    Examples
    --------
    >>> evenly(5, 3).tolist()
    [0, 2, 4]
    """
    return np.unique(np.linspace(0, n - 1, min(n, at_most)).round().astype(np.int64))


def curves(y: NDArray[np.integer], probability: NDArray[np.floating]) -> dict[str, Any]:
    """Return the curves of a report as JSON-able data.

    Parameters
    ----------
    y
        1 or 0, shape (n,).
    probability
        In [0, 1], shape (n,).

    Returns
    -------
    dict
        ``precision_recall`` with ``recall`` and ``precision`` (None without positives), ``roc`` with ``fpr`` and
        ``tpr`` (None with one class), each of at most 200 points evenly spread over its horizontal axis; and
        ``calibration``: ten bins of equal width with ``low``, ``high``, ``count``, ``mean_probability`` and
        ``positive_rate`` (None in an empty bin).

    Raises
    ------
    DataError
        As in `classification_metrics`.
    """
    y, probability = checked(y, probability)
    order = np.argsort(-probability, kind="stable")
    ranked = probability[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    tp = np.cumsum(y[order] == 1)[last_of_tie]
    fp = last_of_tie + 1 - tp
    return {
        "precision_recall": _precision_recall(tp, fp),
        "roc": _roc(tp, fp),
        "calibration": calibration(y, probability),
    }


def _precision_recall(tp: NDArray[np.int64], fp: NDArray[np.int64]) -> dict[str, list[float]] | None:
    if tp[-1] == 0:
        return None
    recall, precision = tp / tp[-1], tp / (tp + fp)
    kept = _spread(recall)
    return {"recall": recall[kept].tolist(), "precision": precision[kept].tolist()}


def _roc(tp: NDArray[np.int64], fp: NDArray[np.int64]) -> dict[str, list[float]] | None:
    if tp[-1] == 0 or fp[-1] == 0:
        return None
    tpr, fpr = np.append(0, tp) / tp[-1], np.append(0, fp) / fp[-1]
    kept = _spread(fpr)
    return {"fpr": fpr[kept].tolist(), "tpr": tpr[kept].tolist()}


def _spread(axis: NDArray[np.float64]) -> NDArray[np.int64]:
    if len(axis) <= MAX_POINTS:
        return np.arange(len(axis))
    wanted = np.linspace(axis[0], axis[-1], MAX_POINTS - 2)
    return np.unique(np.concatenate(([0, len(axis) - 1], np.searchsorted(axis, wanted).clip(0, len(axis) - 1))))


def calibration(
    y: NDArray[np.int8], probability: NDArray[np.float64], bins: int = CALIBRATION_BINS
) -> list[dict[str, float | int | None]]:
    """Compare the mean probability with the rate of positives in bins of equal width."""
    index = np.minimum((probability * bins).astype(np.int64), bins - 1)
    counts = np.bincount(index, minlength=bins)
    sums = np.bincount(index, weights=probability, minlength=bins)
    positives = np.bincount(index, weights=y, minlength=bins)
    return [
        {
            "low": k / bins,
            "high": (k + 1) / bins,
            "count": int(counts[k]),
            "mean_probability": float(sums[k] / counts[k]) if counts[k] else None,
            "positive_rate": float(positives[k] / counts[k]) if counts[k] else None,
        }
        for k in range(bins)
    ]
