"""What checks change, and what they leave as it is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurswerk.checks._change import (
    arrival_order,
    change_rows,
    pierce_rows,
    place_in,
    sample_panel,
    sample_rows,
    scale_rows,
    thin,
)
from kurswerk.checks._features import replay
from unit.checks import pipelines as toy

PANEL = toy.market(coins=5, rows=30)
SEEDS = st.integers(0, 10**6)


@given(SEEDS, st.floats(0, 1))
@settings(max_examples=30)
def test_only_masked_rows_change_and_all_of_them_do(seed, share):
    rng = np.random.default_rng(seed)
    mask = rng.random(len(PANEL)) < share
    for changed in (change_rows(PANEL, mask, rng), pierce_rows(PANEL, mask), scale_rows(PANEL, mask, 1e3)):
        assert np.array_equal(changed.values[:, ~mask], PANEL.values[:, ~mask], equal_nan=True)
        rows = changed.values[:, mask]
        assert not np.any((rows == PANEL.values[:, mask]) & (rows != 0))


@given(SEEDS)
@settings(max_examples=30)
def test_random_arrival_keeps_each_coins_order(seed):
    order = arrival_order(PANEL, np.random.default_rng(seed))
    assert sorted(order) == list(range(len(PANEL)))
    for k in range(len(PANEL.instruments)):
        rows = order[PANEL.codes[order] == k]
        assert np.all(np.diff(rows) > 0)
    by_time = arrival_order(PANEL)
    assert np.all(np.diff(PANEL.timestamps[by_time]) >= 0)


@given(SEEDS, st.integers(1, 200))
@settings(max_examples=40)
def test_sample_takes_stretches_without_gaps(seed, most):
    part = sample_panel(PANEL, most, np.random.default_rng(seed))
    assert 0 < len(part) <= max(most, 1)
    if len(PANEL) > most:
        assert len(part) == most or len(part) < most
    for name in part.instruments:
        whole, some = PANEL.timestamps[PANEL.rows_of(name)], part.timestamps[part.rows_of(name)]
        first = int(np.searchsorted(whole, some[0]))
        assert np.array_equal(whole[first : first + len(some)], some)


def test_sample_of_long_coins_has_several_of_them():
    assert len(sample_panel(PANEL, 40, np.random.default_rng(0)).instruments) >= 4


@given(SEEDS)
@settings(max_examples=20)
def test_sampled_training_rows_keep_the_rare_class(seed):
    rows = toy.begin(toy.ToyPipeline(), toy.market())
    part = sample_rows(rows, 60, np.random.default_rng(seed))
    assert len(part) == len(np.unique(part.panel_rows)) == 60
    assert min((part.y == 1).sum(), (part.y == 0).sum()) >= min(15, (rows.y == 1).sum())
    assert np.all(np.diff(part.panel_rows) > 0)
    assert sample_rows(rows, len(rows), np.random.default_rng(seed)) is rows


def test_thinning_leaves_rows_out():
    part = thin(PANEL, 0.5, np.random.default_rng(0))
    assert 0 < len(part) < len(PANEL)


def test_place_names_coin_time_and_feature():
    assert place_in(PANEL)((31,)).startswith("'coin1' 2023-11-14T22:")
    assert place_in(PANEL, ("a", "b"))((0, 1)).endswith("Z, 'b'")
    assert place_in(PANEL, (), np.array([31]))((0,)) == place_in(PANEL)((31,))


@pytest.mark.parametrize("restarts", [frozenset(), frozenset({0, 1})])
def test_replay_leaves_rows_that_did_not_arrive_missing(restarts):
    features = toy.ToyFeatures((toy.RAW,))
    order = np.arange(10)
    values = replay(features, PANEL, order, np.array([4, 10]), restarts)
    assert np.array_equal(values[:10], features.batch(PANEL)[:10], equal_nan=True)
    assert np.isnan(values[10:]).all()
