"""How many trees are boosted is fitted on training rows alone: by their last tenth, away from the others' labels."""

import numpy as np
import pytest

from kurswerk.core.timestamps import MINUTE_US
from kurswerk.models import create
from kurswerk.training import fit_rows
from kurswerk.training._dataset import Examples
from memory_market import a_spec

ROWS, HORIZON = 6000, 10
PARAMS = {"n_estimators": 150, "learning_rate": 0.3}


@pytest.fixture(scope="module")
def examples() -> Examples:
    """A weak signal, a row a minute, labels that look ten minutes ahead, about a fifth of them positive."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(ROWS, 5)).astype(np.float32)
    y = (X[:, 0] + 2 * rng.normal(size=ROWS) > 1.8).astype(np.int8)
    times = np.arange(ROWS, dtype=np.int64) * MINUTE_US
    horizon = np.full(ROWS, HORIZON * MINUTE_US)
    return Examples(X, y, times, times + horizon, horizon)


def spec(**fields):
    return a_spec(future_minutes=HORIZON, **{"params": PARAMS, "use_smote": False, **fields})


def test_trees_are_grown_before_the_last_tenth_and_watched_in_it(examples):
    """Equal to what is cut by hand: the label ends ten minutes later, and as long is the embargo."""
    rows = np.arange(ROWS)
    model = fit_rows(spec(), examples, rows)
    start = ROWS - ROWS // 10
    grown = rows[: start - 2 * HORIZON]
    by_hand = create("xgboost", PARAMS).fit(
        examples.X, examples.y, grown, held_out=(examples.X[start:], examples.y[start:])
    )
    names = [f"x{k}" for k in range(5)]
    assert model.to_onnx(names, {}) == by_hand.to_onnx(names, {})
    assert len(model.trees_.roots) < 100


@pytest.mark.parametrize("smote", [False, True])
def test_rows_outside_the_training_part_change_no_bit(examples, smote):
    rows, names = np.arange(5800), [f"x{k}" for k in range(5)]
    changed = examples._replace(X=examples.X.copy(), y=examples.y.copy())
    changed.X[5800:] *= -3
    changed.y[5800:] = 1 - changed.y[5800:]
    one, other = (fit_rows(spec(use_smote=smote), given, rows) for given in (examples, changed))
    assert one.to_onnx(names, {}) == other.to_onnx(names, {})
    assert 1 < len(one.trees_.roots) < 100


@pytest.mark.parametrize(
    ("fields", "count"),
    [({"params": {**PARAMS, "early_stopping_rounds": 0}}, ROWS), ({}, 900)],
    ids=["switched off", "too few positives to decide"],
)
def test_all_rows_and_all_trees(examples, fields, count):
    assert len(fit_rows(spec(**fields), examples, np.arange(count)).trees_.roots) == 150


def test_rows_of_one_moment_cannot_be_parted(examples):
    at_once = examples._replace(timestamps=np.zeros(ROWS, np.int64))
    assert len(fit_rows(spec(), at_once, np.arange(ROWS)).trees_.roots) == 150
