"""Properties of labels beyond the faults in test_faults.py."""

from dataclasses import replace

import numpy as np
import pytest

from kurswerk.checks import Effort, label_checks
from unit.checks import pipelines as toy
from unit.checks.pipelines import HORIZON, ToyLabels

EFFORT = Effort(trials=2)


@pytest.fixture(scope="module")
def panel():
    return toy.market(coins=3, rows=40)


def failed(labels, panel, horizon_us=HORIZON):
    findings = label_checks(labels, horizon_us, panel, effort=EFFORT)
    return {finding.check: finding.message for finding in findings if not finding.passed}


def test_honest_labels_pass(panel):
    assert failed(toy.label_rise, panel) == {}


def test_third_value_is_found(panel):
    def thrice(p):
        honest = toy.label_rise(p)
        return ToyLabels(np.where(honest.values == 1, 2, honest.values).astype(np.int8), honest.end_us)

    assert "a label is [2]" in failed(thrice, panel)["label_pure"]


def test_labels_that_change_from_call_to_call_are_found(panel):
    rng = np.random.default_rng(0)

    def restless(p):
        return ToyLabels(rng.integers(0, 2, len(p)).astype(np.int8), p.timestamps + HORIZON)

    assert {"label_pure", "label_end", "label_past", "label_other_coins"} <= set(failed(restless, panel))


def test_labels_that_write_into_the_panel_are_found(panel):
    def writing(p):
        p.values[0, 0] += 1
        return toy.label_rise(p)

    own = replace(panel, values=panel.values.copy())
    assert "has changed the panel" in failed(writing, own)["label_pure"]


def test_label_of_the_row_itself_sees_no_future(panel):
    def present(p):
        known = toy.label_rise(p).values >= 0
        return ToyLabels(np.where(known, p.column("volume_sol") > 1, -1).astype(np.int8), p.timestamps)

    found = failed(present, panel)
    assert "ends before any later row" in found["label_horizon"]
    assert "no known label looks past a later row" in found["label_future"]


def test_fault_that_hides_behind_unknown_labels_is_found(panel):
    """A label of the past that is known only where an honest one is answers to the future by becoming unknown."""

    def past(p):
        honest, values = toy.label_rise(p), np.zeros(len(p), dtype=np.int8)
        values[6:] = p.column("price_close")[6:] > p.column("price_close")[:-6]
        values[np.arange(len(p)) - p.offsets[p.codes] < 6] = 0
        return ToyLabels(np.where(honest.values >= 0, values, -1).astype(np.int8), honest.end_us)

    assert {"label_future", "label_past"} <= set(failed(past, panel))


def test_mixing_shows_with_one_coin_too():
    one_coin = toy.market(coins=1, rows=60)

    def above_all(p):
        honest = toy.label_rise(p)
        above = p.column("price_close") > np.nanmean(p.column("price_close"))
        return ToyLabels(np.where(honest.values >= 0, above, -1).astype(np.int8), honest.end_us)

    assert "label_other_coins" not in failed(toy.label_rise, one_coin)
    assert "label_other_coins" in failed(above_all, one_coin)


@pytest.mark.parametrize("declared", [None, 0])
def test_label_of_the_next_row_is_held_to_it(declared, panel):
    def following(p, steps=1):
        last = p.offsets[1:][p.codes] - 1
        rows = np.minimum(np.arange(len(p)) + steps, last)
        known = np.arange(len(p)) + steps <= last
        return ToyLabels(np.where(known, p.column("num_buys")[rows] > 4, -1).astype(np.int8), p.timestamps[rows])

    assert failed(following, panel, declared) == {}
    two_ahead = failed(lambda p: following(p, 2), panel, declared)
    assert "looks further than its horizon" in two_ahead["label_horizon"]
