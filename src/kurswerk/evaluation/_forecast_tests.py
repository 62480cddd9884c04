"""Two tests of forecasts that know how labels overlap: of a difference in loss, and of a rank correlation by moment.

Rows of one moment share the market's mood, and rows whose horizons overlap share most of what happened. Both tests
therefore reduce the rows of a moment to one number, and take the error of the mean of these numbers from a sum that
admits correlation over as many moments as a horizon spans (Newey and West, Econometrica 55, 1987).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.jit import kernel

Float = NDArray[np.float64]
Int = NDArray[np.int64]

ALPHA = 0.05
# With fewer, neither a variance nor a lag means anything.
LEAST_MOMENTS = 10
# A rank correlation of fewer instruments is hardly one.
LEAST_RANKED = 5


@dataclass(frozen=True, eq=False)
class Moments:
    """The distinct moments of rows, and how far their horizons reach.

    Attributes
    ----------
    of_row
        Index of each row's moment, shape (n_rows,).
    count
        Number of moments.
    span
        Most moments that begin before the horizon of an earlier one has ended: h of an h-step forecast, at least 1.
    """

    of_row: Int
    count: int
    span: int

    @classmethod
    def of(cls, timestamps: Int, end_us: Int) -> "Moments":
        """Group rows by their time; both arrays in microseconds, shape (n_rows,)."""
        distinct, of_row = np.unique(timestamps, return_inverse=True)
        ends = np.zeros(len(distinct), dtype=np.int64)
        np.maximum.at(ends, of_row, end_us)
        reached = np.searchsorted(distinct, ends, side="left") - np.arange(len(distinct))
        return cls(of_row.astype(np.int64), len(distinct), max(1, int(reached.max(initial=1))))

    def means(self, values: Float) -> Float:
        """Return the mean of the rows of each moment, shape (count,)."""
        sums = np.bincount(self.of_row, weights=values, minlength=self.count)
        mean: Float = sums / np.bincount(self.of_row, minlength=self.count)
        return mean

    def lag(self, count: int) -> int:
        """Return over how many moments correlation is admitted: a horizon's, at least Newey and West's rule."""
        rule = math.floor(4.0 * math.pow(count / 100, 2 / 9))
        return min(max(self.span - 1, rule), max(count - 2, 0))


def long_run_variance(values: Float, lag: int) -> float:
    """Return the variance of sqrt(n) times the mean, autocovariances weighed by 1 - k / (lag + 1); never negative.

    Examples
    --------
    >>> long_run_variance(np.array([1.0, -1.0, 1.0, -1.0]), 0)
    1.0
    """
    centred = values - values.mean()
    found = float(centred @ centred)
    for k in range(1, lag + 1):
        found += 2 * (1 - k / (lag + 1)) * float(centred[k:] @ centred[:-k])
    return max(found, 0.0) / len(values)


@dataclass(frozen=True)
class DieboldMariano:
    """Whether two forecasts err equally, by the mean difference of their losses over moments.

    Attributes
    ----------
    difference
        Mean loss of the first less that of the second; below 0 the first is better.
    statistic, p_value
        Two-sided; None where there are too few moments, or the losses are equal everywhere.
    moments, lag
        How many numbers were averaged, and over how many correlation was admitted.
    """

    difference: float
    statistic: float | None
    p_value: float | None
    moments: int
    lag: int

    @property
    def better(self) -> str | None:
        """``first`` or ``second`` where the difference is more than luck."""
        if self.p_value is None or self.p_value >= ALPHA:
            return None
        return "first" if self.difference < 0 else "second"

    def as_json(self) -> dict[str, Any]:
        """Return the fields by name, and which is better."""
        return {
            "difference": self.difference,
            "statistic": self.statistic,
            "p_value": self.p_value,
            "moments": self.moments,
            "lag": self.lag,
            "better": self.better,
        }


def diebold_mariano(first: Float, second: Float, moments: Moments) -> DieboldMariano:
    """Test whether two forecasts have the same expected loss.

    The statistic is corrected for short samples and held against Student's t (Diebold and Mariano, J. Bus. Econ. Stat.
    13, 1995; Harvey, Leybourne and Newbold, Int. J. Forecasting 13, 1997).

    Parameters
    ----------
    first, second
        Loss of each row, such as its squared error, shape (n_rows,).
    moments
        Of the same rows.
    """
    losses = moments.means(first - second)
    count, lag = len(losses), moments.lag(len(losses))
    difference = float(losses.mean())
    variance = long_run_variance(losses, lag)
    if count < LEAST_MOMENTS or variance == 0.0:
        return DieboldMariano(difference, None, None, count, lag)
    span = min(moments.span, count)
    correction = max((count + 1 - 2 * span + span * (span - 1) / count) / count, 0.0)
    statistic = difference / math.sqrt(variance / count) * math.sqrt(correction)
    return DieboldMariano(difference, statistic, _two_sided(statistic, count - 1), count, lag)


def information_coefficient(forecast: Float, actual: Float, moments: Moments) -> dict[str, Any] | None:
    """Return the mean rank correlation across instruments by moment; None with too few instruments or moments.

    Returns
    -------
    dict
        ``mean`` in [-1, 1], its ``t`` with ``p_value``, the ``share_positive`` and number of ``moments``.
    """
    order = np.argsort(moments.of_row, kind="stable")
    bounds = np.searchsorted(moments.of_row[order], np.arange(moments.count + 1))
    found = rank_correlations(bounds.astype(np.int64), forecast[order], actual[order], LEAST_RANKED)
    known = found[np.isfinite(found)]
    if len(known) < LEAST_MOMENTS:
        return None
    mean = float(known.mean())
    error = math.sqrt(long_run_variance(known, moments.lag(len(known))) / len(known))
    t = mean / error if error > 0 else None
    return {
        "mean": mean,
        "t": t,
        "p_value": None if t is None else _two_sided(t, len(known) - 1),
        "share_positive": float((known > 0).mean()),
        "moments": len(known),
    }


def _two_sided(statistic: float, freedom: int) -> float:
    from scipy.special import stdtr  # type: ignore[import-untyped]  # noqa: PLC0415 - a server judges nothing

    return float(2 * stdtr(freedom, -abs(statistic)))


@kernel
def _ranks(values: Float) -> Float:
    """Return ranks from 1, equal values sharing the mean of theirs."""
    order = np.argsort(values)
    ranks = np.empty(len(values))
    start = 0
    while start < len(values):
        stop = start + 1
        while stop < len(values) and values[order[stop]] == values[order[start]]:
            stop += 1
        for k in range(start, stop):
            ranks[order[k]] = 0.5 * (start + stop + 1)
        start = stop
    return ranks


@kernel
def rank_correlations(bounds: Int, first: Float, second: Float, least: int) -> Float:
    """Return Spearman's correlation in each group of rows, NaN with fewer than ``least`` rows or without variation."""
    found = np.full(len(bounds) - 1, np.nan)
    for k in range(len(bounds) - 1):
        if bounds[k + 1] - bounds[k] < least:
            continue
        a = _ranks(first[bounds[k] : bounds[k + 1]])
        b = _ranks(second[bounds[k] : bounds[k + 1]])
        a -= a.mean()
        b -= b.mean()
        scale = (a * a).sum() * (b * b).sum()
        if scale > 0:
            found[k] = (a * b).sum() / np.sqrt(scale)
    return found
