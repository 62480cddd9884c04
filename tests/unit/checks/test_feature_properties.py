"""Properties that are tried on single features, beyond those a model is probed with (test_faults.py)."""

from dataclasses import replace

import numpy as np
import pytest

from kurswerk.checks import Effort, PlanFeatures, feature_checks
from kurswerk.core.errors import DataError
from kurswerk.features import FeaturePlan
from kurswerk.market import COINS
from unit.checks import pipelines as toy
from unit.checks.pipelines import MEAN, Toy, ToyFeatures

EFFORT = Effort(trials=2)


@pytest.fixture(scope="module")
def panel():
    return toy.market(coins=3, rows=40)


def failed(features, panel, **options):
    findings = feature_checks(features, panel, effort=EFFORT, **options)
    return {finding.check: finding.message for finding in findings if not finding.passed}


def test_honest_features_pass(panel):
    assert failed(ToyFeatures((toy.RAW, toy.CHANGE, toy.MEAN, toy.EMA)), panel) == {}


def test_look_back_declared_too_short_is_found(panel):
    shorter = failed(ToyFeatures((replace(MEAN, lookback=2),)), panel)
    assert "rows before the look-back of 2 changed" in shorter["look_back"]


def test_look_back_declared_too_long_is_found(panel):
    longer = failed(ToyFeatures((replace(MEAN, lookback=5),)), panel)
    assert "the oldest of 5 rows is missing" in longer["look_back"]
    assert "before the look-back of 5 rows is full" in longer["window_full"]


def test_value_outside_the_declared_range_is_found(panel):
    found = failed(ToyFeatures((toy.RAW,)), panel, ranges=[(0.5, 1.5)])
    assert "lies outside [0.5, 1.5]" in found["in_range"]
    assert "lies outside" in found["constant_input"]


def test_feature_that_differs_from_call_to_call_is_found(panel):
    rng = np.random.default_rng(0)
    noisy = Toy("noise", 1, lambda p: toy.RAW.batch(p) + rng.normal(size=len(p)))
    assert "pure" in failed(ToyFeatures((noisy,)), panel)


def test_feature_that_changes_its_panel_is_found(panel):
    def writing(p):
        p.values[0, 0] += 1
        return toy.RAW.batch(p)

    own = replace(panel, values=panel.values.copy())
    assert "has changed the panel" in failed(ToyFeatures((Toy("w", 1, writing),)), own)["pure"]


def test_feature_that_refuses_is_not_proved(panel):
    def refuse(p):
        raise DataError("no such data")

    found = failed(ToyFeatures((Toy("r", 1, refuse),)), panel)
    assert found["pure"] == "could not be tried: no such data"


def test_mixing_shows_with_one_coin_too():
    def mean_of_all(p):
        return np.full(len(p), np.nanmean(p.column("price_close")))

    one_coin = toy.market(coins=1, rows=30)
    assert "other_coins" not in failed(ToyFeatures(), one_coin)
    assert "other_coins" in failed(ToyFeatures((Toy("mean", 1, mean_of_all),)), one_coin)


def test_too_little_data_proves_nothing():
    lone_rows = toy.market(coins=5, rows=1, missing=0)
    assert "no row can come late" in failed(ToyFeatures((toy.RAW,)), lone_rows)["late_row"]


def test_unknown_input_is_a_finding_not_a_crash(panel):
    found = failed(PlanFeatures(FeaturePlan(["bonding_curve_pct"], COINS)), panel)
    assert "bonding_curve_pct" in found["future_rows"]
