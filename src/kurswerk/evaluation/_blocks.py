"""Bootstrap over instruments and over blocks of time, not over rows.

Neighbouring rows share most of their features and of their labels' windows, and instruments move together, so rows are
no independent witnesses: an interval that resamples rows is far too narrow. Instruments and time buckets are therefore
drawn with replacement, each as many as there are, and a row weighs ``(times its instrument was drawn) * (times its
bucket was drawn)`` (Owen, The pigeonhole bootstrap, Ann. Appl. Stat. 1(2), 2007; it errs on the wide side). A bucket
is::

    max(horizon, min(1 day, span of the data / 30))

so that a label's window touches at most two buckets, a day's mood stays together, and a short test still has buckets to
draw from. Fewer than five instruments are not drawn but kept as they are: the interval then speaks of these coins
alone; likewise fewer than five buckets. The interval holds the central share ``confidence`` of the replicates
(percentile interval).

On 69 days of 5-minute bars of 16 pairs the 95 % interval of a PR-AUC of 0.136 was 0.096 to 0.180; drawing (instrument,
day) pairs as if independent gave 0.122 to 0.152, and drawing days alone 0.103 to 0.177.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import DataError, SpecError
from kurswerk.core.timestamps import DAY_US, MINUTE_US

Float = NDArray[np.float64]
Int = NDArray[np.int64]

# Fewer instruments or buckets than this show nothing of the spread; more undefined replicates than this share neither.
MIN_DRAWN = 5
MAX_UNDEFINED_SHARE = 0.5

BUCKETS_PER_SPAN = 30


@dataclass(frozen=True)
class Estimate:
    """A value with its confidence interval; None where undefined, or where there is too little to draw from."""

    value: float | None
    low: float | None
    high: float | None

    def as_json(self) -> dict[str, float | None]:
        """Return the three numbers by name."""
        return {"value": self.value, "low": self.low, "high": self.high}

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval is known and lies on one side of zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are drawn: number of replicates, share of them inside the interval, and the seed."""

    replicates: int = 500
    confidence: float = 0.95
    random_state: int = 42

    def __post_init__(self) -> None:
        if self.replicates < 1:
            raise SpecError("evaluation.too_few_replicates", replicates=self.replicates)
        if not 0 < self.confidence < 1:
            raise SpecError("evaluation.confidence_out_of_range", confidence=self.confidence)


@dataclass(frozen=True, eq=False)
class Blocks:
    """The rows of one instrument in one time bucket are a block; all its rows share a weight.

    Attributes
    ----------
    codes
        Block of each row, in [0, count); shape (n_rows,).
    instrument, bucket
        Of each block, counted from 0 without gaps; shape (count,).
    bucket_us
        Width of a bucket in microseconds.
    """

    codes: Int
    instrument: Int
    bucket: Int
    bucket_us: int

    @property
    def count(self) -> int:
        """Number of blocks."""
        return len(self.instrument)

    @property
    def num_instruments(self) -> int:
        """Number of instruments."""
        return int(self.instrument.max()) + 1

    @property
    def num_buckets(self) -> int:
        """Number of time buckets with rows."""
        return int(self.bucket.max()) + 1

    @property
    def give_intervals(self) -> bool:
        """Whether there are enough instruments or buckets to draw from."""
        return max(self.num_instruments, self.num_buckets) >= MIN_DRAWN

    def sums(self, values: Float) -> Float:
        """Add up row values, shape (n_rows,), within each block; shape (count,)."""
        return np.bincount(self.codes, weights=values, minlength=self.count).astype(np.float64, copy=False)


def make_blocks(codes: Int, timestamps: Int, horizon_us: int = 0) -> Blocks:
    """Group rows into blocks of one instrument and one time bucket.

    Parameters
    ----------
    codes
        Instrument of each row, at least 0, shape (n_rows,).
    timestamps
        Time of each row, microseconds UTC, shape (n_rows,).
    horizon_us
        How far labels look ahead; a bucket is never narrower.

    Raises
    ------
    DataError
        If there are no rows, or lengths differ.

    Examples
    --------
    >>> hour = 3_600_000_000
    >>> blocks = make_blocks(np.array([0, 0, 3, 3]), np.array([0, 960, 0, 12]) * hour)
    >>> blocks.codes.tolist(), blocks.instrument.tolist(), blocks.bucket.tolist()
    ([0, 1, 2, 2], [0, 0, 1], [0, 1, 0])
    """
    if len(codes) != len(timestamps) or len(codes) == 0:
        raise DataError("evaluation.instruments_not_one_per_row", instruments=len(codes), timestamps=len(timestamps))
    start = int(timestamps.min())
    span = int(timestamps.max()) - start
    bucket_us = max(horizon_us, min(DAY_US, span // BUCKETS_PER_SPAN), 1)
    buckets = (timestamps - start) // bucket_us
    width = int(buckets.max()) + 1
    used, block = np.unique(codes.astype(np.int64) * width + buckets, return_inverse=True)
    return Blocks(block.astype(np.int64), _dense(used // width), _dense(used % width), bucket_us)


def _dense(values: Int) -> Int:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def draw(blocks: Blocks, bootstrap: Bootstrap, statistic: Callable[[Float], None]) -> None:
    """Call ``statistic`` with the weight of each block, shape (count,), once per replicate; same seed, same weights."""
    generator = np.random.default_rng(bootstrap.random_state)
    num_instruments, num_buckets = blocks.num_instruments, blocks.num_buckets
    for _ in range(bootstrap.replicates):
        of_instrument, of_bucket = _drawn(generator, num_instruments), _drawn(generator, num_buckets)
        statistic(of_instrument[blocks.instrument] * of_bucket[blocks.bucket])


def _drawn(generator: np.random.Generator, count: int) -> Float:
    if count < MIN_DRAWN:
        return np.ones(count)
    return np.bincount(generator.integers(0, count, count), minlength=count).astype(np.float64)


def estimates_of(
    values: Mapping[str, float], replicates: Mapping[str, Float], blocks: Blocks, bootstrap: Bootstrap
) -> dict[str, Estimate]:
    """Join values and their replicates into estimates; NaN is undefined."""
    return {name: _estimate(value, replicates[name], blocks, bootstrap) for name, value in values.items()}


def _estimate(value: float, replicates: Float, blocks: Blocks, bootstrap: Bootstrap) -> Estimate:
    if not np.isfinite(value):
        return Estimate(None, None, None)
    defined = replicates[np.isfinite(replicates)]
    if not blocks.give_intervals or len(defined) <= len(replicates) * MAX_UNDEFINED_SHARE:
        return Estimate(float(value), None, None)
    tail = (1 - bootstrap.confidence) / 2
    low, high = np.quantile(defined, (tail, 1 - tail))
    return Estimate(float(value), float(low), float(high))


def resampling_json(blocks: Blocks, bootstrap: Bootstrap) -> dict[str, Any]:
    """Describe how intervals were drawn, for the record and the report."""
    return {
        "unit": "instruments and time buckets, crossed",
        "instruments": blocks.num_instruments,
        "buckets": blocks.num_buckets,
        "blocks": blocks.count,
        "bucket_minutes": blocks.bucket_us / MINUTE_US,
        "replicates": bootstrap.replicates,
        "confidence": bootstrap.confidence,
        "random_state": bootstrap.random_state,
    }
