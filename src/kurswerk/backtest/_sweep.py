"""Many back-tests over the same bars, on several threads, without copies of the bars."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kurswerk.backtest._bars import MarketBars
from kurswerk.backtest._kernel import simulate
from kurswerk.backtest._metrics import METRICS, Metrics, summarise_equity, summarise_trades
from kurswerk.backtest._orders import Orders
from kurswerk.backtest._rules import TradingRules
from kurswerk.backtest._run import orders_of, record_of
from kurswerk.backtest._sizes import position_sizes
from kurswerk.backtest._state import CASH, new_state
from kurswerk.core.errors import DataError
from kurswerk.core.jit import kernel

Float = NDArray[np.float64]
Int = NDArray[np.int64]
# Pairs that a thread takes at once: enough to hide what a call costs, few enough that threads end together.
_PAIRS_AT_ONCE = 128


@dataclass(frozen=True, eq=False)
class Sweep:
    """Metrics of many runs.

    Attributes
    ----------
    table
        One row per run, columns as in `METRICS`, NaN where undefined; shape (n_runs, n_metrics).
    """

    table: Float

    def column(self, name: str) -> Float:
        """Return one metric of all runs, shape (n_runs,)."""
        found: Float = self.table[:, METRICS.index(name)]
        return found

    def metrics(self, index: int) -> Metrics:
        """Return the metrics of one run."""
        return Metrics.of_row(self.table[index])


@kernel
def _signals_of_crossing(fast: Any, slow: Any, signals: Any) -> None:
    """Write what `crossings` returns of two lines."""
    signals[0, 0] = 0
    for t in range(1, len(fast)):
        rises = (fast[t] > slow[t]) & (fast[t - 1] <= slow[t - 1])
        falls = (fast[t] < slow[t]) & (fast[t - 1] >= slow[t - 1])
        signals[t, 0] = np.int8(rises) - np.int8(falls)


@kernel
def _run_pairs(
    m: Any, clock: Any, r: Any, b: Any, q: Any, a: Any, fills: Any, trades: Any, out: Any, cash: float, lines: Any,
    pairs: Any, size: Any, periods: float, table: Any,
) -> None:  # fmt: skip
    """Run one symbol with the crossings of each pair of lines; ``table`` has one row per pair."""
    signals = np.zeros((lines.shape[1], 1), dtype=np.int8)
    none = np.empty((0, 0))
    for k in range(len(pairs)):
        _signals_of_crossing(lines[pairs[k, 0]], lines[pairs[k, 1]], signals)
        b[:] = 0.0
        a[:] = 0.0
        a[CASH] = cash
        simulate(m, clock, r, b, q, a, fills, trades, out, signals, none, size, none)
        summarise_equity(out[0], cash, periods, table[k])
        summarise_trades(out[0], a, periods, table[k])


def sweep_crossings(
    bars: MarketBars, lines: Float, pairs: Int, rules: TradingRules | None = None, *, threads: int = 2
) -> Sweep:
    """Trade the crossings of many pairs of lines, such as moving averages, in one symbol.

    Parameters
    ----------
    lines
        Shape (n_lines, n_bars), NaN where unknown.
    pairs
        Which line has to cross which: `BUY` where the first crosses above the second; shape (n_pairs, 2).

    Raises
    ------
    DataError
        If there is not exactly one symbol, or shapes do not fit.
    """
    rules = rules or TradingRules()
    if len(bars.symbols) != 1 or lines.ndim != 2 or lines.shape[1] != bars.num_bars:
        raise DataError("backtest.shape", name="lines", found=list(lines.shape), expected=["n_lines", bars.num_bars])
    unit, size = position_sizes(bars, rules.sizing, rules.exits)
    record, cash, periods = record_of(bars, rules, unit), rules.account.cash, bars.bars_per_year
    lines, pairs = np.ascontiguousarray(lines), np.ascontiguousarray(pairs, dtype=np.int64)
    table, fields, clock = np.empty((len(pairs), len(METRICS))), bars.fields, bars.clock

    def part(start: int) -> None:
        rows, state = slice(start, start + _PAIRS_AT_ONCE), new_state(bars.close.shape, cash)
        _run_pairs(fields, clock, record, *state, cash, lines, pairs[rows], size, periods, table[rows])

    _in_threads(part, range(0, len(pairs), _PAIRS_AT_ONCE), threads)
    return Sweep(table)


def sweep(
    bars: MarketBars,
    orders: Orders | Sequence[Orders],
    rules: TradingRules | Sequence[TradingRules],
    *,
    threads: int = 2,
) -> Sweep:
    """Run all orders under rules: one of them with each of the others, or the two side by side.

    Raises
    ------
    DataError
        If both are sequences of different lengths, or as in `run`.
    """
    several = [orders] if isinstance(orders, Orders) else list(orders)
    under = [rules] if isinstance(rules, TradingRules) else list(rules)
    count = max(len(several), len(under))
    several, under = (part * count if len(part) == 1 else part for part in (several, under))  # type: ignore[assignment]
    if len(several) != len(under):
        raise DataError("backtest.sweep_lengths", orders=len(several), rules=len(under))
    table, fields, clock, periods = np.empty((count, len(METRICS))), bars.fields, bars.clock, bars.bars_per_year

    def one(k: int) -> None:
        unit, size = position_sizes(bars, under[k].sizing, under[k].exits)
        values, cash = orders_of(several[k], bars), under[k].account.cash
        state = new_state(bars.close.shape, cash)
        record = record_of(bars, under[k], unit)
        simulate(fields, clock, record, *state, values.signals, values.weights, size, values.ranks)
        summarise_equity(state.out[0], cash, periods, table[k])
        summarise_trades(state.out[0], state.account, periods, table[k])

    _in_threads(one, range(count), threads)
    return Sweep(table)


def _in_threads(work: Callable[[int], None], items: Iterable[int], threads: int) -> None:
    """Do work for all items; kernels let go of the interpreter's lock."""
    if threads == 1:
        for item in items:
            work(item)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, items))
