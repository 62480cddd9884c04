"""What a plan describes of itself and what it refuses."""

import numpy as np
import pytest

from kurswerk.core.errors import SpecError, UnknownNameError
from kurswerk.features import FeaturePlan
from kurswerk.market import COINS
from unit.features.markets import market


def test_a_plan_states_inputs_look_back_and_definitions():
    plan = FeaturePlan(["price_change_5", "volume_ratio_10", "price_close"], COINS)
    assert plan.inputs == ("price_close", "volume_sol")
    assert (plan.lookback, plan.recursive) == (10, False)
    assert list(plan.definitions) == list(plan.names)
    assert len(plan.definition_hash) == 64
    assert (
        plan.definition_hash != FeaturePlan(["volume_ratio_10", "price_change_5", "price_close"], COINS).definition_hash
    )
    recursive = FeaturePlan(["ema_5", "price_change_5"], COINS)
    assert (recursive.lookback, recursive.recursive) == (None, True)


@pytest.mark.parametrize(("names", "message"), [([], "no features"), (["price_close"] * 2, "twice")])
def test_empty_and_repeated_lists_are_refused(names, message):
    with pytest.raises(SpecError, match=message):
        FeaturePlan(names, COINS)


def test_a_missing_column_is_named():
    panel = market(1)
    lacking = type(panel)(panel.instruments, panel.offsets, panel.timestamps, ("price_close",), panel.values[:1])
    with pytest.raises(UnknownNameError, match="volume_sol"):
        FeaturePlan(["volume_ratio_5"], COINS).compute(lacking)


@pytest.mark.parametrize("options", [{"threads": 0}, {"dtype": np.int64}, {"rows": slice(0, 9, 2)}])
def test_wrong_options_are_refused(options):
    with pytest.raises(SpecError, match="give"):
        FeaturePlan(["price_close"], COINS).compute(market(1), **options)


def test_an_array_at_hand_is_filled():
    panel = market(2)
    plan = FeaturePlan(["price_close", "sma_3"], COINS)
    out = np.empty((len(panel), 2), dtype=np.float32, order="F")
    assert plan.compute(panel, out=out) is out
    np.testing.assert_array_equal(out, plan.compute(panel, dtype=np.float32))
    for wrong in (out[:-1], np.empty((len(panel), 2)), np.empty((2, len(panel)), order="F")):
        with pytest.raises(SpecError, match="F-ordered"):
            plan.compute(panel, out=wrong)


def test_raw_columns_pass_through():
    panel = market(2)
    np.testing.assert_array_equal(FeaturePlan(["price_close"], COINS).compute(panel)[:, 0], panel.column("price_close"))


def test_more_means_than_a_bank_holds():
    names = [f"ema_{w}" for w in range(1, 11)]
    panel = market(3, holes=0)
    together = FeaturePlan(names, COINS).compute(panel)
    for column, name in enumerate(names):
        np.testing.assert_array_equal(together[:, column], FeaturePlan([name], COINS).compute(panel)[:, 0])
