"""Engineered features against pandas group-by, and indicators against TA-Lib, in one run on the same bars."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks._measure import compare
from kurswerk.core.errors import InvalidInputError
from kurswerk.core.timestamps import MINUTE_US
from kurswerk.features import FeaturePlan, engineered_names
from kurswerk.market import COINS, Panel, map_columns

WINDOWS = (5, 10, 15)
BARS, PAIRS = 923_030, 16
INDICATORS = (
    "sma_20", "ema_20", "rsi_14", "macd_12_26_9", "macd_signal_12_26_9", "macd_histogram_12_26_9",
    "bollinger_upper_20_2", "bollinger_middle_20_2", "bollinger_lower_20_2", "atr_14", "adx_14", "plus_di_14",
    "minus_di_14", "stochastic_k_14_3", "stochastic_d_14_3_3", "roc_14", "cci_20", "mfi_14", "obv", "williams_r_14",
    "stddev_14",
)  # fmt: skip


def run(data: Path | None = None, *, bars: int = BARS, repeats: int = 5, threads: int = 2) -> list[dict[str, Any]]:
    """Measure both comparisons, ours and the peer in turn, and report medians.

    Parameters
    ----------
    data
        Parquet of bars (symbol, timestamp, open, high, low, close, volume); a synthetic market of the same shape if
        None or absent.
    bars
        Rows of the synthetic market.
    repeats
        Measurements of ours and of TA-Lib; pandas is measured twice.
    threads
        Threads of ours against pandas.

    Returns
    -------
    list of dict
        ``name, ours_s, peer, peer_s, ratio, at_least, note`` each.

    Raises
    ------
    InvalidInputError
        If pandas or TA-Lib are not installed.
    """
    panel = read_bars(data) if data is not None and data.exists() else synthetic_bars(bars)
    names = engineered_names(panel.columns, COINS, WINDOWS)
    engineered, indicators = FeaturePlan(names, COINS), FeaturePlan(INDICATORS, COINS)
    engineered.compute(panel, rows=slice(0, 64))
    indicators.compute(panel, rows=slice(0, 64))
    table = np.zeros((len(panel), len(names)), order="F")
    frame = pandas_frame(panel)
    size = f"{len(panel):,} bars of {len(panel.instruments)} instruments"
    return [
        compare(
            "features",
            lambda: engineered.compute(panel, threads=threads, out=table),
            ("pandas group-by", lambda: pandas_features(frame)),
            (repeats, min(2, repeats)),
            (
                40.0,
                f"{len(names)} engineered features, windows 5/10/15, {size}, {threads} threads, into an array at hand",
            ),
        ),
        compare(
            "indicators",
            lambda: indicators.compute(panel),
            ("TA-Lib", lambda: talib_indicators(panel)),
            (repeats, repeats),
            (1.0, f"{len(INDICATORS)} outputs, {size}, one thread each"),
        ),
    ]


def read_bars(path: Path) -> Panel:
    """Read a Parquet file of bars into a panel."""
    table = pq.read_table(path)
    named = {ours: table[theirs] for theirs, ours in map_columns(table.column_names, COINS).items()}
    keys = named.pop("mint").to_numpy(zero_copy_only=False)
    times = named.pop("timestamp").cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
    return Panel.from_columns(keys, times, {name: column.to_numpy() for name, column in named.items()})


def synthetic_bars(bars: int, pairs: int = PAIRS, seed: int = 42) -> Panel:
    """Return a seeded random walk in the shape of the real bars: five columns, ``pairs`` instruments."""
    rng = np.random.default_rng(seed)
    each = max(1, bars // pairs)
    rows = each * pairs
    # 0.3 % a bar, as volatile coins have: an hour later one row in forty stands 2 % higher.
    close = np.exp(np.cumsum(rng.normal(0, 0.003, (pairs, each)), axis=1)).ravel()
    opened = close * np.exp(rng.normal(0, 0.001, rows))
    high, low = np.maximum(opened, close) * 1.0005, np.minimum(opened, close) * 0.9995
    volume = rng.lognormal(0, 1, rows)
    codes = np.repeat(np.arange(pairs), each)
    times = np.tile(np.arange(each, dtype=np.int64) * 5 * MINUTE_US, pairs)
    columns = {"price_open": opened, "price_high": high, "price_low": low, "price_close": close, "volume_sol": volume}
    return Panel.from_codes([f"PAIR{k:02d}" for k in range(pairs)], codes, times, columns)


def pandas_frame(panel: Panel) -> Any:
    """Return a panel as a pandas frame with the columns ``key`` and ``time`` beside the values.

    Raises
    ------
    InvalidInputError
        If pandas is not installed.
    """
    try:
        import pandas as pd  # noqa: PLC0415 - a peer of the benchmark, not a dependency
    except ImportError as error:
        raise InvalidInputError("the peer pandas is not installed; pip install 'kurswerk[bench]'") from error
    columns = {name: panel.column(name) for name in panel.columns}
    return pd.DataFrame({"key": panel.codes, "time": panel.timestamps, **columns})


def pandas_features(frame: Any) -> Any:
    """Compute the engineered features of OHLCV bars as one writes them in pandas, columns named as ours."""
    out: dict[str, Any] = {}
    groups = frame.groupby("key", sort=False)
    close, volume = groups["price_close"], groups["volume_sol"]
    step = close.pct_change(1, fill_method=None) * 100
    ath = groups["price_high"].cummax()
    fresh = frame["price_high"] > ath.groupby(frame["key"]).shift(1)
    breakout = fresh.astype(float).where(frame.groupby("key").cumcount() > 0)
    distance = 100 * (ath - frame["price_close"]) / ath
    since = frame["time"].where(breakout != 0).groupby(frame["key"]).ffill()
    nearer = distance.groupby(frame["key"]).shift(1)
    nearer = (nearer > distance).astype(float).where(nearer.notna())
    for w in WINDOWS:
        out[f"price_change_{w}"] = close.pct_change(w, fill_method=None) * 100
        out[f"price_roc_{w}"] = close.pct_change(w, fill_method=None) * 100
        out[f"price_volatility_{w}"] = _rolled(step, frame, w, "std")
        top, bottom = _rolled(frame["price_high"], frame, w, "max"), _rolled(frame["price_low"], frame, w, "min")
        out[f"price_range_{w}"] = 100 * (top - bottom) / frame["price_close"]
        mean, spread = _rolled(frame["volume_sol"], frame, w, "mean"), _rolled(frame["volume_sol"], frame, w, "std")
        before = mean.groupby(frame["key"]).shift(1)
        out[f"volume_ratio_{w}"] = frame["volume_sol"] / volume.rolling(w).mean().to_numpy()
        out[f"volume_spike_{w}"] = (frame["volume_sol"] - before) / spread.groupby(frame["key"]).shift(1)
        out[f"ath_distance_trend_{w}"] = distance - distance.groupby(frame["key"]).shift(w)
        out[f"ath_approach_{w}"] = _rolled(nearer, frame, w, "mean")
        out[f"ath_breakout_count_{w}"] = _rolled(breakout, frame, w, "sum")
    out["ath_distance_pct"] = distance
    out["is_near_ath"] = (distance < 5).astype(float)
    out["is_at_ath"] = (frame["price_high"] >= ath).astype(float)
    out["ath_breakout"] = breakout
    out["ath_age_hours"] = (frame["time"] - since) / (60 * MINUTE_US)
    return out


def _rolled(column: Any, frame: Any, window: int, how: str) -> Any:
    rolled = getattr(column.groupby(frame["key"], sort=False).rolling(window), how)()
    return rolled.droplevel(0)


def talib_indicators(panel: Panel) -> list[list[NDArray[np.float64]]]:
    """Compute `INDICATORS` with TA-Lib, instrument by instrument, in their order.

    Raises
    ------
    InvalidInputError
        If TA-Lib is not installed.
    """
    try:
        import talib as ta  # noqa: PLC0415 - a peer of the benchmark, not a dependency
    except ImportError as error:
        raise InvalidInputError("the peer TA-Lib is not installed; pip install 'kurswerk[bench]'") from error
    out = []
    names = ("price_high", "price_low", "price_close", "volume_sol")
    for k in range(len(panel.instruments)):
        rows = slice(panel.offsets[k], panel.offsets[k + 1])
        h, l, c, v = (panel.column(name)[rows] for name in names)  # noqa: E741 - high, low, close, volume
        out.append([
            ta.SMA(c, 20), ta.EMA(c, 20), ta.RSI(c, 14), *ta.MACD(c, 12, 26, 9), *ta.BBANDS(c, 20, 2, 2),
            ta.ATR(h, l, c, 14), ta.ADX(h, l, c, 14), ta.PLUS_DI(h, l, c, 14), ta.MINUS_DI(h, l, c, 14),
            *ta.STOCH(h, l, c, 14, 3, 0, 3, 0), ta.ROC(c, 14), ta.CCI(h, l, c, 20), ta.MFI(h, l, c, v, 14),
            ta.OBV(c, v), ta.WILLR(h, l, c, 14), ta.STDDEV(c, 14),
        ])  # fmt: skip
    return out
