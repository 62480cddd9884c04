"""The scalar metrics of a binary classifier."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import DataError
from kurswerk.evaluation._ranking import roc_auc

# Probabilities are held away from 0 and 1 by this much in the logarithm, so that one sure error is not infinite.
LOG_LOSS_EPSILON = 1e-15


@dataclass(frozen=True)
class Metrics:
    """The scalar metrics of contracts.md for one set of predictions; None where undefined (e.g. one class only).

    Ratios lie in [0, 1], ``mcc`` in [-1, 1]; ``simulated_profit_pct`` is the mean net return per trade in percent.
    ``fpr`` and ``fnr`` are the false positive and false negative rates.
    """

    accuracy: float
    f1: float
    precision: float
    recall: float
    roc_auc: float | None
    mcc: float
    fpr: float | None
    fnr: float | None
    tp: int
    tn: int
    fp: int
    fn: int
    simulated_profit_pct: float | None

    @property
    def confusion_matrix(self) -> dict[str, int]:
        """The four counts as the database keeps them."""
        return {"tp": self.tp, "tn": self.tn, "fp": self.fp, "fn": self.fn}


def classification_metrics(
    y: NDArray[np.integer],
    probability: NDArray[np.floating],
    threshold: float = 0.5,
    *,
    simulated_profit_pct: float | None = None,
) -> Metrics:
    """Compute the metrics of predictions ``probability >= threshold``.

    Precision, recall, F1 and the Matthews correlation are 0 where their denominator is, as in scikit-learn.

    Parameters
    ----------
    y
        1 or 0, shape (n,), at least one row.
    probability
        Of class 1, in [0, 1], shape (n,).
    threshold
        Smallest probability called positive.
    simulated_profit_pct
        Passed on to the result, see `simulate_trades`.

    Raises
    ------
    DataError
        If there are no rows, lengths differ, or a label or probability is out of range.

    Examples
    --------
    >>> found = classification_metrics(np.array([1, 0, 1]), np.array([0.9, 0.8, 0.3]))
    >>> found.precision, found.recall, found.confusion_matrix
    (0.5, 0.5, {'tp': 1, 'tn': 0, 'fp': 1, 'fn': 1})
    """
    y, probability = checked(y, probability)
    return metrics_of_decisions(y, probability >= threshold, probability, simulated_profit_pct)


def metrics_of_decisions(
    y: NDArray[np.int8], decisions: NDArray[np.bool_], scores: NDArray[np.float64], simulated_profit_pct: float | None
) -> Metrics:
    """Compute the metrics of decisions already taken; ``scores`` (NaN last) are for the ROC AUC alone."""
    tp, tn, fp, fn = confusion(y, decisions)
    rates = confusion_rates(np.array([[tp, tn, fp, fn]], dtype=np.float64))
    value = {name: float(column[0]) for name, column in rates.items()}
    return Metrics(
        accuracy=value["accuracy"],
        f1=value["f1"],
        precision=value["precision"],
        recall=value["recall"],
        roc_auc=roc_auc(y, scores),
        mcc=value["mcc"],
        fpr=None if math.isnan(value["fpr"]) else value["fpr"],
        fnr=None if math.isnan(value["fnr"]) else value["fnr"],
        tp=tp,
        tn=tn,
        fp=fp,
        fn=fn,
        simulated_profit_pct=simulated_profit_pct,
    )


def checked(y: NDArray[np.integer], probability: NDArray[np.floating]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Return labels as int8 and probabilities as float64; raise what is wrong with them."""
    labels, values = np.asarray(y), np.asarray(probability, dtype=np.float64)
    if labels.ndim != 1 or labels.shape != values.shape:
        raise DataError("evaluation.labels_of_other_shape", labels=str(labels.shape), probabilities=str(values.shape))
    if len(labels) == 0:
        raise DataError("evaluation.no_labelled_rows")
    if not np.isin(labels, (0, 1)).all():
        raise DataError("evaluation.labels_not_binary")
    wrong = ~((values >= 0.0) & (values <= 1.0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError("evaluation.probabilities_out_of_range", count=int(wrong.sum()), value=values[row], row=row)
    return labels.astype(np.int8), values


def confusion(y: NDArray[np.int8], decisions: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return (tp, tn, fp, fn)."""
    positive = y == 1
    tp = int(np.count_nonzero(positive & decisions))
    fp = int(np.count_nonzero(decisions)) - tp
    fn = int(np.count_nonzero(positive)) - tp
    return tp, len(y) - tp - fp - fn, fp, fn


def confusion_rates(counts: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return the rates of confusion counts, shape (m, 4) in the order tp, tn, fp, fn, as arrays of shape (m,).

    ``fpr`` and ``fnr`` are NaN where undefined, the others 0.
    """
    tp, tn, fp, fn = counts.T
    mcc_scale = np.sqrt(tp + fp) * np.sqrt(tp + fn) * np.sqrt(tn + fp) * np.sqrt(tn + fn)
    return {
        "accuracy": _ratio(tp + tn, counts.sum(axis=1)),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
        "precision": _ratio(tp, tp + fp),
        "recall": _ratio(tp, tp + fn),
        "mcc": _ratio(tp * tn - fp * fn, mcc_scale),
        "fpr": _ratio(fp, fp + tn, undefined=np.nan),
        "fnr": _ratio(fn, fn + tp, undefined=np.nan),
    }


def _ratio(
    numerator: NDArray[np.float64], denominator: NDArray[np.float64], undefined: float = 0.0
) -> NDArray[np.float64]:
    safe = np.where(denominator > 0, denominator, 1.0)
    return np.where(denominator > 0, numerator / safe, undefined)


def row_log_loss(y: NDArray[np.int8], probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each row's share of the log loss, in nats."""
    of_truth = np.where(y == 1, probability, 1.0 - probability)
    loss: NDArray[np.float64] = -np.log(np.clip(of_truth, LOG_LOSS_EPSILON, 1.0))
    return loss


def brier(y: NDArray[np.integer], probability: NDArray[np.floating]) -> float:
    """Mean squared distance of the probability from what happened (Brier 1950), in [0, 1]; errors as above.

    Examples
    --------
    >>> brier(np.array([1, 0]), np.array([0.5, 0.0]))
    0.125
    """
    labels, values = checked(y, probability)
    return float(np.mean((values - labels) ** 2))


def log_loss(y: NDArray[np.integer], probability: NDArray[np.floating]) -> float:
    """Mean negative log-likelihood in nats; probabilities are clipped at 1e-15. Errors as above.

    Examples
    --------
    >>> round(log_loss(np.array([1, 0]), np.array([0.5, 0.5])), 4)
    0.6931
    """
    return float(np.mean(row_log_loss(*checked(y, probability))))
