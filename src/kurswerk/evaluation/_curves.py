"""Points for plots, few enough for a page."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kurswerk.evaluation._metrics import checked

MAX_POINTS = 200
CALIBRATION_BINS = 10
THRESHOLD_STEPS = 100


def evenly(n: int, at_most: int = MAX_POINTS) -> NDArray[np.int64]:
    """Return at most ``at_most`` indices into n points, evenly spread, with the first and the last.

    Examples
    --------
    >>> evenly(5, 3).tolist()
    [0, 2, 4]
    """
    return np.unique(np.linspace(0, n - 1, min(n, at_most)).round().astype(np.int64))


def curves(
    y: NDArray[np.integer], probability: NDArray[np.floating], returns: NDArray[np.float64] | None = None
) -> dict[str, Any]:
    """Return the curves of a report as JSON-able data.

    Parameters
    ----------
    y
        1 or 0, shape (n,).
    probability
        In [0, 1], shape (n,).
    returns
        Net return in percent of a trade on each row, NaN where none is possible; None if there is no price.

    Returns
    -------
    dict
        ``precision_recall`` with ``recall`` and ``precision`` (None without positives), ``roc`` with ``fpr`` and
        ``tpr`` (None with one class), each of at most 200 points evenly spread over its horizontal axis; and
        ``calibration``: ten bins of equal width with ``low``, ``high``, ``count``, ``mean_probability``,
        ``positive_rate`` (None in an empty bin); and ``thresholds`` as `decisions_by_threshold` returns them.

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
        "thresholds": decisions_by_threshold(y, probability, returns),
    }


def decisions_by_threshold(
    y: NDArray[np.int8], probability: NDArray[np.float64], returns: NDArray[np.float64] | None = None
) -> dict[str, list[Any]]:
    """Count what each threshold from 0 to 1 in steps of 0.01 would decide.

    Parameters
    ----------
    y, probability, returns
        As in `curves`.

    Returns
    -------
    dict
        Lists of 101: ``threshold``; ``tp`` and ``fp`` among the rows at or above it; ``trades`` that have a return, and
        their mean net return ``profit_pct`` (None without a trade).

    Examples
    --------
    >>> found = decisions_by_threshold(np.array([1, 0, 1]), np.array([0.9, 0.6, 0.2]), np.array([3.0, -1.0, np.nan]))
    >>> [found[name][50] for name in ("threshold", "tp", "fp", "trades", "profit_pct")]
    [0.5, 1, 1, 2, 1.0]
    """
    thresholds = np.arange(THRESHOLD_STEPS + 1) / THRESHOLD_STEPS
    order = np.argsort(probability, kind="stable")
    first = np.searchsorted(probability[order], thresholds, side="left")
    traded = np.zeros(len(y), dtype=np.bool_) if returns is None else np.isfinite(returns)
    gained = np.where(traded, 0.0 if returns is None else returns, 0.0)

    def from_threshold(values: NDArray[Any]) -> NDArray[Any]:
        below = np.concatenate((np.zeros(1, dtype=values.dtype), np.cumsum(values[order])))
        return np.asarray(below[-1] - below[first])

    positives = from_threshold((y == 1).astype(np.int64))
    trades = from_threshold(traded.astype(np.int64))
    sums = from_threshold(gained)
    return {
        "threshold": thresholds.tolist(),
        "tp": positives.tolist(),
        "fp": (len(y) - first - positives).tolist(),
        "trades": trades.tolist(),
        "profit_pct": [float(total / count) if count else None for total, count in zip(sums, trades, strict=True)],
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
