"""Metrics of an equity curve and of trades."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kurswerk.backtest._result import Backtest
from kurswerk.backtest._state import BARS_HELD, EXPOSED, GAINS, LOSSES, TRADES, TURNOVER, WINS
from kurswerk.core.jit import kernel

Float = NDArray[np.float64]

METRICS: Final = (
    "total_return",
    "annual_return",
    "volatility",
    "sharpe",
    "sortino",
    "calmar",
    "max_drawdown",
    "max_drawdown_bars",
    "trades",
    "win_rate",
    "profit_factor",
    "expectancy",
    "mean_bars_held",
    "turnover",
    "exposure",
)
OF_EQUITY: Final = 8
"""So many of them follow from the equity alone."""


@dataclass(frozen=True)
class Metrics:
    """What a strategy earned and risked; None where undefined, such as without trades.

    With returns r of the n bars, the first against the starting cash, and p bars in a year:

    Attributes
    ----------
    total_return, annual_return
        Growth of the equity as a share of the cash, and ``(1 + total_return) ** (p / n) - 1``.
    volatility, sharpe
        ``std(r) * sqrt(p)`` with n - 1 degrees of freedom, and ``mean(r) / std(r) * sqrt(p)`` (Sharpe, 1994, interest
        of 0).
    sortino
        ``mean(r) / sqrt(mean(min(r, 0) ** 2)) * sqrt(p)`` (Sortino and Price, 1994).
    calmar
        Annual return over maximum drawdown.
    max_drawdown, max_drawdown_bars
        Deepest fall from the highest equity so far as a share of it, and the longest stretch of bars below it.
    trades, win_rate, profit_factor, expectancy, mean_bars_held
        Closed positions; share with a profit; profits over losses; mean profit, in currency; mean bars held.
    turnover
        Traded value a year over the mean equity.
    exposure
        Share of bars with a position at their close.
    """

    total_return: float
    annual_return: float
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    max_drawdown: float
    max_drawdown_bars: int
    trades: int
    win_rate: float | None
    profit_factor: float | None
    expectancy: float | None
    mean_bars_held: float | None
    turnover: float
    exposure: float

    @classmethod
    def of_row(cls, row: Float) -> "Metrics":
        """Build them from a row of numbers in the order of `METRICS`."""
        values = {name: float(value) if np.isfinite(value) else None for name, value in zip(METRICS, row, strict=True)}
        whole = {name: int(values[name] or 0) for name in ("trades", "max_drawdown_bars")}
        return cls(**{**values, **whole})  # type: ignore[arg-type]  # None only where it may be

    def as_json(self) -> dict[str, float | int | None]:
        """Return the values by name."""
        return asdict(self)


@kernel
def summarise_equity(equity: Any, start: float, periods: float, out: Any) -> None:
    """Write the metrics that follow from the equity, shape (n_bars,), into the first places of ``out``."""
    n = len(equity)
    total = squares = downside = 0.0
    peak, before, deepest = start, start, 0.0
    below = longest = 0
    for t in range(n):
        value = equity[t]
        change = value / before - 1.0 if before > 0.0 else 0.0
        before = value
        total += change
        squares += change * change
        loss = min(change, 0.0)
        downside += loss * loss
        below = 0 if value >= peak else below + 1
        longest = max(longest, below)
        peak = max(peak, value)
        deepest = max(deepest, 1.0 - value / peak)
    mean = total / n
    variance = (squares - n * mean * mean) / (n - 1) if n > 1 else np.nan
    spread = np.sqrt(max(variance, 0.0))
    growth = max(equity[n - 1] / start, 0.0)
    scale = np.sqrt(periods)
    out[0], out[1] = equity[n - 1] / start - 1.0, growth ** (periods / n) - 1.0
    out[2] = spread * scale
    out[3] = mean / spread * scale if spread > 0.0 else np.nan
    out[4] = mean / np.sqrt(downside / n) * scale if downside > 0.0 else np.nan
    out[5] = out[1] / deepest if deepest > 0.0 else np.nan
    out[6], out[7] = deepest, longest


@kernel
def summarise_trades(equity: Any, account: Any, periods: float, out: Any) -> None:
    """Write the metrics that follow from the account's counts behind those of the equity."""
    trades, n = account[TRADES], len(equity)
    mean = 0.0
    for t in range(n):
        mean += equity[t] / n
    out[8] = trades
    out[9] = account[WINS] / trades if trades > 0.0 else np.nan
    out[10] = account[GAINS] / account[LOSSES] if account[LOSSES] > 0.0 else np.nan
    out[11] = (account[GAINS] - account[LOSSES]) / trades if trades > 0.0 else np.nan
    out[12] = account[BARS_HELD] / trades if trades > 0.0 else np.nan
    out[13] = account[TURNOVER] / mean * periods / n if mean > 0.0 else np.nan
    out[14] = account[EXPOSED] / n


def metrics_of(done: Backtest) -> Metrics:
    """Return the metrics of a back-test."""
    row = np.empty(len(METRICS))
    periods = done.bars.bars_per_year
    summarise_equity(done.equity, done.rules.account.cash, periods, row)
    summarise_trades(done.equity, np.array(list(done.totals.values())), periods, row)
    return Metrics.of_row(row)


def bar_returns(done: Backtest) -> Float:
    """Return the growth of the equity on each bar, 0 where there was none left; shape (n_bars,)."""
    before = np.concatenate([[done.rules.account.cash], done.equity[:-1]])
    return np.where(before > 0, done.equity / np.where(before > 0, before, 1.0) - 1.0, 0.0)
