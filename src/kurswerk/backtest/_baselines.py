"""What a strategy is set beside: holding the market, and entries at random."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kurswerk.backtest._bars import MarketBars
from kurswerk.backtest._metrics import Metrics, bar_returns, metrics_of
from kurswerk.backtest._orders import Orders, Signals, TargetWeights, equal_weights
from kurswerk.backtest._result import Backtest
from kurswerk.backtest._rules import TradingRules
from kurswerk.backtest._run import run
from kurswerk.backtest._sweep import sweep

Float = NDArray[np.float64]

_REBALANCES_PER_YEAR = 12


@dataclass(frozen=True)
class RandomEntries:
    """Runs of the same orders at other times.

    Attributes
    ----------
    runs
        How many.
    total_return, sharpe
        Medians of them; None where undefined.
    beaten
        Share of them whose total return the strategy exceeds; near 0.5 its timing earned nothing.
    """

    runs: int
    total_return: float | None
    sharpe: float | None
    beaten: float


@dataclass(frozen=True)
class Comparison:
    """A strategy beside simple ones, all under its costs and its account.

    Attributes
    ----------
    buy_and_hold
        Every symbol of the first bar bought equally and kept.
    equal_weight
        All symbols that trade held equally, rebalanced twelve times a year.
    random_entries
        The strategy's own orders, shifted in time.
    alpha, beta
        Of the returns of bars against those of buy-and-hold, alpha a year; None if it did not move.
    """

    buy_and_hold: Metrics
    equal_weight: Metrics
    random_entries: RandomEntries
    alpha: float | None
    beta: float | None


def compare_with_baselines(
    done: Backtest, orders: Orders, *, runs: int = 200, random_state: int = 42, threads: int = 2
) -> Comparison:
    """Set a back-test beside buy-and-hold, equal weights and entries at random.

    For the latter the orders of all symbols are shifted by a random number of bars, those at the end coming round to
    the beginning: as many signals, in the same order and at the same distances, but without their moment.

    Parameters
    ----------
    orders
        What the back-test traded.
    """
    bars, rules = done.bars, done.rules
    plain = _held(rules)
    held = run(bars, _bought_once(bars), plain)
    every = max(1, round(bars.bars_per_year / _REBALANCES_PER_YEAR))
    equal = run(bars, equal_weights(bars, every=every), plain)
    alpha, beta = alpha_and_beta(bar_returns(done), bar_returns(held), bars.bars_per_year)
    random = _random_entries(done, orders, runs, random_state, threads)
    return Comparison(metrics_of(held), metrics_of(equal), random, alpha, beta)


def _held(rules: TradingRules) -> TradingRules:
    """Return rules without exits of their own, and with market orders."""
    execution = rules.execution.model_copy(update={"order": "market"})
    return TradingRules(account=rules.account, execution=execution, costs=rules.costs)


def _bought_once(bars: MarketBars) -> TargetWeights:
    values = np.full(bars.close.shape, np.nan)
    first = int(np.argmax(bars.present.any(axis=1)))
    there = bars.present[first]
    values[first, there] = 1.0 / there.sum()
    return TargetWeights(values)


def alpha_and_beta(returns: Float, market: Float, bars_per_year: float) -> tuple[float | None, float | None]:
    """Return the intercept a year and the slope of the least-squares line through returns against the market's.

    Examples
    --------
    >>> round(alpha_and_beta(np.array([0.03, 0.01]), np.array([0.02, 0.01]), 1.0)[1], 9)
    2.0
    """
    variance = float(np.mean((market - market.mean()) ** 2))
    if variance == 0:
        return None, None
    beta = float(np.mean((market - market.mean()) * (returns - returns.mean()))) / variance
    return float(returns.mean() - beta * market.mean()) * bars_per_year, beta


def _random_entries(done: Backtest, orders: Orders, runs: int, random_state: int, threads: int) -> RandomEntries:
    shifts = np.random.default_rng(random_state).integers(1, max(done.bars.num_bars, 2), runs)
    kind = Signals if isinstance(orders, Signals) else TargetWeights
    shifted = [kind(np.roll(orders.values, int(shift), axis=0)) for shift in shifts]
    found = sweep(done.bars, shifted, done.rules, threads=threads)
    total, sharpe = found.column("total_return"), found.column("sharpe")
    own = done.equity[-1] / done.rules.account.cash - 1.0
    known = sharpe[np.isfinite(sharpe)]
    return RandomEntries(
        runs=runs,
        total_return=float(np.median(total)),
        sharpe=float(np.median(known)) if len(known) else None,
        beaten=float(np.mean(total < own)),
    )
