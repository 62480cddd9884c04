"""Train, test, compare, certify and reproduce, over a market and a registry in memory."""

from dataclasses import replace

import numpy as np
import pytest

from kurswerk.checks import Effort
from kurswerk.core.digest import sha256_bytes
from kurswerk.core.errors import (
    ArtifactCorruptError,
    ArtifactForeignError,
    ConflictError,
    DataError,
    KurswerkError,
    NoDataError,
    NotFoundError,
    SpecError,
)
from kurswerk.core.timestamps import MINUTE_US
from kurswerk.labels import compute_labels
from kurswerk.models import OnnxModel, as_model_input
from kurswerk.registry import load_model, plan_of
from kurswerk.serving import predict_instrument
from kurswerk.training import (
    Costs,
    Period,
    TrainingStores,
    build_dataset,
    certify,
    compare_models,
    load_dataset,
    reproduce,
    run_test,
    train,
    training_plan,
)
from memory_market import START_US, MemoryMarket, MemoryRegistry, a_spec, random_market, stores_of


def stores(market: MemoryMarket, registry: MemoryRegistry) -> TrainingStores:
    return stores_of(market.panel, registry)


LATER = Period(START_US + 401 * MINUTE_US, START_US + 599 * MINUTE_US)
EFFORT = Effort(trials=2, panel_rows=400, fit_rows=600)


@pytest.fixture(scope="module")
def market():
    return MemoryMarket(random_market())


@pytest.fixture(scope="module")
def trained(market):
    registry = MemoryRegistry()
    received: list[float] = []
    train(a_spec(), stores(market, registry), progress=lambda share, _: received.append(share))
    train(a_spec(name="forest", model_type="random_forest", use_smote=True), stores(market, registry))
    assert received == sorted(received)
    assert received[-1] <= 1.0
    return registry


def test_a_trained_model_is_ready_with_all_that_its_record_promises(trained):
    record = trained.get("small")
    assert record.status == "READY"
    assert sha256_bytes(trained.artifact(record.artifact_sha256)) == record.artifact_sha256
    assert set(record.features) == set(record.feature_hashes) == set(record.feature_importance)
    assert "price_change_5" in record.features
    assert "price_close" not in record.features, "the watched variable is no raw feature"
    assert record.evaluation["kind"] == "out of fold"
    assert record.evaluation["num_samples"] < record.evaluation["training_rows"]
    assert set(record.evaluation["baselines"]) == {"base_rate", "volatility", "persistence"}
    assert record.cv_scores["n_splits"] == 3
    assert "xgboost-cpu" in record.library_versions


def test_only_rows_whose_label_ends_inside_the_training_period_are_trained_on(market):
    spec = a_spec()
    dataset = load_dataset(spec, market)
    assert dataset.panel.timestamps.max() <= spec.train_end_us
    assert dataset.labels.end_us[dataset.rows].max() <= spec.train_end_us
    whole = compute_labels(market.panel, spec.label_spec())
    assert len(dataset.rows) < int((whole.values >= 0).sum())


def test_changing_everything_after_the_training_period_changes_no_byte(market, trained):
    spec = a_spec(name="again")
    changed = market.panel.values.copy()
    changed[:, market.panel.timestamps > spec.train_end_us] *= 7.0
    registry = MemoryRegistry()
    record = train(spec, stores(MemoryMarket(replace(market.panel, values=changed)), registry))
    assert record.artifact_sha256 == trained.get("small").artifact_sha256


def test_features_are_computed_from_the_first_stored_row_not_from_the_period(market):
    late = a_spec(train_start="2024-01-01T03:00:00Z")
    whole, part = load_dataset(a_spec(), market), load_dataset(late, market)
    assert part.rows.min() > whole.rows.min()
    np.testing.assert_array_equal(whole.features[part.rows], part.features[part.rows])


def test_phases_choose_rows_but_not_history(market):
    phase = (market.panel.timestamps // MINUTE_US % 2 + 1).astype(float)
    values = np.vstack((market.panel.values, phase))
    panel = replace(market.panel, columns=(*market.panel.columns, "phase_id_at_time"), values=values)
    both, one = (load_dataset(a_spec(phases=phases), MemoryMarket(panel)) for phases in ([1, 2], [2]))
    assert 0 < len(one.rows) < len(both.rows)
    assert set(panel.until(a_spec().train_end_us).column("phase_id_at_time")[one.rows]) == {2.0}
    with pytest.raises(NoDataError, match="other phases"):
        load_dataset(a_spec(phases=[99]), MemoryMarket(panel))


def test_a_test_reports_overlap_baselines_and_trades_net_of_costs(market, trained):
    number, cheap = run_test("small", LATER, stores(market, trained), costs=Costs(fee_bps=0, slippage_bps=0))
    assert trained.tests_of(1)[0] is cheap
    assert number == len(trained.tests)
    assert not cheap.has_overlap
    assert cheap.num_samples == cheap.num_positive + cheap.num_negative
    _, dear = run_test(
        "small",
        LATER,
        stores(market, trained),
        costs=Costs(fee_bps=50, slippage_bps=50),
        mints=["COIN1", "COIN2"],
    )
    assert dear.num_samples < cheap.num_samples
    _, seen = run_test("small", Period(START_US, START_US + 200 * MINUTE_US), stores(market, trained))
    assert seen.has_overlap
    assert "100.0% of the test period" in seen.overlap_note


def test_a_period_without_data_names_the_range(market, trained):
    with pytest.raises(NoDataError, match="the data reach from 2024-01-01T00:00:00Z to 2024-01-01T09:59:00Z"):
        run_test("small", Period(START_US + 10**12, START_US + 2 * 10**12), stores(market, trained))
    with pytest.raises(NoDataError, match="no rows of NOBODY from"):
        run_test("small", LATER, stores(market, trained), mints=["NOBODY"])
    with pytest.raises(SpecError, match="not before its end"):
        Period(5, 5)


def test_compare_judges_identical_rows_and_f1_decides(market, trained):
    _, comparison = compare_models("small", "forest", LATER, stores(market, trained))
    f1 = {1: comparison.a_metrics.f1, 2: comparison.b_metrics.f1}
    assert comparison.winner_id == (None if f1[1] == f1[2] else max(f1, key=f1.__getitem__))
    assert comparison.num_samples == trained.tests[-1].num_samples == trained.tests[-2].num_samples
    assert comparison.significance["mcnemar"]["p_value"] <= 1.0
    with pytest.raises(SpecError, match="two different models"):
        compare_models("small", 1, LATER, stores(market, trained))


def test_models_with_other_targets_are_compared_without_a_paired_test(market, trained):
    registry = MemoryRegistry()
    registry.records, registry.artifacts = dict(trained.records), dict(trained.artifacts)
    train(a_spec(name="longer", future_minutes=30), stores(market, registry))
    _, comparison = compare_models("small", "longer", LATER, stores(market, registry))
    assert comparison.significance["more_than_luck"] is None
    assert "different questions" in comparison.significance["sentence"]
    kept = registry.tests[-1].num_samples
    _, alone = run_test("small", LATER, stores(market, registry))
    assert kept < alone.num_samples, "rows that only one of them can judge are left out"


def test_a_clean_model_is_certified_with_no_bit_different(market, trained):
    for name in ("small", "forest"):
        document = certify(name, {"coins": market}, trained, effort=EFFORT)
        assert document["certified"], [probe for probe in document["probes"] if not probe["passed"]]
        assert document["differing_bits"] == document["leaks_found"] == 0
        assert document["values_compared"] > 1000
        assert trained.get(name).certificate == document


def test_a_model_of_one_coin_alone_is_certified_too(market):
    registry = MemoryRegistry()
    train(a_spec(mints=["COIN1"]), stores(market, registry))
    document = certify("small", {"coins": market}, registry, effort=EFFORT)
    assert document["certified"], [probe for probe in document["probes"] if not probe["passed"]]


def test_training_again_from_the_record_gives_the_same_bytes(market, trained):
    for name in ("small", "forest"):
        assert sha256_bytes(reproduce(name, {"coins": market}, trained)) == trained.get(name).artifact_sha256


def test_changed_data_cannot_pass_as_a_reproduction(market, trained):
    values = market.panel.values.copy()
    values[0, 5] += 1e-12
    with pytest.raises(KurswerkError, match="have changed since it was trained"):
        reproduce("small", {"coins": MemoryMarket(replace(market.panel, values=values))}, trained)


def test_an_artifact_that_is_not_what_was_registered_is_refused(trained):
    record = trained.get("small")
    broken = MemoryRegistry()
    data = bytearray(trained.artifact(record.artifact_sha256))
    data[len(data) // 2] ^= 1
    broken.artifacts[record.artifact_sha256] = bytes(data)
    with pytest.raises(ArtifactCorruptError, match="registered is"):
        load_model(record, broken)
    other = replace(record, features=record.features[::-1])
    with pytest.raises(ArtifactForeignError, match="other features"):
        load_model(other, trained)
    with pytest.raises(ConflictError, match="is FAILED, not READY"):
        load_model(replace(record, status="FAILED"), trained)
    hashes = dict(record.feature_hashes) | {record.features[0]: "0" * 64}
    with pytest.raises(ArtifactForeignError, match="another definition"):
        plan_of(replace(record, feature_hashes=hashes))


def test_a_taken_name_is_a_conflict_and_a_failed_training_names_the_reason(market):
    registry = MemoryRegistry()
    with pytest.raises(DataError, match="have the label 0"):
        train(a_spec(min_percent_change=1e6), stores(market, registry))
    assert registry.get("small").status == "FAILED"
    assert "have the label 0" in registry.get("small").error_msg
    with pytest.raises(ConflictError, match="exists already"):
        train(a_spec(), stores(market, registry))


def test_an_interrupted_training_is_not_left_training(market):
    registry = MemoryRegistry()

    def interrupt(share: float, message: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(a_spec(), stores(market, registry), progress=interrupt)
    assert registry.get("small").status == "FAILED"


def test_a_hold_out_tests_on_the_last_fifth(market):
    record = train(a_spec(use_timeseries_split=False), stores(market, MemoryRegistry()))
    share = record.evaluation["num_samples"] / record.evaluation["training_rows"]
    assert record.cv_scores["n_splits"] == 1
    assert 0.15 < share < 0.25


def test_a_feature_without_data_is_named(market):
    panel = market.load_panel(["price_close", "volume_sol"])
    values = np.vstack((panel.values, np.full(len(panel), np.nan)))
    empty = replace(panel, columns=(*panel.columns, "buy_volume_sol"), values=values)
    with pytest.raises(DataError, match="column 'buy_volume_sol' has no value"):
        training_plan(a_spec(features=["buy_volume_sol"]), empty)


def test_prediction_uses_only_what_was_known(market, trained):
    records = trained.find()
    moment = START_US + 300 * MINUTE_US + 5
    found = predict_instrument("COIN2", records, {"coins": market}, trained, at_us=moment)
    assert found.timestamp_us == START_US + 300 * MINUTE_US
    assert {prediction.model_name for prediction in found.predictions} == {"small", "forest"}
    record = trained.get("small")
    dataset = build_dataset(
        market.panel, plan_of(record), a_spec().label_spec(), (found.timestamp_us, found.timestamp_us), None
    )
    row = market.panel.rows_of("COIN2").start + 300
    expected = OnnxModel.load(trained.artifact(record.artifact_sha256)).predict_proba(
        as_model_input(dataset.features[row : row + 1])
    )
    by_name = {prediction.model_name: prediction for prediction in found.predictions}
    assert by_name["small"].probability == float(expected[0])
    assert by_name["small"].prediction == int(expected[0] >= 0.5)
    assert by_name["small"].missing_features == ()
    early = predict_instrument("COIN2", records, {"coins": market}, trained, at_us=START_US)
    assert "price_change_5" in early.predictions[0].missing_features


def test_prediction_names_what_is_missing(market, trained):
    with pytest.raises(NotFoundError, match="'NOBODY' has no stored row"):
        predict_instrument("NOBODY", trained.find(), {"coins": market}, trained)
    with pytest.raises(NotFoundError, match="up to 1970"):
        predict_instrument("COIN1", trained.find(), {"coins": market}, trained, at_us=0)
    with pytest.raises(NotFoundError, match="no model is READY"):
        predict_instrument("COIN1", [], {"coins": market}, trained)
