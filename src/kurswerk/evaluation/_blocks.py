"""Bootstrap over blocks of one instrument and one stretch of time.

Neighbouring rows share most of their features and of their labels' windows, so rows are no independent witnesses: an
interval that resamples rows is far too narrow. Whole blocks (instrument, time bucket) are drawn with replacement
instead, as many as there are (block bootstrap: Davison and Hinkley, Bootstrap Methods and their Application, 1997,
ch. 3.8 and 8.2; cluster form: Field and Welsh, J. R. Stat. Soc. B 69, 2007). A bucket is::

    max(horizon, min(1 day, span of the data / 30))

so that a label's window touches at most two blocks, a day's mood stays together, and a short test still has blocks to
draw from. The interval holds the central share ``confidence`` of the replicates (percentile interval). What moves all
instruments at once for longer than a bucket is not in it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import DataError, SpecError
from kurswerk.core.timestamps import DAY_US

Float = NDArray[np.float64]
Int = NDArray[np.int64]

# Fewer blocks than this say nothing about spread; more undefined replicates than this share neither.
MIN_BLOCKS = 5
MAX_UNDEFINED_SHARE = 0.5

BUCKETS_PER_SPAN = 30


@dataclass(frozen=True)
class Estimate:
    """A value with its confidence interval; None where undefined, or where too few blocks give no interval."""

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
            raise SpecError(f"bootstrap replicates is {self.replicates}; it must be at least 1")
        if not 0 < self.confidence < 1:
            raise SpecError(f"confidence is {self.confidence}; it must lie between 0 and 1")


@dataclass(frozen=True, eq=False)
class Blocks:
    """The block of each row: ``codes`` in [0, count), shape (n_rows,), and the width of a time bucket."""

    codes: Int
    count: int
    bucket_us: int

    def sums(self, values: Float) -> Float:
        """Add up row values, shape (n_rows,), within each block; shape (count,)."""
        return np.bincount(self.codes, weights=values, minlength=self.count).astype(np.float64, copy=False)


def make_blocks(codes: Int, timestamps: Int, horizon_us: int = 0) -> Blocks:
    """Group rows into blocks of one instrument and one time bucket.

    Parameters
    ----------
    codes
        Instrument of each row, shape (n_rows,).
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
    >>> make_blocks(np.array([0, 0, 1, 1]), np.array([0, 960, 0, 12]) * hour).codes.tolist()
    [0, 1, 2, 2]
    """
    if len(codes) != len(timestamps) or len(codes) == 0:
        raise DataError(f"{len(codes)} instruments and {len(timestamps)} timestamps; give one of each per row")
    start = int(timestamps.min())
    span = int(timestamps.max()) - start
    bucket_us = max(horizon_us, min(DAY_US, span // BUCKETS_PER_SPAN), 1)
    buckets = (timestamps - start) // bucket_us
    width = int(buckets.max()) + 1
    used, block = np.unique(codes.astype(np.int64) * width + buckets, return_inverse=True)
    return Blocks(block.astype(np.int64), len(used), bucket_us)


def draw(blocks: Blocks, bootstrap: Bootstrap, statistic: Callable[[Float], None]) -> None:
    """Call ``statistic`` with the weight of each block, shape (count,), once per replicate; same seed, same weights."""
    generator = np.random.default_rng(bootstrap.random_state)
    for _ in range(bootstrap.replicates):
        drawn = generator.integers(0, blocks.count, blocks.count)
        statistic(np.bincount(drawn, minlength=blocks.count).astype(np.float64))


def estimates_of(
    values: Mapping[str, float], replicates: Mapping[str, Float], blocks: Blocks, bootstrap: Bootstrap
) -> dict[str, Estimate]:
    """Join values and their replicates into estimates; NaN is undefined."""
    return {name: _estimate(value, replicates[name], blocks, bootstrap) for name, value in values.items()}


def _estimate(value: float, replicates: Float, blocks: Blocks, bootstrap: Bootstrap) -> Estimate:
    if not np.isfinite(value):
        return Estimate(None, None, None)
    defined = replicates[np.isfinite(replicates)]
    if blocks.count < MIN_BLOCKS or len(defined) <= len(replicates) * MAX_UNDEFINED_SHARE:
        return Estimate(float(value), None, None)
    tail = (1 - bootstrap.confidence) / 2
    low, high = np.quantile(defined, (tail, 1 - tail))
    return Estimate(float(value), float(low), float(high))
