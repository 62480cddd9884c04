"""Orders are refused before anything is written, or carried out to their end."""

from dataclasses import replace

import numpy as np
import pytest

from job_orders import JobEnvironment, order_certificate, order_comparison, order_test, order_training
from kurswerk.core.errors import (
    ArtifactForeignError,
    ConflictError,
    DataError,
    NoDataError,
    NotFoundError,
    SpecError,
    UnknownNameError,
)
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import MINUTE_US
from kurswerk.jobs import no_progress
from kurswerk.market import Panel
from kurswerk.registry import NewModel
from kurswerk.training import Period, train
from kurswerk.training._memory_estimate import scoring_bytes, training_bytes
from memory_jobs import MemoryJobs
from memory_market import START_US, MemoryMarket, MemoryRegistry, a_spec, random_market, stores_of

LATER = Period(START_US + 401 * MINUTE_US, START_US + 599 * MINUTE_US)
NEVER = Period(START_US - 10 * MINUTE_US, START_US - MINUTE_US)


@pytest.fixture(scope="module")
def panel() -> Panel:
    return random_market()


@pytest.fixture(scope="module")
def trained(panel: Panel) -> MemoryRegistry:
    registry = MemoryRegistry()
    for name in ("a", "b"):
        train(a_spec(name=name), stores_of(panel, registry))
    return registry


def environment_over(panel: Panel, registry: MemoryRegistry | None = None, **changes: object) -> JobEnvironment:
    registry = registry or MemoryRegistry()
    fields = {"market": MemoryMarket(panel), "models": registry, "results": registry, "jobs": MemoryJobs(), **changes}
    return JobEnvironment(**fields)  # type: ignore[arg-type]


@pytest.fixture
def env(panel: Panel, trained: MemoryRegistry) -> JobEnvironment:
    """An environment with the READY models a and b; what a test adds is gone after it."""
    registry = MemoryRegistry()
    registry.records.update(trained.records)
    registry.artifacts.update(trained.artifacts)
    return environment_over(panel, registry)


def nothing_written(env: JobEnvironment, models: int) -> bool:
    return not env.jobs.find() and len(env.models.find()) == models


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"features": ["buy_volume_sol"]},
            UnknownNameError,
            "needed by feature 'buy_volume_sol': 'buy_volume_sol'; did you mean 'volume_sol'?",
        ),
        ({"features": ["dev_sold_cumsum"]}, UnknownNameError, "needed by feature 'dev_sold_cumsum': 'dev_sold_amount'"),
        ({"target_var": "market_cap_close"}, UnknownNameError, "needed by target_var: 'market_cap_close'"),
        ({"phases": [1]}, UnknownNameError, "needed by phases: 'phase_id_at_time'"),
        (
            {"train_start": "2023-01-01", "train_end": "2023-02-01"},
            NoDataError,
            "the data reach from 2024-01-01T00:00:00Z to 2024-01-01T09:59:00Z with 2,400 rows of 4 coins",
        ),
        ({"mints": ["NOCOIN"]}, NoDataError, "no rows of NOCOIN from"),
        ({"name": "a"}, ConflictError, "a model named 'a' exists already"),
    ],
)
def test_a_training_that_cannot_succeed_is_refused(
    env: JobEnvironment, changes: dict[str, object], error: type[Exception], message: str
):
    with pytest.raises(error) as refused:
        order_training(a_spec(**changes), env)
    assert message in str(refused.value)
    assert nothing_written(env, models=2)


def test_a_market_that_allows_no_feature_is_refused(panel: Panel):
    only_whales = replace(panel, columns=("is_koth",), values=np.ones((1, len(panel))))
    spec = a_spec(
        features=["is_koth"],
        target_var="is_koth",
        use_time_based_prediction=True,
        use_engineered_features=True,
    )
    with pytest.raises(DataError, match="is_koth allow none of the engineered features"):
        order_training(spec, environment_over(only_whales))


def test_an_empty_market_is_named_as_the_reason(panel: Panel):
    class EmptyMarket(MemoryMarket):
        def has_rows(self, **_: object) -> bool:
            return False

        def availability(self):
            return replace(super().availability(), first_us=None, last_us=None)

    with pytest.raises(NoDataError, match="there are no market rows yet"):
        order_training(a_spec(), environment_over(panel, market=EmptyMarket(panel)))


def test_phases_are_asked_for_with_the_period(panel: Panel):
    phases = np.full(len(panel), 3.0)
    phased = replace(panel, columns=(*panel.columns, "phase_id_at_time"), values=np.vstack([panel.values, phases]))
    env = environment_over(phased)
    with pytest.raises(NoDataError, match="in phases 1, 2 from"):
        order_training(a_spec(phases=[1, 2]), env)
    assert order_training(a_spec(phases=[3]), env).status == "PENDING"


def test_more_memory_than_allowed_is_refused_by_name(env: JobEnvironment):
    small = replace(env, memory_budget_bytes=100 << 20)
    with pytest.raises(DataError, match=r"1,604 rows need about 0\.5 GiB of memory, allowed are 0\.1 GiB"):
        order_training(a_spec(), small)
    with pytest.raises(DataError, match="allowed are"):
        order_test("a", LATER, None, small)
    assert nothing_written(env, models=2)
    assert order_training(a_spec(), replace(env, memory_budget_bytes=1 << 30)).status == "PENDING"


def test_memory_grows_with_rows_features_and_resampling():
    stored = ["price_close", "volume_sol"]
    plain, engineered = a_spec(use_engineered_features=False), a_spec()
    one = training_bytes(plain, stored, 1_000_000)
    assert one < training_bytes(engineered, stored, 1_000_000)
    assert one < training_bytes(plain, stored, 2_000_000)
    assert one < training_bytes(a_spec(use_engineered_features=False, use_smote=True), stored, 1_000_000)
    assert scoring_bytes(2, 10, 10**6) < training_bytes(engineered, stored, 10**6)


@pytest.mark.parametrize(
    ("order", "error", "message"),
    [
        (lambda env: order_test("c", LATER, None, env), NotFoundError, "no model c"),
        (lambda env: order_test(3, LATER, None, env), ConflictError, "is TRAINING, not READY; wait for its training"),
        (lambda env: order_test("a", NEVER, None, env), NoDataError, "the data reach from"),
        (lambda env: order_test("a", LATER, ["X"], env), NoDataError, "no rows of X from"),
        (lambda env: order_comparison("a", 1, LATER, None, env), SpecError, "both sides are model 'a'"),
        (lambda env: order_comparison("a", 3, LATER, None, env), ConflictError, "not READY"),
        (lambda env: order_certificate(3, env), ConflictError, "not READY"),
    ],
)
def test_orders_about_models_are_checked(env: JobEnvironment, order, error: type[Exception], message: str):
    env.models.create(NewModel(a_spec(name="waiting").as_json()))
    with pytest.raises(error) as refused:
        order(env)
    assert message in str(refused.value)
    assert nothing_written(env, models=3)


def test_a_failed_model_and_one_of_other_definitions_are_refused(env: JobEnvironment, trained: MemoryRegistry):
    failed = env.models.create(NewModel(a_spec(name="failed").as_json()))
    env.models.fail(failed, Message("no"))
    with pytest.raises(ConflictError, match="is FAILED, not READY; train it again"):
        order_test("failed", LATER, None, env)
    hashes = dict.fromkeys(trained.records[1].feature_hashes, "0" * 64)
    env.models.records[1] = replace(trained.records[1], feature_hashes=hashes)  # type: ignore[attr-defined]
    for order in (lambda: order_test("a", LATER, None, env), lambda: order_certificate("a", env)):
        with pytest.raises(ArtifactForeignError, match="another definition"):
            order()


def test_a_training_is_carried_out_with_its_certificate(env: JobEnvironment):
    job = order_training(a_spec(name="c"), env, priority=9, request_id="r")
    assert (job.job_type, job.priority, job.request_id) == ("TRAIN", 9, "r")
    assert env.models.get("c").status == "TRAINING"
    received: list[float] = []
    env.service.run(env.jobs.start(job.id), lambda share, _: received.append(share))  # type: ignore[attr-defined]
    record = env.models.get("c")
    assert (record.id, record.status, env.jobs.get(job.id).status) == (job.result_model_id, "READY", "COMPLETED")
    assert record.certificate is not None
    assert record.certificate["certified"]
    assert record.certificate["artifact_sha256"] == record.artifact_sha256
    assert received == sorted(received)
    assert received[0] >= 0
    assert received[-1] <= 1


def test_results_are_stored_with_the_end_of_their_job(env: JobEnvironment):
    orders = [
        order_test("a", LATER, ["COIN1"], env),
        order_comparison("a", "b", LATER, None, env),
        order_certificate("b", env),
    ]
    assert orders[0].request["mints"] == ["COIN1"]
    for job in orders:
        env.service.run(env.jobs.start(job.id), lambda *_: None)  # type: ignore[attr-defined]
    done = [env.jobs.get(job.id) for job in orders]
    assert [job.status for job in done] == ["COMPLETED"] * 3
    assert (done[0].result_test_id, done[1].result_comparison_id) == (1, 1)
    results = env.results
    assert isinstance(results, MemoryRegistry)
    assert (len(results.tests), len(results.comparisons)) == (3, 1)
    assert (results.comparisons[0].test_a_id, results.comparisons[0].test_b_id) == (2, 3)
    assert env.models.get("b").certificate is not None


def test_a_run_that_counts_no_more_stores_no_end(env: JobEnvironment):
    job = order_test("a", LATER, None, env)
    run = env.jobs.start(job.id)  # type: ignore[attr-defined]
    env.jobs.cancel(job.id)
    with pytest.raises(ConflictError, match="not the present one"):
        env.service.run(run, lambda *_: None)
    assert env.jobs.get(job.id).status == "CANCELLED"


def test_data_that_went_away_meanwhile_end_the_run(env: JobEnvironment, panel: Panel):
    job = order_training(a_spec(name="c"), env)
    emptied = replace(env, market=MemoryMarket(panel.where(panel.timestamps > LATER.end_us - MINUTE_US)))
    with pytest.raises(NoDataError):
        emptied.service.run(env.jobs.start(job.id), lambda *_: None)  # type: ignore[attr-defined]


def test_a_training_reads_the_specification_of_its_model_alone(panel: Panel):
    env = environment_over(panel)
    spec = a_spec(name="once")
    job = order_training(spec, env)
    assert job.request == env.models.get("once").spec == spec.as_json()
    other = a_spec(name="other", params={"n_estimators": 3, "max_depth": 2}).as_json()
    running = replace(env.jobs.start(job.id), request=other)
    env.service.run(running, no_progress)
    trained = env.models.get("once")
    wanted = train(a_spec(name="wanted"), stores_of(panel, MemoryRegistry()))
    assert (trained.status, trained.artifact_sha256) == ("READY", wanted.artifact_sha256)
