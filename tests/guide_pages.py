"""Pages of the documentation that are run as they are written: their blocks, and the candles they read."""

import re
from pathlib import Path

import numpy as np


def write_candles(path: Path, coins: tuple[str, ...] = ("BTC/USDT", "WIF/USDT")) -> None:
    """Write 15-minute candles of May and June 2024 whose volatility comes in clusters."""
    rng = np.random.default_rng(5)
    bars = 61 * 96
    times = np.datetime64("2024-05-01T00:00:00") + np.arange(bars) * np.timedelta64(15, "m")
    lines = ["symbol,timestamp,open,high,low,close,volume"]
    for coin in coins:
        mood = np.convolve(rng.normal(size=bars + 95), np.ones(96) / np.sqrt(96), "valid")[:bars]
        volatility = 0.007 * np.exp(0.7 * mood)
        close = 100 * np.exp(np.cumsum(rng.normal(size=bars) * volatility))
        opened = np.concatenate(([100.0], close[:-1]))
        high, low = np.maximum(opened, close) * (1 + volatility), np.minimum(opened, close) * (1 - volatility)
        volume = 1000 * volatility * rng.lognormal(size=bars)
        lines += [
            f"{coin},{time},{o:.8g},{h * 1.0001:.8g},{lo * 0.9999:.8g},{c:.8g},{v:.6g}"
            for time, o, h, lo, c, v in zip(times, opened, high, low, close, volume, strict=True)
        ]
    path.write_text("\n".join(lines))


def blocks(text: str) -> list[tuple[str, str, str]]:
    """Return language, title and content of every fenced block."""
    found = re.findall(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```', text, flags=re.MULTILINE | re.DOTALL)
    return [(language, title, content) for language, title, content in found]
