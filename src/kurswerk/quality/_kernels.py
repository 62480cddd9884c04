"""Compiled passes over the rows of a panel: each looks at a row and the one before it of the same instrument."""

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.jit import kernel

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]


@kernel
def log_changes(prices: Float, offsets: Int) -> Float:
    """Return ``ln(price / price before)`` of each row; NaN at an instrument's first row and without a price > 0."""
    changes = np.full(prices.size, np.nan)
    for k in range(offsets.size - 1):
        for i in range(offsets[k] + 1, offsets[k + 1]):
            if prices[i] > 0.0 and prices[i - 1] > 0.0:
                changes[i] = np.log(prices[i] / prices[i - 1])
    return changes


@kernel
def usual_sizes(changes: Float, offsets: Int) -> Float:
    """Return for each instrument 1.4826 times the median size of its changes other than 0, its robust deviation.

    0 where it has none. The factor makes it the standard deviation of normally distributed changes (Hampel 1974).
    """
    sizes = np.zeros(offsets.size - 1)
    for k in range(offsets.size - 1):
        part = np.abs(changes[offsets[k] : offsets[k + 1]])
        part = part[part > 0.0]
        if part.size:
            sizes[k] = 1.4826 * np.median(part)
    return sizes


@kernel
def runs_of_equals(values: Float, offsets: Int) -> Int:
    """Return at each last row of a run of equal values how many rows the run has, 0 elsewhere; shape (n_rows,)."""
    lengths = np.zeros(values.size, dtype=np.int64)
    for k in range(offsets.size - 1):
        run = 0
        for i in range(offsets[k], offsets[k + 1]):
            run = run + 1 if i > offsets[k] and values[i] == values[i - 1] else 1
            if i + 1 == offsets[k + 1] or values[i + 1] != values[i]:
                lengths[i] = run
    return lengths


@kernel
def repeats(values: Float, offsets: Int) -> Bool:
    """Return which rows equal the row before in every column; ``values`` has shape (n_columns, n_rows)."""
    found = np.zeros(values.shape[1], dtype=np.bool_)
    for k in range(offsets.size - 1):
        for i in range(offsets[k] + 1, offsets[k + 1]):
            same = True
            for c in range(values.shape[0]):
                if values[c, i] != values[c, i - 1]:
                    same = False
                    break
            found[i] = same
    return found


@kernel
def broken_candles(opens: Float, highs: Float, lows: Float, closes: Float) -> Bool:
    """Return which rows break low ≤ open, close ≤ high; a price that is missing breaks nothing."""
    found = np.zeros(closes.size, dtype=np.bool_)
    for i in range(closes.size):
        outside = highs[i] < lows[i] or closes[i] < lows[i] or closes[i] > highs[i]
        found[i] = outside or opens[i] < lows[i] or opens[i] > highs[i]
    return found


@kernel
def missing_before(numbers: Int, offsets: Int) -> Int:
    """Return how many sessions are missing right before each row, by the numbers of the rows' sessions."""
    missing = np.zeros(numbers.size, dtype=np.int64)
    for k in range(offsets.size - 1):
        for i in range(offsets[k] + 1, offsets[k + 1]):
            missing[i] = max(0, numbers[i] - numbers[i - 1] - 1)
    return missing


@kernel
def usual_steps(times: Int, offsets: Int) -> Int:
    """Return the median time between rows of each instrument, 0 where it has one row."""
    steps = np.zeros(offsets.size - 1, dtype=np.int64)
    for k in range(offsets.size - 1):
        if offsets[k + 1] - offsets[k] > 1:
            steps[k] = np.int64(np.median(np.diff(times[offsets[k] : offsets[k + 1]])))
    return steps
