"""The laws that a row of market data obeys, and the judgement which one a row breaks."""

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import DataError
from kurswerk.core.jit import kernel
from kurswerk.market.columns import COIN_COLUMNS, PRICE_COLUMNS, Kind

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Small = NDArray[np.uint8]
Culprits = NDArray[np.int16]

MOST_KEY_CHARACTERS = 64
# Moments outside [1970-01-01, 2262-01-01) are no market data, and nanoseconds end in 2262.
FIRST_MOMENT_US = 0
END_MOMENT_US = 9_214_646_400_000_000
# contracts.md stores counts as int, which is 32 bits in the databases that exist already.
LARGEST_INT = 2_147_483_647

_SIGNED = frozenset({"net_volume_sol"})
_SHARES = frozenset({"buy_pressure_ratio", "unique_signer_ratio"})


class Law(IntEnum):
    """What a row can break; a row is filed under the first that it breaks, in this order."""

    OBEYED = 0
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


class Cell(IntEnum):
    """What a cell was found to be."""

    PRESENT = 0
    MISSING = 1
    UNREADABLE = 2


_REASONS = {
    Law.OBEYED: "",
    Law.CELLS: "wrong number of cells",
    Law.KEY_MISSING: "key is missing",
    Law.KEY_TOO_LONG: f"key is longer than {MOST_KEY_CHARACTERS} characters",
    Law.KEY_UNREADABLE: "key is no readable text",
    Law.TIME_MISSING: "timestamp is missing",
    Law.TIME_UNREADABLE: "timestamp is unreadable",
    Law.TIME_OUT_OF_RANGE: "timestamp is outside 1970 to 2261",
    Law.UNREADABLE: "{} is unreadable",
    Law.NOT_FINITE: "{} is not finite",
    Law.NEGATIVE: "{} is negative",
    Law.NOT_WHOLE: "{} is no whole number",
    Law.OUT_OF_RANGE: "{} is out of range",
    Law.HIGH_BELOW_LOW: "high is below low",
    Law.CLOSE_OUTSIDE: "close is outside low to high",
    Law.OPEN_OUTSIDE: "open is outside low to high",
    Law.CONFLICT: "key and timestamp stand twice with different values",
}


def describe_law(law: int, column: str = "") -> str:
    """Say in words which law a row breaks.

    Examples
    --------
    >>> describe_law(Law.NEGATIVE, "price_low")
    'price_low is negative'
    """
    return _REASONS[Law(law)].format(column)


def judge_rows(
    values: Float, cells: Small, columns: Sequence[str], laws: Small | None = None
) -> tuple[Small, Culprits]:
    """Find the first law that each row breaks.

    A cell may be missing, also a price: what is not there breaks nothing. A cell that holds a number must hold a
    finite one; all but ``net_volume_sol`` must not be negative; counts and flags are whole and fit the database;
    ratios are at most 1. Of the
    prices that are there, high ≥ low and low ≤ open, close ≤ high.

    Parameters
    ----------
    values
        One row per column, shape (n_columns, n_rows); flags are 0 and 1.
    cells
        `Cell` of each value, same shape; ``values`` counts only where it is PRESENT.
    columns
        Names out of ``COIN_COLUMNS``, one for each row of ``values``.
    laws
        `Law` already found broken by key or timestamp, shape (n_rows,); stays as it is where not 0.

    Returns
    -------
    laws, culprits
        `Law` of each row, and the index of the column it was broken in (-1 if by none in particular).

    Raises
    ------
    DataError
        If shapes disagree.

    Examples
    --------
    >>> values = np.array([[2.0, 2.0, np.inf], [1.0, 3.0, 1.0]])
    >>> judge_rows(values, np.zeros((2, 3), np.uint8), ["price_high", "price_low"])[0].tolist()
    [0, 13, 9]
    """
    if values.shape != cells.shape or len(values) != len(columns):
        raise DataError(f"values {values.shape}, cells {cells.shape} and {len(columns)} columns do not fit together")
    found = np.zeros(values.shape[1], dtype=np.uint8) if laws is None else laws.copy()
    if len(found) != values.shape[1]:
        raise DataError(f"{len(found)} laws for {values.shape[1]} rows; give one for each row")
    culprits = np.full(len(found), -1, dtype=np.int16)
    whole = np.array([COIN_COLUMNS[name] is not Kind.FLOAT for name in columns], dtype=np.bool_)
    signed = np.array([name in _SIGNED for name in columns], dtype=np.bool_)
    most = np.array([_largest(name) for name in columns], dtype=np.float64)
    _judge_cells(values, cells, whole, signed, most, found, culprits)
    position = {name: index for index, name in enumerate(columns)}
    prices = np.array([position.get(name, -1) for name in PRICE_COLUMNS], dtype=np.int64)
    _judge_candles(values, cells, prices, found)
    return found, culprits


def _largest(column: str) -> float:
    if column in _SHARES:
        return 1.0
    return np.inf if COIN_COLUMNS[column] is Kind.FLOAT else float(LARGEST_INT)


@kernel
def _judge_cells(
    values: Float,
    cells: Small,
    whole: NDArray[np.bool_],
    signed: NDArray[np.bool_],
    most: Float,
    laws: Small,
    culprits: Culprits,
) -> None:
    for c in range(values.shape[0]):
        for i in range(values.shape[1]):
            if laws[i] != 0 or cells[c, i] == 1:
                continue
            value = values[c, i]
            if cells[c, i] == 2:
                laws[i] = 8
            elif not np.isfinite(value):
                laws[i] = 9
            elif value < 0.0 and not signed[c]:
                laws[i] = 10
            elif whole[c] and value != np.floor(value):
                laws[i] = 11
            elif value > most[c]:
                laws[i] = 12
            if laws[i] != 0:
                culprits[i] = c


@kernel
def _judge_candles(values: Float, cells: Small, prices: Int, laws: Small) -> None:
    """``prices`` holds the rows of open, high, low and close in ``values``, -1 where the column is absent."""
    for i in range(values.shape[1]):
        if laws[i] != 0:
            continue
        candle = np.full(4, np.nan)
        for k in range(4):
            if prices[k] >= 0 and cells[prices[k], i] == 0:
                candle[k] = values[prices[k], i]
        # Comparisons with NaN are false: a price that is not there breaks nothing.
        if candle[1] < candle[2]:
            laws[i] = 13
        elif candle[3] < candle[2] or candle[3] > candle[1]:
            laws[i] = 14
        elif candle[0] < candle[2] or candle[0] > candle[1]:
            laws[i] = 15
