"""Feature matrices as models take them: float32, finite or NaN, in blocks of rows."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import DataError
from kurswerk.core.jit import kernel

LARGEST = float(np.finfo(np.float32).max)
# Stands for a missing value where a library cannot take one, or not as fast: below every real value, so a split can
# part the missing from the rest.
LOWEST = np.float32(-LARGEST)
NAN = np.float32(np.nan)
# 131,072 rows of 80 features are 42 MB: large enough to be fast, small beside the matrix itself.
BLOCK_ROWS = 1 << 17

Matrix = NDArray[np.float32]
Rows = NDArray[np.int64]


def as_model_input(values: NDArray[np.floating], missing: np.float32 = NAN) -> Matrix:
    """Return a feature matrix as every model takes it.

    Parameters
    ----------
    values
        Shape (n, f), any real type and memory order.
    missing
        What takes the place of NaN.

    Returns
    -------
    ndarray
        A copy, float32 in C order, ``|x|`` limited to the largest float32 (so ±inf and 1e308 become ±3.4e38); NaN stays
        NaN unless ``missing`` is given.

    Examples
    --------
    >>> as_model_input(np.array([[1.0, np.nan, -np.inf]]))
    array([[ 1.0000000e+00,            nan, -3.4028235e+38]], dtype=float32)
    """
    array = _floats(values)
    taken = np.empty(array.shape, np.float32)
    take_rows(array, np.arange(len(array)), missing, taken)
    return taken


@kernel
def take_rows(X: NDArray[np.floating], rows: Rows, missing: np.float32, taken: Matrix) -> None:
    """Copy the given rows, limited to float32 and with ``missing`` for NaN, into ``taken`` (rows, f).

    A few rows at a time, column by column: whichever of the two lies scattered in memory stays in the cache.
    """
    for first in range(0, len(rows), 256):
        last = min(first + 256, len(rows))
        for column in range(X.shape[1]):
            for at in range(first, last):
                value = X[rows[at], column]
                if value > LARGEST:
                    value = LARGEST
                elif value < -LARGEST:
                    value = -LARGEST
                taken[at, column] = missing if np.isnan(value) else value


@kernel
def count_incomplete(X: NDArray[np.floating], rows: Rows, most: int) -> int:
    """Count the given rows that have a NaN; having counted more than ``most``, stop there."""
    count = 0
    incomplete = np.empty(256, np.bool_)
    for first in range(0, len(rows), 256):
        last = min(first + 256, len(rows))
        incomplete[:] = False
        for column in range(X.shape[1]):
            for at in range(first, last):
                if np.isnan(X[rows[at], column]):
                    incomplete[at - first] = True
        count += incomplete.sum()
        if count > most:
            break
    return count


def _floats(values: NDArray[Any]) -> NDArray[np.floating]:
    array = np.asarray(values)
    if array.ndim != 2:
        raise DataError("model.features_not_a_matrix", shape=str(array.shape))
    return array if array.dtype in {np.dtype(np.float32), np.dtype(np.float64)} else array.astype(np.float64)


def check_training(X: NDArray[np.floating], y: NDArray[np.integer], rows: Rows | None) -> NDArray[np.int8]:
    """Refuse what no classifier can be fitted on, and return the chosen rows' labels as int8.

    Raises
    ------
    DataError
        If shapes disagree, a row index is outside, a label is neither 0 nor 1, there is no row or feature, or
        only one class occurs.
    """
    if X.ndim != 2 or y.ndim != 1 or len(X) != len(y):
        raise DataError("model.features_not_one_per_label", shape=str(X.shape), labels=str(y.shape))
    if rows is not None and rows.size and not 0 <= rows.min() <= rows.max() < len(y):
        raise DataError("model.row_index_out_of_range", first=rows.min(), last=rows.max(), rows=len(y))
    chosen = y if rows is None else y[rows]
    if chosen.size == 0 or X.shape[1] == 0:
        raise DataError("model.nothing_to_train_on", rows=chosen.size, features=X.shape[1])
    positive = int(np.count_nonzero(chosen == 1))
    negative = int(np.count_nonzero(chosen == 0))
    if positive + negative != chosen.size:
        raise DataError("model.labels_not_binary")
    if positive == 0 or negative == 0:
        only = "positive" if positive else "negative"
        raise DataError("model.single_class", count=chosen.size, label=only)
    return chosen.astype(np.int8, copy=False)


def check_targets(X: NDArray[np.floating], y: NDArray[Any], rows: Rows | None) -> NDArray[np.float64]:
    """Refuse what no regression can be fitted on, and return the chosen rows' targets as float64.

    Raises
    ------
    DataError
        If shapes disagree, a row index is outside, a target is no finite number, or there is no row or feature.
    """
    if X.ndim != 2 or y.ndim != 1 or len(X) != len(y):
        raise DataError("model.features_not_one_per_label", shape=str(X.shape), labels=str(y.shape))
    if rows is not None and rows.size and not 0 <= rows.min() <= rows.max() < len(y):
        raise DataError("model.row_index_out_of_range", first=rows.min(), last=rows.max(), rows=len(y))
    chosen = np.asarray(y if rows is None else y[rows], dtype=np.float64)
    if chosen.size == 0 or X.shape[1] == 0:
        raise DataError("model.nothing_to_train_on", rows=chosen.size, features=X.shape[1])
    if not np.isfinite(chosen).all():
        raise DataError("model.targets_not_finite", count=int(np.count_nonzero(~np.isfinite(chosen))))
    return chosen


def row_blocks(
    X: NDArray[np.floating], rows: Rows | None, size: int = BLOCK_ROWS, *, missing: np.float32 = NAN
) -> Iterator[Matrix]:
    """Yield the chosen rows as model input, ``size`` rows at a time, so that no second full matrix comes into being.

    ``missing`` takes the place of NaN. All blocks share one buffer: use each before asking for the next.
    """
    array = _floats(X)
    count = len(array) if rows is None else len(rows)
    buffer = np.empty((min(size, count), array.shape[1]), np.float32)
    for start in range(0, count, size):
        stop = min(start + size, count)
        block = buffer[: stop - start]
        take_rows(array, np.arange(start, stop) if rows is None else rows[start:stop], missing, block)
        yield block
