"""A sweep over pairs of moving averages against vectorbt: the same bars, fills, fees and metrics, in one run."""

import warnings
from itertools import combinations
from typing import Any

import numpy as np

from benchmarks._markets import daily_bars, moving_averages
from benchmarks._measure import compare
from kurswerk.backtest import Execution, MarketBars, Sweep, TradingCosts, TradingRules, sweep_crossings
from kurswerk.core.errors import InvalidInputError

BARS, WINDOWS = 2_148, 100
CASH, FEES = 10_000.0, 0.001
_METRICS = ("total_return", "annual_return", "volatility", "sharpe", "sortino", "calmar", "max_drawdown")
_RULES = TradingRules(
    execution=Execution(fill="close", participation=None), costs=TradingCosts(commission_bps=10, slippage_bps=0)
)


def run(*, bars: int = BARS, windows: int = WINDOWS, repeats: int = 5, threads: int = 2) -> list[dict[str, Any]]:
    """Measure moving averages, their crossings, trades and metrics of all pairs of windows.

    Parameters
    ----------
    bars, windows
        Daily bars, and windows from 2 bars on.
    repeats
        Measurements of ours; vectorbt is measured twice.
    threads
        Of ours; vectorbt has one.

    Returns
    -------
    list of dict
        As from `benchmarks._measure.compare`.

    Raises
    ------
    InvalidInputError
        If vectorbt is not installed.
    """
    market = daily_bars(bars, 1)
    theirs = peer_sweep(market, windows)
    _refuse_other_results(our_sweep(market, windows, threads), theirs)
    pairs = windows * (windows - 1) // 2
    note = f"{pairs:,} pairs of moving averages, {bars:,} bars, fees, {len(_METRICS)} metrics of equity and 4 of trades"
    return [
        compare(
            "backtest",
            lambda: our_sweep(market, windows, threads),
            ("vectorbt", lambda: peer_sweep(market, windows)),
            (repeats, min(2, repeats)),
            (20.0, f"{note}, {threads} threads"),
        )
    ]


def our_sweep(market: MarketBars, windows: int, threads: int) -> Sweep:
    """Trade all pairs of moving averages of windows from 2 on."""
    lines = moving_averages(market.close[:, 0], np.arange(2, windows + 2))
    return sweep_crossings(market, lines, np.array(list(combinations(range(windows), 2))), _RULES, threads=threads)


def peer_sweep(market: MarketBars, windows: int) -> dict[str, Any]:
    """Do the same with vectorbt; returns metrics by our names."""
    vbt, pd = peer_libraries()
    # Years as we count them, so that annual values can be compared.
    year = f"{365.25 / market.bars_per_year * market.bars_per_year}D"
    vbt.settings.returns["year_freq"] = pd.Timedelta(year)
    close = pd.Series(market.close[:, 0])
    step = pd.Timedelta(days=365.25 / market.bars_per_year)
    fast, slow = vbt.MA.run_combs(close, window=np.arange(2, windows + 2), r=2, short_names=["fast", "slow"])
    done = vbt.Portfolio.from_signals(
        close, fast.ma_crossed_above(slow), fast.ma_crossed_below(slow), fees=FEES, init_cash=CASH, freq=step
    )
    trades = done.trades.closed
    found = {
        "total_return": done.total_return(),
        "annual_return": done.annualized_return(),
        "volatility": done.annualized_volatility(),
        "sharpe": done.sharpe_ratio(),
        "sortino": done.sortino_ratio(),
        "calmar": done.calmar_ratio(),
        "max_drawdown": -done.max_drawdown(),
        "trades": trades.count(),
        "win_rate": trades.win_rate(),
        "profit_factor": trades.profit_factor(),
        "expectancy": trades.expectancy(),
    }
    return {name: np.asarray(values) for name, values in found.items()}


def peer_libraries() -> tuple[Any, Any]:
    """Return vectorbt and pandas; InvalidInputError if they are not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pandas as pd  # noqa: PLC0415 - the peer of the benchmark, not a dependency
            import vectorbt as vbt  # noqa: PLC0415 - as above
    except ImportError as error:
        raise InvalidInputError("the peer vectorbt is not installed; pip install 'kurswerk[bench]'") from error
    return vbt, pd


def _refuse_other_results(ours: Sweep, theirs: dict[str, Any]) -> None:
    """Raise unless nearly all pairs have the same metrics; a tie of two averages may be broken by a rounding error."""
    for name, values in theirs.items():
        same = np.isclose(ours.column(name), values, rtol=1e-6, atol=1e-9, equal_nan=True)
        if same.mean() < 0.99:
            k = int(np.flatnonzero(~same)[0])
            raise AssertionError(f"{name} of pair {k}: {ours.column(name)[k]} instead of {values[k]}")
