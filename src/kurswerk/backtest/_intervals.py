"""How much of a result may be chance: block-bootstrap intervals and the deflated Sharpe ratio."""

from dataclasses import dataclass
from math import cbrt, e, sqrt
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kurswerk.backtest._metrics import METRICS, OF_EQUITY, bar_returns, summarise_equity
from kurswerk.backtest._result import Backtest
from kurswerk.core.errors import SpecError
from kurswerk.core.jit import kernel

Float = NDArray[np.float64]
Int = NDArray[np.int64]

# Of the Gumbel distribution, which the largest of many normal numbers tends to.
_EULER_GAMMA: Final = 0.5772156649015329
_NORMAL: Final = NormalDist()


@dataclass(frozen=True)
class Interval:
    """A value with its confidence interval; None where undefined."""

    value: float | None
    low: float | None
    high: float | None

    def as_json(self) -> dict[str, float | None]:
        """Return the three numbers by name."""
        return {"value": self.value, "low": self.low, "high": self.high}


@kernel
def _resampled(returns: Any, starts: Any, block: int, cash: float, periods: float, table: Any) -> None:
    """Write the metrics of equity curves made of blocks of returns, one row for each row of starts."""
    n = len(returns)
    equity = np.empty(n)
    for k in range(starts.shape[0]):
        value = cash
        for t in range(n):
            value *= 1.0 + returns[(starts[k, t // block] + t % block) % n]
            equity[t] = value
        summarise_equity(equity, cash, periods, table[k])


def block_length(num_bars: int) -> int:
    """Return how many bars a block has: the cube root of their number, as is usual for means, and at least 5.

    Examples
    --------
    >>> block_length(27_000), block_length(10)
    (30, 5)
    """
    return max(5, round(cbrt(num_bars)))


def intervals(
    done: Backtest, *, replicates: int = 500, confidence: float = 0.95, random_state: int = 42
) -> dict[str, Interval]:
    """Return intervals of the metrics that follow from the equity.

    Blocks of the returns of successive bars are drawn with replacement, around the end of the period (circular block
    bootstrap), so that volatility that comes in clusters stays together; the interval holds the central share
    ``confidence`` of the replicates. It states what other orders of the same market would have brought, not what other
    markets would.

    Raises
    ------
    SpecError
        If the number of replicates or the confidence is out of range.

    References
    ----------
    Politis and Romano (1992), "A circular block-resampling procedure for stationary data".
    """
    if replicates < 1 or not 0 < confidence < 1:
        raise SpecError("backtest.bad_bootstrap", replicates=replicates, confidence=confidence)
    returns, cash, periods = bar_returns(done), done.rules.account.cash, done.bars.bars_per_year
    n, block = len(returns), block_length(len(returns))
    starts = np.random.default_rng(random_state).integers(0, n, (replicates, -(-n // block)))
    table, row = np.empty((replicates, len(METRICS))), np.empty(len(METRICS))
    _resampled(returns, starts, block, cash, periods, table)
    summarise_equity(done.equity, cash, periods, row)
    tail = (1 - confidence) / 2
    found = {}
    for k, name in enumerate(METRICS[:OF_EQUITY]):
        defined = table[np.isfinite(table[:, k]), k]
        known = np.isfinite(row[k]) and 2 * len(defined) > replicates
        low, high = np.quantile(defined, (tail, 1 - tail)) if known else (np.nan, np.nan)
        found[name] = Interval(
            float(row[k]) if np.isfinite(row[k]) else None,
            float(low) if known else None,
            float(high) if known else None,
        )
    return found


@dataclass(frozen=True)
class DeflatedSharpe:
    """How likely a Sharpe ratio is more than the best of so many worthless variants.

    Attributes
    ----------
    sharpe
        Of the year, as in `Metrics`.
    expected_best
        The Sharpe ratio a year that the best of ``trials`` variants without any skill is expected to show.
    probability
        That the true Sharpe ratio is above it; below 0.95 the result may well come from the choice among variants.
    trials
        How many variants were tried.
    """

    sharpe: float
    expected_best: float
    probability: float
    trials: int


def deflated_sharpe(done: Backtest, trials: int, sharpes: Float | None = None) -> DeflatedSharpe | None:
    """Return the deflated Sharpe ratio of a result that was chosen among several variants; None where undefined.

    Parameters
    ----------
    trials
        How many variants were tried, this one included.
    sharpes
        Sharpe ratios a year of the variants, such as ``sweep(…).column("sharpe")``; without them they are taken to
        scatter as those of unskilled strategies do: by 1 / sqrt(n) for each bar.

    Raises
    ------
    SpecError
        If there is not at least one trial.

    References
    ----------
    Bailey and López de Prado (2014), "The deflated Sharpe ratio", equations 1, 2 and 9.
    """
    if trials < 1:
        raise SpecError("backtest.no_trials", trials=trials)
    returns, scale = bar_returns(done), sqrt(done.bars.bars_per_year)
    n, spread = len(returns), float(returns.std())
    if n < 3 or spread == 0:
        return None
    standard = (returns - returns.mean()) / spread
    skew, kurtosis = float((standard**3).mean()), float((standard**4).mean())
    sharpe = float(returns.mean() / returns.std(ddof=1))
    known = np.empty(0) if sharpes is None else sharpes[np.isfinite(sharpes)]
    scatter = float(known.std(ddof=1)) / scale if len(known) > 1 else 1 / sqrt(n)
    best = scatter * expected_maximum(trials)
    probability = probability_above(sharpe, best, n, skew, kurtosis)
    return DeflatedSharpe(sharpe * scale, best * scale, probability, trials)


def probability_above(sharpe: float, other: float, count: int, skew: float, kurtosis: float) -> float:
    """Return how likely the true Sharpe ratio of a bar is above another, by so many returns of this shape.

    The example of the paper, with a Sharpe ratio of 2.5 a year in five years of 250 days and 0.1132 as the other:

    >>> round(probability_above(2.5 / sqrt(250), 0.1132, 1250, -3.0, 10.0), 3)
    0.9
    """
    variance = max(1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2, 1e-12)
    return _NORMAL.cdf((sharpe - other) * sqrt(count - 1) / sqrt(variance))


def expected_maximum(trials: int) -> float:
    """Return about what the largest of so many independent standard normal numbers is on average; 0 of one.

    Examples
    --------
    >>> round(expected_maximum(100), 2), expected_maximum(1)
    (2.53, 0.0)
    """
    if trials == 1:
        return 0.0
    first, second = _NORMAL.inv_cdf(1 - 1 / trials), _NORMAL.inv_cdf(1 - 1 / (trials * e))
    return (1 - _EULER_GAMMA) * first + _EULER_GAMMA * second
