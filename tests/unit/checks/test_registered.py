"""The properties, tried on everything that is registered."""

import numpy as np
import pytest

from kurswerk.checks import (
    Effort,
    PlanFeatures,
    feature_checks,
    label_checks,
    model_checks,
    resampler_checks,
    split_checks,
)
from kurswerk.evaluation import purged_walk_forward
from kurswerk.features import FeaturePlan, engineered_names, registered_features
from kurswerk.labels import LabelSpec, compute_labels
from kurswerk.market import COINS, SOL_PRICE, Kind, Panel
from kurswerk.models import CLASSIFIERS, OnnxModel, create, model_params, resample

EFFORT = Effort(trials=2)
MINUTE = 60_000_000


@pytest.fixture(scope="module")
def panel():
    """Four coins with every column, reporting unevenly, one value in 200 missing."""
    rng, coins, rows = np.random.default_rng(7), 4, 90
    n = coins * rows
    times = np.concatenate([np.cumsum(rng.integers(5, 100, rows)) for _ in range(coins)]) * 1_000_000
    draw = {
        Kind.FLOAT: lambda: rng.lognormal(0, 1, n),
        Kind.INT: lambda: rng.poisson(4, n).astype(float),
        Kind.BOOL: lambda: (rng.random(n) < 0.1).astype(float),
    }
    columns = {name: draw[column.kind]() for name, column in COINS.columns.items()}
    close = np.exp(np.concatenate([np.cumsum(rng.normal(0, 0.05, rows)) for _ in range(coins)]))
    opened = close * np.exp(rng.normal(0, 0.02, n))
    columns |= {
        "price_open": opened,
        "price_close": close,
        "price_high": np.maximum(opened, close) * rng.uniform(1, 1.02, n),
        "price_low": np.minimum(opened, close) * rng.uniform(0.98, 1, n),
        "net_volume_sol": rng.normal(0, 1, n),
        "dev_sold_amount": rng.lognormal(0, 1, n) * (rng.random(n) < 0.1),
        "buy_pressure_ratio": rng.random(n),
        "unique_signer_ratio": rng.random(n),
        SOL_PRICE: 150 * np.exp(rng.normal(0, 0.01, n)),
    }
    for column in columns.values():
        column[rng.random(n) < 0.005] = np.nan
    return Panel.from_columns(
        np.repeat([f"coin{k}" for k in range(coins)], rows), times + 1_700_000_000_000_000, columns
    )


def violations(findings):
    found = list(findings)
    assert found
    return {finding.check: finding.message for finding in found if not finding.passed}


@pytest.mark.parametrize("name", [feature.name for feature in registered_features(COINS)])
def test_every_feature_has_its_properties(name, panel):
    features = PlanFeatures(FeaturePlan([name], COINS))
    assert violations(feature_checks(features, panel, 3, ranges=features.ranges, effort=EFFORT)) == {}


def test_all_engineered_features_together_have_their_properties(panel):
    features = PlanFeatures(FeaturePlan(engineered_names(panel.columns, COINS, [2, 7]), COINS))
    assert violations(feature_checks(features, panel, 4, ranges=features.ranges, effort=EFFORT)) == {}


LABELS = [
    LabelSpec("price_close", minutes=10, min_percent_change=2, direction="up"),
    LabelSpec("price_close", minutes=3, min_percent_change=2, direction="down"),
    LabelSpec("price_close", minutes=6, min_percent_change=3, direction="up", mode="within"),
    LabelSpec("price_close", minutes=6, min_percent_change=3, direction="down", mode="within"),
    *(LabelSpec("market_cap_close", operator, 1.0, minutes=5) for operator in (">", "<", ">=", "<=")),
    LabelSpec("num_buys", "=", 4, minutes=2, mode="within"),
    LabelSpec("num_buys", "=", 4),
    LabelSpec("volume_sol", ">", 1.5),
    LabelSpec("price_close", minutes=6, is_return=True),
]


@pytest.mark.parametrize("spec", LABELS, ids=str)
def test_every_label_has_its_properties(spec, panel):
    def labels(some):
        return compute_labels(some, spec)

    assert violations(label_checks(labels, spec.horizon_us, panel, 5, effort=EFFORT)) == {}


@pytest.mark.parametrize(("splits", "embargo"), [(1, 0), (3, 0), (3, 2 * MINUTE), (8, MINUTE)])
def test_walk_forward_has_its_properties(splits, embargo, panel):
    ends = panel.timestamps + 4 * MINUTE

    def split(times, label_end):
        return purged_walk_forward(times, label_end, splits, embargo)

    assert violations(split_checks(split, panel.timestamps, ends, embargo, effort=EFFORT)) == {}


@pytest.mark.parametrize("model_type", CLASSIFIERS)
def test_every_model_has_its_properties(model_type):
    def fresh():
        return create(model_type, {"n_estimators": 12} if "n_estimators" in model_params(model_type) else {})

    assert violations(model_checks(fresh, OnnxModel.load, name=model_type, effort=EFFORT)) == {}


def test_resampling_has_its_properties():
    def seeded(X, y, random_state):
        return resample(X, y, random_state=random_state)

    assert violations(resampler_checks(seeded, effort=EFFORT)) == {}
