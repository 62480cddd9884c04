"""One suite for every implementation of the registry's ports, and what only PostgreSQL does."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integration.storage.coins import run
from kurswerk.core.digest import sha256_bytes
from kurswerk.core.errors import (
    ConflictError,
    ConstraintError,
    InvalidInputError,
    NotFoundError,
    StorageError,
    UnknownNameError,
)
from kurswerk.core.messages import Message
from kurswerk.evaluation import Metrics
from kurswerk.registry import Comparison, ModelStore, NewModel, ResultStore, TestResult, TrainedVersion
from kurswerk.storage.registry import PostgresModelStore, PostgresResultStore
from kurswerk.storage.server import Database
from memory_market import MemoryRegistry, a_spec

METRICS = Metrics(0.9, 0.5, 0.6, 0.7, 0.8, 0.4, 0.1, 0.3, 10, 20, 3, 4, 1.25)
NO_CLASS = Metrics(1.0, 0.0, 0.0, 0.0, None, 0.0, 0.0, None, 0, 9, 0, 0, None)
START = datetime(2024, 7, 1, tzinfo=UTC)
VERSION = TrainedVersion(
    artifact=b"\x00onnx\xff" * 1000,
    features=("volume_sol", "price_change_5"),
    feature_hashes={"volume_sol": "a" * 64, "price_change_5": "b" * 64},
    dataset_fingerprint="c" * 64,
    library_versions={"xgboost": "3.2"},
    metrics=METRICS,
    evaluation={"pr_auc": {"value": 0.5, "low": 0.4}},
    cv_scores={"f1": [0.1, 0.2]},
    cv_overfitting_gap=0.05,
    feature_importance={"price_change_5": 0.75, "volume_sol": 0.25},
)


@pytest.fixture(params=["memory", "postgres"])
def models(request: pytest.FixtureRequest) -> ModelStore:
    if request.param == "memory":
        return MemoryRegistry()
    return PostgresModelStore(request.getfixturevalue("database"))


@pytest.fixture
def results(models: ModelStore) -> ResultStore:
    return models if isinstance(models, MemoryRegistry) else PostgresResultStore(models._database)  # type: ignore[attr-defined]


@pytest.fixture
def store(database: Database) -> PostgresModelStore:
    return PostgresModelStore(database)


@pytest.fixture
def result_store(database: Database) -> PostgresResultStore:
    return PostgresResultStore(database)


def new(name: str = "one", **changes: Any) -> NewModel:
    return NewModel(a_spec(name=name, **changes).model_dump(mode="json"))


def a_test(model_id: int, **changes: Any) -> TestResult:
    plain = TestResult(
        model_id=model_id,
        test_start=START,
        test_end=START + timedelta(days=3),
        metrics=METRICS,
        num_samples=37,
        num_positive=14,
        num_negative=23,
        has_overlap=True,
        overlap_note="half of it",
        train_accuracy=0.95,
        accuracy_degradation=0.05,
        is_overfitted=False,
        feature_importance={"volume_sol": 0.2, "b": 0.8},
        evaluation={"brier": 0.1},
    )
    return replace(plain, **changes)


def test_a_new_model_is_training(models: ModelStore):
    number = models.create(new())
    record = models.get(number)
    assert (record.id, record.name, record.status) == (number, "one", "TRAINING")
    assert (record.is_active, record.is_deleted, record.alert_threshold) == (False, False, 0.7)
    assert record.spec == new().spec
    assert record.train_start == datetime(2024, 1, 1, tzinfo=UTC)
    assert record.metrics is None
    assert record.artifact_sha256 is None
    assert models.get("one") == record


def test_a_name_is_taken_once(models: ModelStore):
    models.create(new())
    with pytest.raises(ConflictError, match="'one'"):
        models.create(new())


def test_what_training_leaves_behind_comes_back(models: ModelStore):
    number = models.create(new())
    models.complete(number, VERSION)
    record = models.get(number)
    assert record.status == "READY"
    assert record.artifact_sha256 == sha256_bytes(VERSION.artifact)
    assert models.artifact(record.artifact_sha256) == VERSION.artifact
    for name in ("features", "feature_hashes", "dataset_fingerprint", "library_versions", "metrics", "evaluation"):
        assert getattr(record, name) == getattr(VERSION, name), name
    for name in ("cv_scores", "cv_overfitting_gap", "feature_importance"):
        assert getattr(record, name) == getattr(VERSION, name), name
    assert list(record.feature_importance) == list(VERSION.feature_importance)


def test_a_model_is_changed(models: ModelStore):
    number, _ = models.create(new()), models.create(new("taken"))
    models.update(number, {"name": "other", "alert_threshold": 0.8})
    models.update(number, {"description": "better"})
    models.update(number, {})
    record = models.get(number)
    assert (record.name, record.alert_threshold, record.description) == ("other", 0.8, "better")
    with pytest.raises(ConflictError, match="taken"):
        models.update(number, {"name": "taken"})
    with pytest.raises(NotFoundError):
        models.update(99, {"name": "x"})


def test_only_some_fields_of_a_model_can_be_changed(store: PostgresModelStore):
    with pytest.raises(UnknownNameError, match="field that can be changed"):
        store.update(store.create(new()), {"status": "READY"})


def test_a_failure_keeps_its_reason(models: ModelStore):
    number = models.create(new())
    models.fail(number, Message("one class only"))
    assert (models.get(number).status, models.get(number).error_msg) == ("FAILED", "one class only")


def test_models_are_found_newest_first(models: ModelStore):
    numbers = [models.create(new(f"m{k}", model_type="random_forest" if k % 2 else "xgboost")) for k in range(5)]
    models.complete(numbers[3], VERSION)
    assert [record.id for record in models.find()] == numbers[::-1]
    assert [record.id for record in models.find(limit=2, offset=1)] == [numbers[3], numbers[2]]
    assert [record.id for record in models.find(status="READY")] == [numbers[3]]
    assert [record.id for record in models.find(status="TRAINING", model_type="random_forest")] == [numbers[1]]


def test_deleted_models_are_gone_and_their_names_free(models: ModelStore):
    number = models.create(new())
    models.delete(number)
    assert models.find() == []
    for name in (number, "one"):
        with pytest.raises(NotFoundError):
            models.get(name)
    models.create(new())


def test_the_latest_certificate_stays(models: ModelStore):
    number = models.create(new())
    models.set_certificate(number, {"certified": False})
    models.set_certificate(number, {"certified": True, "differing_bits": 0})
    assert models.get(number).certificate == {"certified": True, "differing_bits": 0}


def test_tests_come_back_newest_first(models: ModelStore, results: ResultStore):
    number, other = models.create(new()), models.create(new("two"))
    first = results.save_test(a_test(number))
    second = results.save_test(a_test(number, metrics=NO_CLASS, is_overfitted=None, train_accuracy=None))
    results.save_test(a_test(other))
    found = results.tests_of(number)
    assert first != second
    assert [test.metrics for test in found] == [NO_CLASS, METRICS]
    assert replace(found[1], id=None, created_at=None) == a_test(number)
    assert len(results.tests_of(number, limit=1)) == 1


# From here on PostgreSQL alone.


def test_names_win_over_numbers_and_near_names_are_offered(store: PostgresModelStore):
    first = store.create(new("pump forecast"))
    named = store.create(new(str(first)))
    assert store.get(str(first)).id == named
    assert store.get(str(named)).name == str(first)
    assert store.get(first).name == "pump forecast"
    with pytest.raises(NotFoundError, match="did you mean 'pump forecast'"):
        store.get("pump forcast")
    for absurd in ("x\0y", "9" * 400, 2**70, -1, "²"):
        with pytest.raises(NotFoundError, match="unknown model"):
            store.get(absurd)


def test_a_name_may_be_any_text(store: PostgresModelStore):
    name = '\'; DROP TABLE ml_models; -- "%s" {} \\ ü'
    assert store.get(store.create(new(name))).name == name
    assert store.get(name).name == name


def test_sorting(store: PostgresModelStore):
    for name in ("b", "c", "a"):
        store.create(new(name))
    store.complete(store.get("c").id, VERSION)
    assert [record.name for record in store.find(sort="name", descending=False)] == ["a", "b", "c"]
    assert next(iter(store.find(sort="training_f1"))).name == "c"
    assert [record.name for record in store.find(sort="id", descending=False)] == ["b", "c", "a"]
    with pytest.raises(UnknownNameError, match="sort"):
        store.find(sort="id; DROP TABLE ml_models")
    with pytest.raises(UnknownNameError, match="status"):
        store.find(status="GONE")
    with pytest.raises(InvalidInputError, match="limit is -1"):
        store.find(limit=-1)


def test_a_model_is_finished_once(store: PostgresModelStore):
    number = store.create(new())
    store.complete(number, VERSION)
    with pytest.raises(ConflictError, match="is READY, not TRAINING"):
        store.fail(number, Message("late"))
    with pytest.raises(ConflictError):
        store.complete(number, VERSION)
    assert store.get(number).error_msg is None


def test_what_is_not_there(store: PostgresModelStore, database: Database):
    with pytest.raises(NotFoundError):
        store.complete(7, VERSION)
    assert run(database, "SELECT count(*) FROM ml_artifacts") == [(0,)]  # the artifact went with its model
    for action in (lambda: store.fail(7, Message("")), lambda: store.set_certificate(7, {}), lambda: store.delete(7)):
        with pytest.raises(NotFoundError, match="unknown model '7'"):
            action()
    with pytest.raises(NotFoundError, match="no artifact"):
        store.artifact("0" * 64)


def test_one_artifact_serves_two_models(store: PostgresModelStore, database: Database):
    for name in ("a", "b"):
        store.complete(store.create(new(name)), VERSION)
    assert run(database, "SELECT size FROM ml_artifacts") == [(len(VERSION.artifact),)]


def test_a_specification_that_lacks_something(store: PostgresModelStore):
    with pytest.raises(InvalidInputError, match="lacks features, target_var"):
        store.create(NewModel({**new().spec, "features": [], "target_var": ""}))


def test_what_the_database_refuses_keeps_its_name(store: PostgresModelStore):
    with pytest.raises(ConstraintError) as caught:
        store.create(NewModel({**new().spec, "train_end": new().spec["train_start"]}))
    assert caught.value.constraint == "ml_models_period_check"
    with pytest.raises(StorageError, match="too long"):
        store.create(NewModel({**new().spec, "name": "n" * 256}))


def test_numbers_that_json_does_not_have(store: PostgresModelStore):
    number = store.create(new())
    version = replace(VERSION, evaluation={"pr_auc": float("nan")}, cv_overfitting_gap=float("inf"), cv_scores=None)
    store.complete(number, version)
    record = store.get(number)
    assert (record.evaluation, record.cv_overfitting_gap, record.cv_scores) == ({"pr_auc": None}, None, None)


def test_one_of_two_at_once_gets_the_name(store: PostgresModelStore):
    outcomes: list[str] = []

    def create() -> None:
        try:
            store.create(new("wanted"))
            outcomes.append("created")
        except ConflictError:
            outcomes.append("refused")

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["created", "refused", "refused", "refused"]


def test_a_comparison_comes_back(store: PostgresModelStore, result_store: PostgresResultStore):
    a, b = store.create(new("a")), store.create(new("b"))
    tests = [result_store.save_test(a_test(number)) for number in (a, b)]
    comparison = Comparison(
        model_a_id=a,
        model_b_id=b,
        test_a_id=tests[0],
        test_b_id=tests[1],
        test_start=START,
        test_end=START + timedelta(days=1),
        num_samples=37,
        a_metrics=METRICS,
        b_metrics=NO_CLASS,
        winner_id=a,
        significance={"mcnemar": {"p": 0.01}},
    )
    number = result_store.save_comparison(comparison)
    found = result_store.comparison(number)
    assert replace(found, id=None, created_at=None) == comparison
    draw = result_store.save_comparison(replace(comparison, winner_id=None))
    assert [one.id for one in result_store.comparisons_of(b)] == [draw, number]
    with pytest.raises(ConstraintError) as caught:
        result_store.save_comparison(replace(comparison, model_b_id=a))
    assert caught.value.constraint == "ml_comparisons_models_check"
    with pytest.raises(NotFoundError, match="test_a_id_fkey"):
        result_store.save_comparison(replace(comparison, test_a_id=99))
    with pytest.raises(NotFoundError, match="no comparison 99"):
        result_store.comparison(99)


def test_a_test_by_its_number(store: PostgresModelStore, result_store: PostgresResultStore):
    number = store.create(new())
    saved = result_store.save_test(a_test(number))
    found = result_store.test(saved)
    assert found.id == saved
    assert list(found.feature_importance) == ["b", "volume_sol"]
    with pytest.raises(NotFoundError, match="no test result 99"):
        result_store.test(99)
    with pytest.raises(NotFoundError, match="model_id_fkey"):
        result_store.save_test(a_test(99))


def test_new_models_have_the_threshold_of_the_settings(database):
    usual, own = PostgresModelStore(database), PostgresModelStore(database, alert_threshold=0.85)
    found = [
        store.get(store.create(NewModel(a_spec(name=name).as_json()))).alert_threshold
        for name, store in (("a", usual), ("b", own))
    ]
    assert found == [0.7, 0.85]
