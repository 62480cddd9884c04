"""Cells of any type to numbers, one bad cell at a time."""

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kurswerk.core.errors import DataFileError
from kurswerk.market.validation import Cell

Numbers = tuple[NDArray[np.float64], NDArray[np.uint8]]

MISSING_WORDS = frozenset({"", "na", "n/a", "null", "none"})
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = {"nan": np.nan, "inf": np.inf, "infinity": np.inf}
_NUMERIC = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
_FLAGS = {"true": 1.0, "t": 1.0, "yes": 1.0, "y": 1.0, "false": 0.0, "f": 0.0, "no": 0.0, "n": 0.0}


def is_text(kind: pa.DataType) -> bool:
    """Return whether cells of an Arrow type are text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def plain(cells: pa.Array) -> pa.Array:
    """Undo a dictionary encoding, and name text ``string``."""
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    return cells.cast(pa.string()) if is_text(cells.type) else cells


def read_numbers(cells: pa.Array, column: str, *, decimal_comma: bool = False) -> Numbers:
    """Read cells as numbers; flags become 0 and 1.

    Parameters
    ----------
    cells
        Numbers, flags, decimals or text, shape (n_rows,).
    column
        File's name of the column, for the message.
    decimal_comma
        Text holds ``1,5`` for one and a half.

    Returns
    -------
    values, states
        float64, and `Cell` of each; a value that is not PRESENT means nothing.

    Raises
    ------
    DataFileError
        If the column's type cannot hold numbers at all.
    """
    cells = plain(cells)
    kind = cells.type
    if is_text(kind):
        return _from_text(cells, decimal_comma=decimal_comma)
    if pa.types.is_boolean(kind):
        cells = cells.cast(pa.uint8())
    elif not any(holds(kind) for holds in _NUMERIC):
        raise DataFileError("file.column_not_numeric", column=column, kind=kind)
    return _from_arrow(cells.cast(pa.float64(), safe=False))


def _from_arrow(cells: pa.Array) -> Numbers:
    values = cells.to_numpy(zero_copy_only=False)
    if cells.null_count:
        return values, cells.is_null().to_numpy(zero_copy_only=False).astype(np.uint8)
    return values, np.zeros(len(values), dtype=np.uint8)


def _from_text(cells: pa.Array, *, decimal_comma: bool) -> Numbers:
    if decimal_comma:
        cells = pc.replace_substring(cells, ",", ".")
    try:
        return _from_arrow(cells.cast(pa.float64()))
    except pa.ArrowInvalid:
        pass
    values = np.full(len(cells), np.nan)
    states = np.full(len(cells), Cell.MISSING, dtype=np.uint8)
    for i, text in enumerate(cells.to_pylist()):
        word = "" if text is None else text.strip().lower()
        if word not in MISSING_WORDS:
            value = number_in(word)
            states[i] = Cell.UNREADABLE if value is None else Cell.PRESENT
            values[i] = np.nan if value is None else value
    return values, states


def number_in(word: str) -> float | None:
    """Return the number or flag that a stripped, lower-case word stands for, or None.

    Examples
    --------
    >>> number_in("1e-3"), number_in("-inf"), number_in("yes"), number_in("1_000")
    (0.001, -inf, 1.0, None)
    """
    if _NUMBER.fullmatch(word):
        return float(word)
    sign = -1.0 if word.startswith("-") else 1.0
    if word.lstrip("+-") in _NOT_FINITE:
        return sign * _NOT_FINITE[word.lstrip("+-")]
    return _FLAGS.get(word)


def as_text(cells: pa.Array) -> pa.Array:
    """Write cells of any type as text, null where they are null."""
    cells = plain(cells)
    try:
        return cells.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        values: list[Any] = cells.to_pylist()
        return pa.array([None if value is None else str(value) for value in values], pa.string())
