from dataclasses import replace

import numpy as np
import pytest

from kurswerk.checks import Effort, split_checks
from kurswerk.core.errors import DataError
from unit.checks.pipelines import EMBARGO, HORIZON, ToyFold, walk_forward

TIMES = np.sort(np.random.default_rng(0).integers(0, 10**10, 400))
ENDS = TIMES + HORIZON


def failed(split, embargo=EMBARGO):
    findings = split_checks(split, TIMES, ENDS, embargo, effort=Effort(trials=3))
    return {finding.check: finding.message for finding in findings if not finding.passed}


def edited(**changes):
    return lambda times, ends: [
        replace(fold, **{k: v(fold) for k, v in changes.items()}) for fold in walk_forward(times, ends)
    ]


def test_honest_folds_pass():
    assert failed(walk_forward) == {}


@pytest.mark.parametrize(
    ("split", "check"),
    [
        (lambda t, e: walk_forward(t, e, purge=False), "purge"),
        (lambda t, e: walk_forward(t, e, embargo=0), "purge"),
        (lambda t, e: walk_forward(t, e)[::-1], "fold_order"),
        (edited(train=lambda fold: fold.test + 0), "fold_order"),
        (edited(train=lambda fold: fold.test[:1]), "fold_disjoint"),
        (edited(train=lambda fold: np.repeat(fold.train, 2)), "fold_disjoint"),
        (edited(train=lambda fold: fold.train[:0]), "fold_disjoint"),
        (edited(test=lambda fold: fold.test[:0]), "fold_disjoint"),
        (lambda t, e: [*walk_forward(t, e), walk_forward(t, e)[-1]], "fold_disjoint"),
        (lambda t, e: [ToyFold(np.array([-1]), np.array([5]), int(t[5]))], "fold_disjoint"),
        (lambda t, e: [ToyFold(np.array([0]), np.array([len(t)]), int(t.max()))], "purge"),
        (lambda t, e: [], "purge"),
    ],
)
def test_faulty_folds_are_found(split, check):
    assert check in failed(split)


def test_folds_that_differ_from_call_to_call_are_found():
    rng = np.random.default_rng(0)

    def split(times, ends):
        return walk_forward(times, ends, splits=int(rng.integers(2, 9)))

    def stir(times, ends):
        return [replace(f, train=rng.permutation(f.train)) for f in walk_forward(times, ends)]

    assert "fold_repeatable" in failed(split)
    assert "fold_repeatable" in failed(stir)


def test_part_too_short_to_cut_is_no_violation_but_the_whole_is():
    def only_whole(times, ends):
        if len(times) < len(TIMES):
            raise DataError("too few rows")
        return walk_forward(times, ends)

    def never(times, ends):
        raise DataError("too few rows")

    assert failed(only_whole) == {}
    assert set(failed(never)) == {"purge", "fold_order", "fold_disjoint", "fold_repeatable"}


def test_declared_test_start_after_the_first_test_row_does_not_hide_a_leak():
    def late(times, ends):
        return [replace(f, test_start_us=f.test_start_us + 10**9) for f in walk_forward(times, ends, purge=False)]

    assert "purge" in failed(late)
