"""Forecast models from training to comparison, on a market in memory."""

from functools import partial

import numpy as np
import pytest

from kurswerk.checks import Effort
from kurswerk.core.errors import DataError, SpecError
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import MINUTE_US
from kurswerk.models import REGRESSORS
from kurswerk.registry import load_model
from kurswerk.training import ModelSpec, Period, certify, compare_models, load_dataset, reproduce, run_test, train
from kurswerk.training import _folds as folds
from kurswerk.training._certifying import certify_version
from kurswerk.training._fit import fit_version
from kurswerk.training._forecasting import calibration_parts
from memory_market import START_US, MemoryMarket, MemoryRegistry, a_spec, random_market, stores_of

LATER = Period(START_US + 401 * MINUTE_US, START_US + 599 * MINUTE_US)
EFFORT = Effort(trials=1, panel_rows=300, fit_rows=500, fold_rows=800)
FORECAST = {
    "target": "return",
    "use_time_based_prediction": False,
    "min_percent_change": None,
    "direction": None,
    "features": ["volume_sol"],
}
SMALL = {
    "ridge": {},
    "xgboost_regressor": {"n_estimators": 10, "max_depth": 3},
    "random_forest_regressor": {"n_estimators": 8, "max_depth": 4},
}


def forecast_spec(model_type="ridge", **changes):
    given = FORECAST | {"name": model_type, "model_type": model_type, "params": SMALL.get(model_type, {})}
    return a_spec(**(given | changes))


@pytest.fixture(scope="module")
def market():
    return MemoryMarket(random_market())


@pytest.fixture(scope="module")
def trained(market):
    registry = MemoryRegistry()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kurswerk.training._training.certify_version", partial(certify_version, effort=EFFORT))
        for model_type in REGRESSORS:
            train(forecast_spec(model_type), stores_of(market.panel, registry))
        train(a_spec(), stores_of(market.panel, registry))
    return registry


@pytest.mark.parametrize("model_type", REGRESSORS)
def test_a_forecast_model_is_certified_reproduces_and_states_what_it_is_worth(trained, market, model_type):
    record = trained.get(model_type)
    assert record.certificate["certified"], record.certificate
    assert load_model(record, trained).is_forecast
    found = record.evaluation["forecast"]
    assert set(found["baselines"]) == set(found["diebold_mariano"]) == {"persistence", "drift"}
    assert 0.8 < found["metrics"]["interval_coverage"]["value"] <= 1
    assert not found["has_skill"]
    assert "No skill is shown" in str(Message.from_json(found["verdict"]))
    assert record.metrics.accuracy == pytest.approx(found["metrics"]["directional_accuracy"]["value"], abs=0.02)
    assert reproduce(model_type, {"coins": market}, trained) == trained.artifact(record.artifact_sha256)


def test_a_later_test_measures_forecasts_and_a_comparison_has_a_winner_only_beyond_luck(trained, market):
    stores = stores_of(market.panel, trained)
    _, result = run_test("ridge", LATER, stores)
    found = result.evaluation["forecast"]
    assert result.num_samples == result.evaluation["num_samples"]
    assert found["baselines"]["drift"]["mae"]["value"] > 0
    assert found["adaptive"]["mean_width"] > 0
    assert sum(one["rows"] for one in found["coverage_by"]["time"]) == result.num_samples
    _, comparison = compare_models("ridge", "xgboost_regressor", LATER, stores)
    test = comparison.significance["diebold_mariano"]
    winner = {"first": "ridge", "second": "xgboost_regressor", None: None}[test["better"]]
    assert comparison.winner_id == (None if winner is None else trained.get(winner).id)
    assert comparison.significance["more_than_luck"] == (winner is not None)


def test_a_forecast_and_a_class_have_no_winner(trained, market):
    _, comparison = compare_models("ridge", "small", LATER, stores_of(market.panel, trained))
    assert comparison.winner_id is None
    assert comparison.significance["more_than_luck"] is None


def test_rows_that_calibrate_come_after_those_learnt_from_by_the_embargo(market):
    spec = forecast_spec()
    taken = []
    original = folds.fit_forecaster

    def watching(spec, examples, rows, watch):
        learnt, held_out = calibration_parts(examples, rows)
        taken.append((examples, rows, learnt, held_out))
        return original(spec, examples, rows, watch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folds, "fit_forecaster", watching)
        fit_version(spec, load_dataset(spec, market))
    for examples, rows, learnt, held_out in taken:
        first = examples.timestamps[held_out].min()
        assert np.all(examples.label_end_us[learnt] < first - examples.embargo_us[learnt])
        assert np.isin(held_out, rows).all()
        assert np.isin(learnt, rows).all()
        assert 0.1 < len(held_out) / len(rows) < 0.35


def test_an_interval_taken_from_rows_learnt_from_would_be_too_narrow(market):
    """Why the interval's rows are held out: with the model's own training rows later coverage falls short."""
    spec = forecast_spec("random_forest_regressor", params={"n_estimators": 30, "max_depth": None})
    dataset = load_dataset(spec, market)

    def coverage():
        return fit_version(spec, dataset).evaluation["forecast"]["metrics"]["interval_coverage"]["value"]

    honest = coverage()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kurswerk.training._forecasting.calibration_parts", lambda examples, rows: (rows, rows))
        assert coverage() < honest - 0.2


def test_probes_catch_a_forecast_whose_interval_looks_at_the_test_rows(trained, market):
    original = folds.fit_forecaster

    def peeking(spec, examples, rows, watch):
        fitted = original(spec, examples, rows, watch)
        known = np.flatnonzero(np.isfinite(examples.returns))
        fitted.model.calibrate(examples.X, examples.returns, known, spec.nominal_coverage)
        return fitted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folds, "fit_forecaster", peeking)
        document = certify("ridge", {"coins": market}, trained, effort=EFFORT)
    assert not document["certified"]
    assert "fold_sealing" in {probe["check"] for probe in document["probes"] if not probe["passed"]}
    assert certify("ridge", {"coins": market}, trained, effort=EFFORT)["certified"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "xgboost", "params": {}}, "a return is forecast by"),
        ({"target": None, "operator": ">", "target_value": 1.0}, 'give "target": "return"'),
        ({"future_minutes": None}, "needs a horizon"),
        ({"direction": "up"}, "leave them out"),
        ({"horizon_mode": "within"}, "measured at the horizon"),
        ({"coverage": 0.3}, "coverage"),
    ],
)
def test_a_specification_that_contradicts_itself_is_refused(changes, message):
    with pytest.raises(SpecError, match=message):
        forecast_spec(**changes)
    with pytest.raises(SpecError, match="interval of a forecast"):
        a_spec(coverage=0.9)


def test_a_specification_of_before_keeps_its_document():
    assert not {"target", "coverage"} & set(a_spec().as_json())
    document = forecast_spec(coverage=0.8).as_json()
    assert (document["target"], document["coverage"]) == ("return", 0.8)
    assert ModelSpec.stored(document) == forecast_spec(coverage=0.8)
    assert forecast_spec().nominal_coverage == 0.9


def test_too_few_rows_to_calibrate_on_are_refused(market):
    spec = forecast_spec(coverage=0.99, train_end="2024-01-01T02:30:00Z", cv_splits=2)
    with pytest.raises(DataError, match="rows to calibrate on"):
        train(spec, stores_of(random_market(coins=1), MemoryRegistry()))
