"""The validation rules of rows of market data, and which one a row breaks."""

from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import DataError
from kurswerk.core.jit import kernel
from kurswerk.core.messages import Message
from kurswerk.market.schema import CANDLE_ROLES, KEY_LENGTH, Kind, MarketSchema

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Small = NDArray[np.uint8]
Places = NDArray[np.int16]

# Moments outside [1970-01-01, 2262-01-01) are no market data, and nanoseconds end in 2262.
FIRST_MOMENT_US = 0
END_MOMENT_US = 9_214_646_400_000_000


class Violation(IntEnum):
    """Which validation rule a row breaks; of several, the first that is found."""

    NONE = 0
    CELLS = 1
    KEY_MISSING = 2
    KEY_TOO_LONG = 3
    KEY_UNREADABLE = 4
    TIME_MISSING = 5
    TIME_UNREADABLE = 6
    TIME_OUT_OF_RANGE = 7
    UNREADABLE = 8
    NOT_FINITE = 9
    NEGATIVE = 10
    NOT_WHOLE = 11
    OUT_OF_RANGE = 12
    HIGH_BELOW_LOW = 13
    CLOSE_OUTSIDE = 14
    OPEN_OUTSIDE = 15
    CONFLICT = 16
    MISSING = 17
    NO_SESSION = 18


class Cell(IntEnum):
    """What a cell was found to be."""

    PRESENT = 0
    MISSING = 1
    UNREADABLE = 2


@lru_cache
def violation_message(violation: int, column: str = "") -> Message:
    """Return the reason why a row is refused.

    Parameters
    ----------
    violation
        A `Violation`, not ``NONE``.
    column
        The column whose cell breaks the rule, where it is a rule of cells.

    Examples
    --------
    >>> str(violation_message(Violation.NEGATIVE, "price_low"))
    'price_low is negative'
    """
    code = f"row.{Violation(violation).name.lower()}"
    if violation == Violation.KEY_TOO_LONG:
        return Message(code, most=KEY_LENGTH)
    return Message(code, column=column) if column else Message(code)


def validate_rows(
    values: Float, cells: Small, columns: Sequence[str], market: MarketSchema, violations: Small | None = None
) -> tuple[Small, Places]:
    """Find the first validation rule that each row breaks.

    A cell may be missing, also a price, unless its column is required: what is not there breaks nothing else. A cell
    that holds a number must hold a finite one; values below 0 are allowed in signed columns alone; counts and flags are
    whole and fit the database; no value is above its column's maximum. Of the prices that are there, high ≥ low and
    low ≤ open, close ≤ high.

    Parameters
    ----------
    values
        One row per column, shape (n_columns, n_rows); flags are 0 and 1.
    cells
        `Cell` of each value, same shape; ``values`` counts only where it is PRESENT.
    columns
        Columns of the market, one for each row of ``values``.
    market
        Declares the rules of its columns and which of them are prices.
    violations
        `Violation` already found of key or timestamp, shape (n_rows,); stays as it is where not 0.

    Returns
    -------
    violations, offending
        `Violation` of each row, and the index of the offending column (-1 where none in particular is).

    Raises
    ------
    DataError
        If shapes disagree.

    Examples
    --------
    >>> from kurswerk.market import COINS
    >>> values = np.array([[2.0, 2.0, np.inf], [1.0, 3.0, 1.0]])
    >>> validate_rows(values, np.zeros((2, 3), np.uint8), ["price_high", "price_low"], COINS)[0].tolist()
    [0, 13, 9]
    """
    if values.shape != cells.shape or len(values) != len(columns):
        raise DataError(
            "market.validation_shapes_differ", values=str(values.shape), cells=str(cells.shape), columns=len(columns)
        )
    found = np.zeros(values.shape[1], dtype=np.uint8) if violations is None else violations.copy()
    if len(found) != values.shape[1]:
        raise DataError("market.validation_not_one_per_row", violations=len(found), rows=values.shape[1])
    offending = np.full(len(found), -1, dtype=np.int16)
    declared = [market.columns[name] for name in columns]
    whole = np.array([column.kind is not Kind.FLOAT for column in declared], dtype=np.bool_)
    signed = np.array([column.signed for column in declared], dtype=np.bool_)
    for place in [k for k, column in enumerate(declared) if column.required]:
        missing = (cells[place] == Cell.MISSING) & (found == Violation.NONE)
        found[missing], offending[missing] = Violation.MISSING, place
    most = np.array([column.largest for column in declared], dtype=np.float64)
    _validate_cells(values, cells, whole, signed, most, found, offending)
    position = {name: index for index, name in enumerate(columns)}
    prices = np.array([position.get(market.roles.get(role, ""), -1) for role in CANDLE_ROLES], dtype=np.int64)
    _validate_candles(values, cells, prices, found)
    return found, offending


@kernel
def _validate_cells(
    values: Float,
    cells: Small,
    whole: NDArray[np.bool_],
    signed: NDArray[np.bool_],
    most: Float,
    violations: Small,
    offending: Places,
) -> None:
    for c in range(values.shape[0]):
        for i in range(values.shape[1]):
            if violations[i] != 0 or cells[c, i] == 1:
                continue
            value = values[c, i]
            if cells[c, i] == 2:
                violations[i] = 8
            elif not np.isfinite(value):
                violations[i] = 9
            elif value < 0.0 and not signed[c]:
                violations[i] = 10
            elif whole[c] and value != np.floor(value):
                violations[i] = 11
            elif value > most[c]:
                violations[i] = 12
            if violations[i] != 0:
                offending[i] = c


@kernel
def _validate_candles(values: Float, cells: Small, prices: Int, violations: Small) -> None:
    """``prices`` holds the rows of open, high, low and close in ``values``, -1 where the column is absent."""
    for i in range(values.shape[1]):
        if violations[i] != 0:
            continue
        candle = np.full(4, np.nan)
        for k in range(4):
            if prices[k] >= 0 and cells[prices[k], i] == 0:
                candle[k] = values[prices[k], i]
        # Comparisons with NaN are false: a price that is not there breaks nothing.
        if candle[1] < candle[2]:
            violations[i] = 13
        elif candle[3] < candle[2] or candle[3] > candle[1]:
            violations[i] = 14
        elif candle[0] < candle[2] or candle[0] > candle[1]:
            violations[i] = 15
