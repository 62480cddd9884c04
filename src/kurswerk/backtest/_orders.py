"""What a strategy wants on each bar: signals, or target weights."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kurswerk.backtest._bars import MarketBars
from kurswerk.core.errors import DataError

Float = NDArray[np.float64]
Int8 = NDArray[np.int8]

HOLD, BUY, SELL, EXIT = 0, 1, -1, 2
"""Of a signal: leave things as they are; be long; be short, or flat where that is not allowed; be flat."""
_KNOWN: Final = (HOLD, BUY, SELL, EXIT)
_NO_RANKS: Float = np.empty((0, 0))


@dataclass(frozen=True, eq=False)
class Signals:
    """A signal at the close of each bar of each symbol.

    Attributes
    ----------
    values
        int8, `HOLD`, `BUY`, `SELL` or `EXIT`; shape (n_bars, n_symbols). A signal on a missing bar is ignored.
    ranks
        Which symbols are bought first where cash is short, highest first; shape (n_bars, n_symbols), or (0, 0): in the
        order of the symbols.

    Raises
    ------
    DataError
        For other values, or ranks of another shape or without a value.
    """

    values: Int8
    ranks: Float = field(default_factory=_NO_RANKS.copy)

    def __post_init__(self) -> None:
        values = np.asarray(self.values)
        if not np.isin(values, _KNOWN).all():
            wrong = values[~np.isin(values, _KNOWN)]
            raise DataError("backtest.unknown_signal", value=float(wrong[0]))
        if self.ranks.shape not in {(0, 0), _as_matrix(values).shape} or np.isnan(self.ranks).any():
            raise DataError("backtest.shape", name="ranks", found=list(self.ranks.shape), expected=list(values.shape))
        object.__setattr__(self, "values", np.ascontiguousarray(_as_matrix(values), dtype=np.int8))

    def delayed(self, bars: int) -> "Signals":
        """Return the same signals so many bars later; those of the first bars are `HOLD`."""
        values = np.zeros_like(self.values)
        values[bars:] = self.values[: len(self.values) - bars]
        return Signals(values, self.ranks)


@dataclass(frozen=True, eq=False)
class TargetWeights:
    """The share of the equity that each symbol shall have, ordered at the close of each bar.

    Attributes
    ----------
    values
        Below 0 is short, 0 closes a position, NaN leaves it as it is; shape (n_bars, n_symbols).
    """

    values: Float

    def __post_init__(self) -> None:
        values = _as_matrix(np.asarray(self.values, dtype=np.float64))
        if np.isinf(values).any():
            raise DataError("backtest.infinite_weight")
        object.__setattr__(self, "values", np.ascontiguousarray(values))


Orders = Signals | TargetWeights


def _as_matrix(values: NDArray[np.generic]) -> NDArray[np.generic]:
    return values[:, np.newaxis] if values.ndim == 1 else values


def top_of_ranking(ranking: Float, count: int, *, every: int = 1, short: int = 0) -> TargetWeights:
    """Return equal weights for the ``count`` symbols of the highest rank, and below 0 for the ``short`` lowest ones.

    Parameters
    ----------
    ranking
        Any number that is known at the close of a bar, NaN for a symbol that takes no part; shape
        (n_bars, n_symbols). Of equal ones the first symbols are taken.
    every
        Rebalance on each bar whose number it divides; in between weights are left to drift.

    Raises
    ------
    DataError
        If a count is below 0 or none is above, or ``every`` is below 1.

    Examples
    --------
    >>> top_of_ranking(np.array([[3.0, 1.0, np.nan, 2.0]]), 2).values.tolist()
    [[0.5, 0.0, 0.0, 0.5]]
    """
    if min(count, short) < 0 or count + short < 1 or every < 1:
        raise DataError("backtest.bad_ranking", count=count, short=short, every=every)
    values = np.full(ranking.shape, np.nan)
    for bar in range(0, len(ranking), every):
        known = np.flatnonzero(~np.isnan(ranking[bar]))
        order = known[np.argsort(-ranking[bar, known], kind="stable")]
        values[bar] = 0.0
        long = order[:count]
        values[bar, long] = 1.0 / (count + short)
        lowest = order[max(len(order) - short, len(long)) :]
        values[bar, lowest] = -1.0 / (count + short)
    return TargetWeights(values)


def equal_weights(bars: MarketBars, *, every: int = 1) -> TargetWeights:
    """Return weights that hold all symbols with a bar equally, rebalanced every so many bars."""
    values = np.full(bars.close.shape, np.nan)
    present = bars.present[::every]
    values[::every] = present / np.maximum(present.sum(axis=1, keepdims=True), 1)
    return TargetWeights(values)


def crossings(fast: Float, slow: Float) -> Signals:
    """Return `BUY` where one line crosses above another and `SELL` where it crosses below.

    A bar with an unknown value, and the first one after it, has no signal.

    Parameters
    ----------
    fast, slow
        Shape (n_bars,) or (n_bars, n_symbols).

    Examples
    --------
    >>> crossings(np.array([1.0, 2.0, 3.0, 1.0]), np.array([2.0, 2.0, 2.0, 2.0])).values.ravel().tolist()
    [0, 0, 1, -1]
    """
    with np.errstate(invalid="ignore"):
        above, below = fast > slow, fast < slow
    up, down = np.zeros(fast.shape, dtype=np.int8), np.zeros(fast.shape, dtype=np.int8)
    known = ~np.isnan(fast) & ~np.isnan(slow)
    up[1:] = above[1:] & ~above[:-1] & known[:-1]
    down[1:] = below[1:] & ~below[:-1] & known[:-1]
    return Signals(up - down)


def joined_symbols(signals: Sequence[Signals]) -> Signals:
    """Return signals of several symbols side by side, in their order."""
    return Signals(np.concatenate([one.values for one in signals], axis=1))
