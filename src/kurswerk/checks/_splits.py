"""Properties of splits: training lies before testing, with room for the labels and the embargo in between."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kurswerk.checks._evidence import Effort, Evidence, Finding, Place, PropertyCheck, examine_all
from kurswerk.checks.ports import FoldRows, Int, SplitFunction
from kurswerk.core.errors import KurswerkError
from kurswerk.core.timestamps import format_timestamp


@dataclass(frozen=True, eq=False)
class SplitCase:
    """A way to cut folds, and the rows it is tried on: times, ends of the labels, and embargoes (microseconds)."""

    split: SplitFunction
    timestamps: Int
    label_end_us: Int
    embargo_us: Int


def split_checks(
    split: Callable[[Int, Int], Sequence[FoldRows]],
    timestamps: Int,
    label_end_us: Int,
    embargo_us: int,
    random_state: int = 0,
    *,
    name: str = "split",
    effort: Effort | None = None,
) -> Iterator[Finding]:
    """Try all properties of splits on the given rows, and on random parts of them.

    Parameters
    ----------
    split
        (timestamps, label_end_us) → folds.
    timestamps, label_end_us
        Moment of each row and moment up to which its label looks; shape (n,), in any order.
    embargo_us
        Declared gap between the end of a training label and the start of the test part, the same for all rows.

    Yields
    ------
    Finding
        One for each property of ``SPLIT_PROPERTIES``.
    """
    same = np.full(len(timestamps), embargo_us, dtype=np.int64)
    case = SplitCase(lambda times, ends, _: split(times, ends), timestamps, label_end_us, same)
    yield from examine_all(SPLIT_PROPERTIES, case, name, random_state, effort)


def _cases(case: SplitCase, evidence: Evidence) -> Iterator[tuple[Int, Int, Sequence[FoldRows]]]:
    """Yield times, moments that labels reach with their embargo, and folds.

    Of all rows first, then of random parts in random order.
    """
    for trial in evidence.rounds():
        rows = np.arange(len(case.timestamps))
        if trial:
            rows = evidence.rng.permutation(rows)[: max(len(rows) * 7 // 10, 1)]
        times, ends, embargo_us = case.timestamps[rows], case.label_end_us[rows], case.embargo_us[rows]
        try:
            folds = case.split(times, ends, embargo_us)
        except KurswerkError:
            if trial:
                continue  # a part of the rows may be too short to be cut
            raise
        evidence.require(len(folds) > 0, f"{len(rows)} rows give no fold")
        yield (
            times,
            np.maximum(ends + 1, ends + embargo_us),
            [fold for k, fold in enumerate(folds) if _in_range(evidence, k, fold, len(times))],
        )


def _in_range(evidence: Evidence, number: int, fold: FoldRows, n: int) -> bool:
    """Return whether a fold has rows on both sides and all of them exist, after noting what is wrong."""
    for part, rows in (("training", fold.train), ("test", fold.test)):
        evidence.require(len(rows) > 0, f"fold {number} has no {part} rows")
        outside = rows[(rows < 0) | (rows >= n)]
        evidence.require(outside.size == 0, f"fold {number}: {part} row {outside[:1].tolist()} is not among {n} rows")
        if outside.size or not len(rows):
            return False
    return True


def _wrong(evidence: Evidence, number: int, rows: Int, wrong: NDArray[Any], times: Int, what: str) -> None:
    evidence.values_compared += len(rows)
    if wrong.any():
        row = int(rows[int(np.argmax(wrong))])
        evidence.require(
            False,
            f"fold {number}: {int(wrong.sum())} of {len(rows)} {what}, first row {row} at "
            f"{format_timestamp(int(times[row]))}",
        )


def _purged(case: SplitCase, evidence: Evidence) -> None:
    longest = int(np.max(case.embargo_us, initial=0))
    gap = f" less the embargo of {longest / 6e7:g} minutes" if longest else ""
    for times, reached, folds in _cases(case, evidence):
        for number, fold in enumerate(folds):
            start = _test_start(fold, times)
            what = f"training labels reach the test part from {format_timestamp(start)}"
            _wrong(evidence, number, fold.train, reached[fold.train] > start, times, what + gap)


def _ordered(case: SplitCase, evidence: Evidence) -> None:
    for times, _, folds in _cases(case, evidence):
        starts = [_test_start(fold, times) for fold in folds]
        evidence.require(starts == sorted(starts), "the test parts do not follow each other in time")
        for number, fold in enumerate(folds):
            start = starts[number]
            _wrong(evidence, number, fold.train, times[fold.train] >= start, times, "training rows lie in or after "
                   f"the test part from {format_timestamp(start)}")  # fmt: skip


def _disjoint(case: SplitCase, evidence: Evidence) -> None:
    for times, _, folds in _cases(case, evidence):
        tested_before = np.zeros(len(times), dtype=bool)
        for number, fold in enumerate(folds):
            for part, rows in (("training", fold.train), ("test", fold.test)):
                twice = int(np.bincount(rows).max()) > 1
                evidence.require(not twice, f"fold {number} holds a {part} row twice")
            tested = np.zeros(len(times), dtype=bool)
            tested[fold.test] = True
            _wrong(evidence, number, fold.train, tested[fold.train], times, "training rows are tested too")
            _wrong(evidence, number, fold.test, tested_before[fold.test], times, "rows are tested in a fold before")
            tested_before |= tested


def _repeatable(case: SplitCase, evidence: Evidence) -> None:
    first = case.split(case.timestamps, case.label_end_us, case.embargo_us)
    for _ in evidence.rounds():
        again = case.split(case.timestamps, case.label_end_us, case.embargo_us)
        evidence.require(len(again) == len(first), f"{len(again)} folds where there were {len(first)}")
        for number, (left, right) in enumerate(zip(first, again, strict=False)):
            for rows, others in ((left.train, right.train), (left.test, right.test)):
                evidence.equal(np.asarray(rows), np.asarray(others), _entry(number), "cut again")


def _entry(number: int) -> Place:
    return lambda index: f"fold {number}, entry {index[0]}"


def _test_start(fold: FoldRows, times: Int) -> int:
    """Return where the test part begins: as declared, or at its first row if that is earlier."""
    return min(int(fold.test_start_us), int(times[fold.test].min()))


SPLIT_PURGED = PropertyCheck("purge", "no training label reaches the test part or the embargo before it", _purged)
SPLIT_ORDERED = PropertyCheck(
    "fold_order", "training rows lie before the test part, folds follow each other in time", _ordered
)
SPLIT_DISJOINT = PropertyCheck("fold_disjoint", "no row is trained on and tested, or tested twice", _disjoint)
SPLIT_REPEATABLE = PropertyCheck("fold_repeatable", "the same rows give the same folds", _repeatable)

SPLIT_PROPERTIES: tuple[PropertyCheck[SplitCase], ...] = (SPLIT_PURGED, SPLIT_ORDERED, SPLIT_DISJOINT, SPLIT_REPEATABLE)
