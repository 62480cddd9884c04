"""Names, their parameters and their definitions' hashes."""

import pytest

from kurswerk.core.errors import SpecError, UnknownNameError
from kurswerk.features import FeaturePlan, engineered_names, feature_names, registered_features, resolve
from kurswerk.features import _feature as feature_module
from kurswerk.market import COINS


@pytest.mark.parametrize("name", feature_names(COINS))
def test_every_listed_name_resolves_to_itself_and_states_all(name):
    feature = resolve(name, COINS)
    assert feature.name == name
    assert feature.doc
    assert feature.unit
    assert feature.source
    assert feature.nan_rule
    assert feature.inputs
    assert feature.range[0] < feature.range[1]
    assert feature.recursive == (feature.lookback is None)
    assert len(feature.definition_hash) == 64


def test_registered_features_hold_one_of_every_kind():
    kinds = [feature.kind for feature in registered_features(COINS)]
    assert len(kinds) == len(set(kinds))
    computed = [name for name in feature_names(COINS) if name not in COINS.panel_columns]
    assert {resolve(name, COINS).kind for name in computed} < set(kinds)


@pytest.mark.parametrize(
    "name",
    [
        "price_change_0", "price_change_-1", "price_change_100001", "price_change_05", "price_change_x",
        "price_change_1.5", "price_change_", "price_volatility_1", "bollinger_upper_20_0", "bollinger_upper_20_nan",
        "macd_12_26_x", "price_change_²",
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_refused(name):
    with pytest.raises(SpecError, match="give a"):
        resolve(name, COINS)


@pytest.mark.parametrize("name", ["price_chnge_5", "", "sma", "rsi_14_3", "_", "x'; drop table ml_models; --"])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(UnknownNameError, match="unknown feature"):
        resolve(name, COINS)


def test_the_nearest_name_is_offered():
    with pytest.raises(UnknownNameError, match="did you mean 'price_change_5'"):
        resolve("price_chnge_5", COINS)


def test_parameters_may_be_fractions_where_they_are_no_rows():
    assert resolve("bollinger_upper_20_2.5", COINS).params == {"window": 20, "deviations": 2.5}


@pytest.mark.parametrize("window", [0, -1, 100_001, True, 2.5, "5", None])
def test_wrong_windows_are_refused(window):
    with pytest.raises(SpecError, match="integers from 1"):
        engineered_names(["price_close"], COINS, [window])


def test_engineered_names_need_their_inputs_and_keep_their_order():
    assert engineered_names([], COINS, [5]) == []
    names = engineered_names(["price_close"], COINS, [10, 5, 10])
    assert names[:2] == ["price_change_10", "price_change_5"]
    assert "price_volatility_1" not in engineered_names(["price_close"], COINS, [1])
    assert all(set(resolve(name, COINS).inputs) <= {"price_close"} for name in names)
    assert "timestamp" not in resolve("ath_age_hours", COINS).inputs


def test_the_hash_follows_kind_parameters_and_source(monkeypatch):
    hashes = {resolve(name, COINS).definition_hash for name in feature_names(COINS)}
    assert len(hashes) == len(feature_names(COINS))
    before = resolve("ema_20", COINS).definition_hash
    build = resolve("ema_20", COINS).__dict__
    build.pop("definition_hash")
    monkeypatch.setattr(feature_module, "step_source", lambda step: "changed")
    assert resolve("ema_20", COINS).definition_hash != before
    build.pop("definition_hash")


def test_names_of_one_meaning_share_their_steps():
    alone = FeaturePlan(["price_change_5"], COINS).batch_program
    both = FeaturePlan(["price_change_5", "price_roc_5", "roc_5"], COINS).batch_program
    assert len(both.ops) == len(alone.ops) == 1
