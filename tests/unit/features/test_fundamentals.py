"""Features over fundamentals: against their formulas, batch against live, and only where they are named."""

import numpy as np
import pytest

from kurswerk.features import FeaturePlan, LiveEngine, engineered_names, feature_names, resolve
from kurswerk.features._fundamentals import FUNDAMENTAL_FEATURES
from kurswerk.market import Panel, market_named
from kurswerk.training import ModelSpec
from kurswerk.training._dataset import columns_to_load

STOCKS = market_named("stocks")
PLAN = FeaturePlan([*FUNDAMENTAL_FEATURES, "sector", "pe_ratio_age_days"], STOCKS)
FORMULAS = {
    "earnings_yield": lambda c: c["eps"] / c["close_price"],
    "book_to_price": lambda c: c["book_value"] / c["close_price"],
    "change_since_statement": lambda c: 100 * (c["close_price"] / c["reference_price"] - 1),
    "pe_ratio_now": lambda c: c["pe_ratio"] * c["close_price"] / c["reference_price"],
    "pb_ratio_now": lambda c: c["pb_ratio"] * c["close_price"] / c["reference_price"],
    "ps_ratio_now": lambda c: c["ps_ratio"] * c["close_price"] / c["reference_price"],
    "market_cap_now": lambda c: c["market_cap"] * c["close_price"] / c["reference_price"],
    "ebitda_yield": lambda c: c["ebitda"] * c["reference_price"] / (c["market_cap"] * c["close_price"]),
    "position_in_52w_range": lambda c: (c["close_price"] - c["low_52w"]) / (c["high_52w"] - c["low_52w"]),
}


@pytest.fixture(scope="module")
def panel():
    rng = np.random.default_rng(5)
    values = np.exp(rng.normal(size=(len(PLAN.inputs), 40)))
    values[rng.random(values.shape) < 0.1] = np.nan
    times = np.tile(np.arange(20, dtype=np.int64), 2) * 86_400_000_000
    return Panel(("A", "BRK.B"), np.array([0, 20, 40]), times, PLAN.inputs, values)


def test_every_feature_is_its_formula_and_missing_with_its_inputs(panel):
    found = dict(zip(PLAN.names, PLAN.compute(panel).T, strict=True))
    columns = {name: panel.column(name) for name in PLAN.inputs}
    assert FORMULAS.keys() == FUNDAMENTAL_FEATURES.keys()
    for name, formula in FORMULAS.items():
        np.testing.assert_allclose(found[name], formula(columns), rtol=1e-12)
        assert np.isnan(found[name]).any()
        assert not np.isnan(found[name]).all()
    np.testing.assert_array_equal(found["sector"], columns["sector"])


def test_live_has_the_bits_of_batch(panel):
    engine = LiveEngine(PLAN)
    keys = [panel.instruments[code] for code in panel.codes]
    rows = np.ascontiguousarray(panel.values.T)
    live = [engine.update([keys[i]], panel.timestamps[i : i + 1], rows[i : i + 1])[0] for i in range(len(panel))]
    assert np.ascontiguousarray(live).tobytes() == np.ascontiguousarray(PLAN.compute(panel)).tobytes()


def test_they_are_listed_and_read_only_where_a_model_names_them():
    assert FUNDAMENTAL_FEATURES.keys() <= set(feature_names(STOCKS))
    assert not FUNDAMENTAL_FEATURES.keys() & set(engineered_names(STOCKS.panel_columns, STOCKS))
    spec = {"name": "m", "market": "stocks", "model_type": "xgboost", "use_engineered_features": True}
    spec |= {"train_start": "2020-01-01", "train_end": "2021-01-01", "target_var": "close_price"}
    spec |= {"use_time_based_prediction": True, "horizon_sessions": 1, "min_percent_change": 1.0, "direction": "up"}
    without, named = (ModelSpec(**spec, features=features) for features in (["close_price"], ["earnings_yield"]))
    stored = STOCKS.panel_columns
    assert columns_to_load(without, stored) == [*STOCKS.columns, *STOCKS.derived]
    assert columns_to_load(named, stored) == [*STOCKS.columns, *STOCKS.derived, "eps"]
    assert resolve("earnings_yield", STOCKS).lookback == 1
