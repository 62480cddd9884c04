"""Properties of the purged walk forward."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kurswerk.core.errors import DataError, SpecError
from kurswerk.evaluation import Fold, purged_hold_out, purged_walk_forward

times_strategy = st.lists(st.integers(0, 60), min_size=2, max_size=80)


def folds_or_none(times: np.ndarray, ends: np.ndarray, n_splits: int, embargo: int) -> list[Fold] | None:
    try:
        return purged_walk_forward(times, ends, n_splits, embargo)
    except DataError:
        return None


@settings(max_examples=300, deadline=None)
@given(times_strategy, st.integers(0, 9), st.integers(1, 6), st.integers(0, 8))
def test_properties(raw: list[int], horizon: int, n_splits: int, embargo: int) -> None:
    times = np.array(raw)
    ends = times + horizon
    folds = folds_or_none(times, ends, n_splits, embargo)
    assume(folds is not None)
    assert len(folds) == n_splits
    tested = np.concatenate([fold.test for fold in folds])
    assert len(np.unique(tested)) == len(tested)
    untested = np.setdiff1d(np.arange(len(times)), tested)
    assert times[untested].max() < folds[0].test_start_us
    for fold in folds:
        assert fold.train.dtype == fold.test.dtype == np.int64
        assert (np.diff(fold.train) > 0).all()
        assert (np.diff(fold.test) > 0).all()
        assert fold.test_start_us == times[fold.test].min()
        assert fold.test_end_us == times[fold.test].max()
        assert ends[fold.train].max() + embargo < fold.test_start_us
        earlier = np.flatnonzero(times < fold.test_start_us)
        kept = [i for i in earlier if ends[i] + embargo < fold.test_start_us]
        assert fold.train.tolist() == kept
        assert fold.purged == len(earlier) - len(kept)
    for before, after in itertools.pairwise(folds):
        assert before.test_end_us < after.test_start_us


@settings(max_examples=200, deadline=None)
@given(times_strategy, st.integers(0, 9), st.floats(0.01, 0.99), st.integers(0, 8))
def test_properties_of_a_hold_out(raw: list[int], horizon: int, share: float, embargo: int) -> None:
    times = np.array(raw)
    ends = times + horizon
    try:
        fold = purged_hold_out(times, ends, share, embargo)
    except DataError:
        fold = None
    starts = sorted(set(raw))[1:]
    sizes = [abs(sum(one >= start for one in raw) - share * len(raw)) for start in starts]
    if fold is None:
        start = starts[int(np.argmin(sizes))] if starts else 0
        assert not [i for i, end in enumerate(ends) if times[i] < start and end + embargo < start]
        return
    assert fold.test.tolist() == [i for i, one in enumerate(raw) if one >= fold.test_start_us]
    assert fold.train.tolist() == [i for i, end in enumerate(ends) if end + embargo < fold.test_start_us > times[i]]
    assert fold.purged == len(raw) - len(fold.train) - len(fold.test)
    assert fold.test_end_us == max(raw)
    assert sizes[starts.index(fold.test_start_us)] == pytest.approx(min(sizes))


@settings(max_examples=100, deadline=None)
@given(times_strategy, st.integers(1, 5), st.permutations(range(80)))
def test_order_of_rows_does_not_matter(raw: list[int], n_splits: int, order: list[int]) -> None:
    times = np.array(raw)
    shuffle = np.array([i for i in order if i < len(times)])
    folds = folds_or_none(times, times, n_splits, 0)
    assume(folds is not None)
    for fold, other in zip(folds, purged_walk_forward(times[shuffle], times[shuffle], n_splits, 0), strict=True):
        assert np.array_equal(np.sort(shuffle[other.train]), fold.train)
        assert np.array_equal(np.sort(shuffle[other.test]), fold.test)


def test_blocks_hold_about_equal_row_counts() -> None:
    times = np.concatenate([np.arange(600), np.arange(500, 600)])  # a second coin that lives later
    folds = purged_walk_forward(times, times, 6)
    assert all(abs(len(fold.test) - 100) <= 1 for fold in folds)


def test_one_crowded_time_does_not_empty_a_block() -> None:
    times = np.array([5] * 100 + [1, 2, 6])
    folds = purged_walk_forward(times, times, 3)
    assert [len(fold.test) for fold in folds] == [1, 100, 1]


@pytest.mark.parametrize(
    ("times", "options", "error", "message"),
    [
        (np.arange(5), {"n_splits": 0}, SpecError, "cv_splits is 0"),
        (np.arange(5), {"embargo_us": -1}, SpecError, "must not be negative"),
        (np.arange(3), {"n_splits": 3}, DataError, "at least 4 times are needed"),
        (np.zeros(50, dtype=int), {"n_splits": 1}, DataError, "1 distinct times cannot make 1 folds"),
        (np.arange(0), {}, DataError, "0 labelled rows"),
        (np.arange(20), {"embargo_us": 100}, DataError, "fold 1 has no training rows left"),
    ],
)
def test_refused(times: np.ndarray, options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        purged_walk_forward(times, times, **options)


def test_lengths_differ() -> None:
    with pytest.raises(DataError, match="5 timestamps but 4 label ends"):
        purged_walk_forward(np.arange(5), np.arange(4), 1)
