"""Seeded markets for the benchmarks of back-tests."""

import numpy as np
from numpy.typing import NDArray

from kurswerk.backtest import MarketBars
from kurswerk.core.timestamps import DAY_US

Float = NDArray[np.float64]


def daily_bars(num_bars: int, num_symbols: int, seed: int = 42) -> MarketBars:
    """Return daily bars of weekdays with open, high, low and close, a random walk of 1.5 % a day."""
    rng = np.random.default_rng(seed)
    shape = (num_bars, num_symbols)
    close = 50 * np.exp(np.cumsum(rng.normal(0.0003, 0.015, shape), axis=0))
    opened = np.vstack([close[:1], close[:-1]]) * np.exp(rng.normal(0, 0.004, shape))
    high = np.maximum(opened, close) * np.exp(np.abs(rng.normal(0, 0.006, shape)))
    low = np.minimum(opened, close) * np.exp(-np.abs(rng.normal(0, 0.006, shape)))
    days = np.arange(num_bars) // 5 * 7 + np.arange(num_bars) % 5
    prices = {"open": opened, "high": high, "low": low, "close": close}
    return MarketBars.of(days * DAY_US, [f"S{k:03d}" for k in range(num_symbols)], prices)


def moving_averages(close: Float, windows: NDArray[np.int64]) -> Float:
    """Return one simple moving average per window, NaN until it is full; shape (n_windows, n_bars)."""
    sums = np.concatenate([[0.0], np.cumsum(close)])
    lines = np.full((len(windows), len(close)), np.nan)
    for row, window in zip(lines, windows, strict=True):
        row[window - 1 :] = (sums[window:] - sums[:-window]) / window
    return lines
