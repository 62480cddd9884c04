"""Features ask for roles: what a market calls its columns changes no value, and what it lacks is left out."""

import pytest

from kurswerk.core.errors import SpecError, UnknownNameError
from kurswerk.features import FeaturePlan, engineered_names, feature_names, registered_features, resolve
from kurswerk.market import COINS, Column, MarketSchema, Panel, Role
from unit.features.markets import market, same_bits

OWN_NAMES = {Role.HIGH: "top", Role.LOW: "bottom", Role.CLOSE: "last", Role.VOLUME: "traded"}
BARS = MarketSchema(
    name="bars", table="bars", key="symbol", columns={name: Column() for name in OWN_NAMES.values()}, roles=OWN_NAMES
)


def as_bars(panel):
    """The same prices and volumes under the names of another market."""
    columns = {name: panel.column(COINS.column_of(role)) for role, name in OWN_NAMES.items()}
    return Panel.from_codes(panel.instruments, panel.codes, panel.timestamps, columns)


def computed(schema):
    return [name for name in feature_names(schema) if name not in schema.panel_columns]


@pytest.mark.parametrize("name", computed(BARS))
def test_a_role_leads_to_the_same_values_whatever_its_column_is_called(name):
    panel = market(5)
    ours, theirs = FeaturePlan([name], COINS), FeaturePlan([name], BARS)
    assert same_bits(ours.compute(panel), theirs.compute(as_bars(panel)))
    assert set(theirs.inputs) <= set(BARS.columns)


def test_a_market_has_the_features_whose_inputs_it_has():
    assert {"rsi_14", "price_change_5", "ath_age_hours"} <= set(computed(BARS)) < set(computed(COINS))
    assert not {"mcap_velocity_5", "whale_net_volume", "sol_price_change_pct"} & set(computed(BARS))
    assert engineered_names(BARS.columns, BARS, [5]) == [
        name for name in engineered_names(COINS.columns, COINS, [5]) if name in computed(BARS)
    ]
    assert registered_features(BARS)[0].name == "last"


def test_an_input_that_the_market_lacks_is_named():
    with pytest.raises(SpecError, match=r"feature 'mcap_velocity_5' .* the market 'bars' has no market_cap"):
        resolve("mcap_velocity_5", BARS)
    with pytest.raises(SpecError, match=r"feature 'dev_sold_flag' .* the market 'bars' has no dev_sold_amount"):
        resolve("dev_sold_flag", BARS)
    with pytest.raises(UnknownNameError, match="unknown feature 'price_close'"):
        resolve("price_close", BARS)


def test_definitions_hold_names_of_columns():
    assert resolve("ema_20", BARS).definition_hash != resolve("ema_20", COINS).definition_hash
