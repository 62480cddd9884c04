"""Sizes of positions from what is known at the close of a signal."""

import numpy as np
from numpy.typing import NDArray

from kurswerk.backtest._bars import MarketBars
from kurswerk.backtest._rules import Exits, Sizing
from kurswerk.backtest._state import CASH_AMOUNT, FRACTION, SHARES_UNIT

Float = NDArray[np.float64]


def position_sizes(bars: MarketBars, sizing: Sizing, exits: Exits) -> tuple[int, Float]:
    """Return the unit of sizes and the sizes, shape (n_bars, n_symbols), or (1, 1) where they are constant.

    NaN where there are fewer bars than ``window``, or nothing moved in them: no position is opened.
    """
    if sizing.kind in _CONSTANT:
        return _CONSTANT[sizing.kind], np.full((1, 1), sizing.value)
    if sizing.kind == "risk" and exits.stop_loss is not None:
        return FRACTION, np.full((1, 1), min(sizing.value / exits.stop_loss, sizing.cap))
    with np.errstate(invalid="ignore", divide="ignore"):
        if sizing.kind == "risk":
            found = sizing.value * bars.close / _windows(_true_ranges(bars), sizing.window).mean(axis=-1)
        else:
            returns = _windows(_returns(bars), sizing.window)
            spread = returns.std(axis=-1, ddof=1)
            if sizing.kind == "volatility":
                found = sizing.value / (spread * np.sqrt(bars.bars_per_year))
            else:
                found = sizing.value * returns.mean(axis=-1) / spread**2
    found[~np.isfinite(found)] = np.nan
    return FRACTION, np.clip(found, 0.0, sizing.cap)


_CONSTANT = {"shares": SHARES_UNIT, "cash": CASH_AMOUNT, "fraction": FRACTION}


def _windows(values: Float, window: int) -> Float:
    """Return for each bar the values of the window that ends there, shape (n_bars, n_symbols, window)."""
    padded = np.concatenate([np.full((window - 1, values.shape[1]), np.nan), values])
    return np.lib.stride_tricks.sliding_window_view(padded, window, axis=0)


def _last_closes(bars: MarketBars) -> Float:
    """Return the last known close before each bar, corrected for splits at the bar; NaN before the first."""
    close = np.vstack([np.full((1, bars.close.shape[1]), np.nan), bars.close[:-1]])
    missing = np.isnan(close)
    rows = np.where(missing, 0, np.arange(len(close))[:, np.newaxis])
    filled: Float = np.take_along_axis(close, np.maximum.accumulate(rows, axis=0), axis=0)
    return filled / bars.split if bars.split.shape[0] else filled


def _returns(bars: MarketBars) -> Float:
    paid = bars.dividend if bars.dividend.shape[0] else 0.0
    before = _last_closes(bars)
    return (bars.close + paid) / before - 1.0


def _true_ranges(bars: MarketBars) -> Float:
    """Return the true range of each bar (Wilder, 1978): of its prices and the close before."""
    before = _last_closes(bars)
    return np.fmax(bars.high, before) - np.fmin(bars.low, before)
