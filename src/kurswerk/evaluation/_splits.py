"""Walk-forward folds by time, with training rows removed whose labels reach the test."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import DataError, SpecError
from kurswerk.core.timestamps import format_timestamp

Int = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Fold:
    """One step of a walk forward.

    Attributes
    ----------
    train, test
        Row indices, ascending; int64.
    test_start_us, test_end_us
        First and last moment of the test rows, microseconds UTC.
    purged
        Number of earlier rows left out of training because their label reaches the test or its embargo.
    """

    train: Int
    test: Int
    test_start_us: int
    test_end_us: int
    purged: int


def purged_walk_forward(timestamps: Int, label_end_us: Int, n_splits: int = 5, embargo_us: int | Int = 0) -> list[Fold]:
    """Cut rows of all instruments together into folds that only ever test on what came after training.

    The distinct times are cut into ``n_splits + 1`` blocks of about equal row counts, equal times never parted. Fold
    k trains on the blocks before block k and tests on block k. A training row is purged if its label looks at or past
    ``test start - embargo`` (López de Prado, Advances in Financial Machine Learning, 2018, ch. 7).

    Parameters
    ----------
    timestamps
        Time of each row, microseconds UTC, in any order; shape (n_rows,).
    label_end_us
        Moment up to which each row's label looks, shape (n_rows,).
    n_splits
        Number of folds, at least 1.
    embargo_us
        Extra distance between the labels of training and the first test row, at least 0: one for all rows, or one for
        each, shape (n_rows,).

    Returns
    -------
    list of Fold
        In order of time.

    Raises
    ------
    SpecError
        If n_splits or embargo_us is out of range.
    DataError
        If there are too few distinct times, or purging leaves a fold without training rows.

    Examples
    --------
    >>> times = np.arange(6)
    >>> [(fold.train.tolist(), fold.test.tolist()) for fold in purged_walk_forward(times, times + 1, n_splits=2)]
    [([0], [2, 3]), ([0, 1, 2], [4, 5])]
    """
    if n_splits < 1:
        raise SpecError("evaluation.too_few_splits", splits=n_splits)
    if np.min(embargo_us, initial=0) < 0:
        raise SpecError("evaluation.negative_embargo", embargo=int(np.min(embargo_us)))
    times, ends = _moments(timestamps, label_end_us)
    distinct, counts = _distinct(times, n_splits)
    starts = _block_starts(counts, n_splits + 1)
    bounds = np.append(distinct[starts], distinct[-1] + 1)
    return [
        _fold(times, ends, int(bounds[k]), int(bounds[k + 1]), embargo_us, number=k) for k in range(1, n_splits + 1)
    ]


def purged_hold_out(timestamps: Int, label_end_us: Int, share: float = 0.2, embargo_us: int | Int = 0) -> Fold:
    """Return one fold that tests on about the last ``share`` of the rows and trains on those before.

    Equal times are never parted; purged as in :func:`purged_walk_forward`, with the same arrays and errors.

    Examples
    --------
    >>> times = np.arange(10)
    >>> fold = purged_hold_out(times, times + 1, share=0.2)
    >>> fold.train.tolist(), fold.test.tolist(), fold.purged
    ([0, 1, 2, 3, 4, 5, 6], [8, 9], 1)
    """
    times, ends = _moments(timestamps, label_end_us)
    distinct, counts = _distinct(times, 1)
    before = np.cumsum(counts)[:-1]
    start = distinct[1 + int(np.argmin(np.abs(before - (1 - share) * len(times))))]
    return _fold(times, ends, int(start), int(distinct[-1]) + 1, embargo_us, number=1)


def _moments(timestamps: Int, label_end_us: Int) -> tuple[Int, Int]:
    times, ends = np.asarray(timestamps, dtype=np.int64), np.asarray(label_end_us, dtype=np.int64)
    if len(times) != len(ends):
        raise DataError("evaluation.label_ends_not_one_per_row", timestamps=len(times), label_ends=len(ends))
    return times, ends


def _distinct(times: Int, n_splits: int) -> tuple[Int, Int]:
    """Return the distinct times and how many rows each has."""
    distinct, counts = np.unique(times, return_counts=True)
    if len(distinct) < n_splits + 1:
        raise DataError(
            "evaluation.too_few_times_for_folds",
            rows=len(times),
            times=len(distinct),
            folds=n_splits,
            least=n_splits + 1,
        )
    return distinct, counts


def _block_starts(counts: Int, n_blocks: int) -> list[int]:
    """Index of the distinct time each block starts with: nearest to equal row counts, every block non-empty."""
    before = np.concatenate(([0], np.cumsum(counts)))
    starts = [0]
    for k in range(1, n_blocks):
        lowest, highest = starts[-1] + 1, len(counts) - (n_blocks - k)
        wanted = k * before[-1] / n_blocks
        starts.append(lowest + int(np.argmin(np.abs(before[lowest : highest + 1] - wanted))))
    return starts


def _fold(times: Int, ends: Int, test_start: int, test_stop: int, embargo_us: int | Int, *, number: int) -> Fold:
    earlier = times < test_start
    kept = earlier & (ends < test_start - embargo_us)
    train, test = np.flatnonzero(kept), np.flatnonzero((times >= test_start) & (times < test_stop))
    if len(train) == 0:
        raise DataError(
            "evaluation.fold_without_training_rows",
            fold=number,
            rows=int(earlier.sum()),
            start=format_timestamp(test_start),
        )
    return Fold(train, test, test_start, int(times[test].max()), int(earlier.sum()) - len(train))
