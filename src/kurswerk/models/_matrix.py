"""Feature matrices as models take them: float32, finite or NaN, in blocks of rows."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import DataError

LARGEST = float(np.finfo(np.float32).max)
# 131,072 rows of 80 features are 42 MB: large enough to be fast, small beside the matrix itself.
BLOCK_ROWS = 1 << 17

Matrix = NDArray[np.float32]
Rows = NDArray[np.int64]


def as_model_input(values: NDArray[np.floating]) -> Matrix:
    """Return a feature matrix as every model takes it.

    Parameters
    ----------
    values
        Shape (n, f), any real type and memory order.

    Returns
    -------
    ndarray
        float32 in C order, ``|x|`` limited to the largest float32 (so ±inf and 1e308 become ±3.4e38); NaN stays NaN.

    Examples
    --------
    >>> as_model_input(np.array([[1.0, np.nan, -np.inf]]))
    array([[ 1.0000000e+00,            nan, -3.4028235e+38]], dtype=float32)
    """
    array = np.asarray(values)
    if array.dtype.kind != "f":
        array = array.astype(np.float64)
    limited = np.clip(array, -LARGEST, LARGEST) if array.dtype != np.float16 else np.asarray(array, np.float32)
    return np.ascontiguousarray(np.clip(limited, -LARGEST, LARGEST), dtype=np.float32)


def check_training(X: NDArray[np.floating], y: NDArray[np.integer], rows: Rows | None) -> NDArray[np.int8]:
    """Refuse what no classifier can be fitted on, and return the chosen rows' labels as int8.

    Raises
    ------
    DataError
        If shapes disagree, a label is neither 0 nor 1, there is no row or feature, or only one class occurs.
    """
    if X.ndim != 2 or y.ndim != 1 or len(X) != len(y):
        raise DataError(f"features of shape {X.shape} do not match labels of shape {y.shape}; need (n, f) and (n,)")
    chosen = y if rows is None else y[rows]
    if chosen.size == 0 or X.shape[1] == 0:
        raise DataError(f"nothing to train on: {chosen.size} rows and {X.shape[1]} features; widen the period")
    positive = int(np.count_nonzero(chosen == 1))
    negative = int(np.count_nonzero(chosen == 0))
    if positive + negative != chosen.size:
        raise DataError("labels must be 0 or 1; leave rows with an unknown label out before training")
    if positive == 0 or negative == 0:
        only = "positive" if positive else "negative"
        raise DataError(
            f"all {chosen.size} training rows are {only}; a classifier needs both classes: change target or period"
        )
    return chosen.astype(np.int8, copy=False)


def row_blocks(X: NDArray[np.floating], rows: Rows | None, size: int = BLOCK_ROWS) -> Iterator[Matrix]:
    """Yield the chosen rows as model input, ``size`` rows at a time, so that no second full matrix comes into being."""
    count = len(X) if rows is None else len(rows)
    for start in range(0, count, size):
        part = slice(start, min(start + size, count))
        yield as_model_input(X[part] if rows is None else X[rows[part]])
