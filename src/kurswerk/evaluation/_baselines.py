"""Naive predictions that a model has to beat."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.jit import kernel
from kurswerk.labels import Labels
from kurswerk.market import Panel

Float = NDArray[np.float64]
Int = NDArray[np.int64]

VOLATILITY_WINDOW = 15


@dataclass(frozen=True, eq=False)
class Baseline:
    """Scores of a naive prediction, NaN ranking last, and its decisions.

    Without decisions of its own a baseline calls positive as many rows as the model does: those it ranks highest.
    """

    scores: Float
    decisions: NDArray[np.bool_] | None = None

    def decide(self, n_positive: int) -> NDArray[np.bool_]:
        """Return its decisions, shape (n_rows,); where they follow the ranking, at most ``n_positive`` are positive."""
        if self.decisions is not None:
            return self.decisions
        ranked = np.argsort(np.where(np.isnan(self.scores), np.inf, -self.scores), kind="stable")
        decided = np.zeros(len(self.scores), dtype=np.bool_)
        decided[ranked[:n_positive]] = True
        return decided & ~np.isnan(self.scores)


@kernel
def _recent_volatility(offsets: Int, price: Float, window: int) -> Float:
    found = np.full(len(price), np.nan)
    returns = np.full(len(price), np.nan)
    for k in range(len(offsets) - 1):
        for i in range(offsets[k] + 1, offsets[k + 1]):
            if price[i - 1] > 0.0:
                returns[i] = price[i] / price[i - 1] - 1.0
        for i in range(offsets[k] + window, offsets[k + 1]):
            # Each window is summed anew: a running sum would drift, and one NaN would stay in it for ever.
            mean = 0.0
            for j in range(i - window + 1, i + 1):
                mean += returns[j]
            mean /= window
            squares = 0.0
            for j in range(i - window + 1, i + 1):
                squares += (returns[j] - mean) * (returns[j] - mean)
            if np.isfinite(squares):
                found[i] = np.sqrt(squares / window)
    return found


def recent_volatility(panel: Panel, column: str, window: int = VOLATILITY_WINDOW) -> Float:
    """Return the population standard deviation of the last ``window`` one-row returns as of each row.

    Parameters
    ----------
    panel
        Must have ``column``.
    column
        The price.
    window
        Number of returns, so ``window + 1`` rows are looked at.

    Returns
    -------
    ndarray
        Shape (n_rows,), a fraction >= 0; NaN while the window is not full, or a value in it is missing or a base
        price in it is not positive.

    Raises
    ------
    UnknownNameError
        If the panel lacks the column.
    """
    return _recent_volatility(panel.offsets, panel.column(column), window)


@kernel
def _persistence(offsets: Int, timestamps: Int, values: NDArray[np.int8], end_us: Int) -> Float:
    found = np.full(len(timestamps), np.nan)
    for k in range(len(offsets) - 1):
        ended = offsets[k]
        latest = np.nan
        for i in range(offsets[k], offsets[k + 1]):
            while ended < i and end_us[ended] <= timestamps[i]:
                if values[ended] >= 0:
                    latest = float(values[ended])
                ended += 1
            found[i] = latest
    return found


def persistence(panel: Panel, labels: Labels) -> Float:
    """Return, per row, the latest known label of its instrument whose window had ended by the row's time.

    Returns
    -------
    ndarray
        1 or 0, shape (n_rows,); NaN where no label was known yet.
    """
    return _persistence(panel.offsets, panel.timestamps, labels.values, labels.end_us)
