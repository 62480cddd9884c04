"""Order work: what cannot succeed is refused here, before anything is written."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kurswerk.core.errors import ConflictError, DataError, NoDataError, SpecError, UnknownNameError
from kurswerk.core.timestamps import format_timestamp
from kurswerk.features import FeaturePlan, engineered_names
from kurswerk.registry import ModelRecord, ModelStore, NewModel, ResultStore, plan_of
from kurswerk.training._dataset import PHASE
from kurswerk.training._jobs import DEFAULT_PRIORITY, Job
from kurswerk.training._memory import refuse_above, scoring_bytes, training_bytes
from kurswerk.training._testing import Period
from kurswerk.training.ports import JobStore, MarketSurvey
from kurswerk.training.spec import ModelSpec


@dataclass(frozen=True)
class OrderDesk:
    """Where work is ordered and carried out: the market, the registry, and the jobs, all of one database.

    Attributes
    ----------
    memory_budget_bytes
        What one job may take; None is unlimited.
    """

    market: MarketSurvey
    models: ModelStore
    results: ResultStore
    jobs: JobStore
    memory_budget_bytes: int | None = None


def order_training(
    spec: ModelSpec, desk: OrderDesk, *, priority: int = DEFAULT_PRIORITY, request_id: str | None = None
) -> Job:
    """Order a training: the model's row reserves its name, the job and its place in the queue commit with it.

    Raises
    ------
    UnknownNameError, DataError
        If a column is not in the table, or no engineered feature is possible.
    NoDataError
        If the period, the coins and the phases have no rows; the message tells what there is.
    DataError
        If it would take more memory than a job may.
    ConflictError
        If the name is taken.
    """
    check_training(spec, desk)
    with desk.jobs.transaction():
        model_id = desk.models.create(NewModel(spec.as_json()))
        job_id = desk.jobs.order("TRAIN", spec.as_json(), model_id=model_id, priority=priority, request_id=request_id)
        return desk.jobs.get(job_id)


def order_test(
    model: int | str,
    period: Period,
    mints: Sequence[str] | None,
    desk: OrderDesk,
    *,
    priority: int = DEFAULT_PRIORITY,
    request_id: str | None = None,
) -> Job:
    """Order a test of a model on a period and coins; None is all coins.

    Raises
    ------
    NotFoundError, ConflictError
        If the model does not exist or is not READY.
    ArtifactForeignError
        If its features are defined differently today.
    NoDataError, DataError
        As for `order_training`.
    """
    record = ready_model(model, desk.models)
    check_scoring(record, period, mints, desk)
    request = {"model_id": record.id, **_period_json(period, mints)}
    return desk.jobs.get(desk.jobs.order("TEST", request, priority=priority, request_id=request_id))


def order_comparison(
    model_a: int | str,
    model_b: int | str,
    period: Period,
    mints: Sequence[str] | None,
    desk: OrderDesk,
    *,
    priority: int = DEFAULT_PRIORITY,
    request_id: str | None = None,
) -> Job:
    """Order a comparison of two models on identical rows.

    Raises
    ------
    SpecError
        If both are the same model.
    NotFoundError, ConflictError, ArtifactForeignError, NoDataError, DataError
        As for `order_test`.
    """
    record_a, record_b = ready_model(model_a, desk.models), ready_model(model_b, desk.models)
    if record_a.id == record_b.id:
        raise SpecError(f"both sides are model '{record_a.name}'; name two different models")
    for record in (record_a, record_b):
        check_scoring(record, period, mints, desk)
    request = {"model_a_id": record_a.id, "model_b_id": record_b.id, **_period_json(period, mints)}
    return desk.jobs.get(desk.jobs.order("COMPARE", request, priority=priority, request_id=request_id))


def order_certificate(
    model: int | str, desk: OrderDesk, *, priority: int = DEFAULT_PRIORITY, request_id: str | None = None
) -> Job:
    """Order a new certificate for a model.

    Raises
    ------
    NotFoundError, ConflictError, ArtifactForeignError
        As for `order_test`.
    """
    record = ready_model(model, desk.models)
    plan_of(record)
    request = {"model_id": record.id}
    job_id = desk.jobs.order("CERTIFY", request, model_id=record.id, priority=priority, request_id=request_id)
    return desk.jobs.get(job_id)


def check_training(spec: ModelSpec, desk: OrderDesk) -> None:
    """Refuse a training that cannot succeed on the data as they are now."""
    stored = desk.market.columns()
    require_columns([spec.target_var], stored, "target_var")
    for name in spec.raw_features:
        require_columns(FeaturePlan([name]).inputs, stored, f"feature '{name}'")
    if not spec.raw_features and not engineered_names(stored, spec.feature_engineering_windows):
        raise DataError(f"the columns {', '.join(stored)} allow none of the engineered features")
    if spec.phases is not None:
        require_columns([PHASE], stored, "phases")
    refuse_without_rows(desk.market, Period(spec.train_start_us, spec.train_end_us), spec.mints, spec.phases)
    rows = desk.market.estimated_rows(end_us=spec.train_end_us, mints=spec.mints)
    refuse_above(desk.memory_budget_bytes, training_bytes(spec, stored, rows), rows)


def check_scoring(record: ModelRecord, period: Period, mints: Sequence[str] | None, desk: OrderDesk) -> None:
    """Refuse a test that cannot succeed on the data as they are now."""
    spec, plan, stored = ModelSpec.parse(record.spec), plan_of(record), desk.market.columns()
    inputs = {*plan.inputs, spec.target_var}
    require_columns(sorted(inputs), stored, f"model '{record.name}'")
    refuse_without_rows(desk.market, period, mints, spec.phases)
    rows = desk.market.estimated_rows(end_us=period.end_us, mints=mints)
    refuse_above(desk.memory_budget_bytes, scoring_bytes(len(inputs), len(plan.names), rows), rows)


def ready_model(model: int | str, models: ModelStore) -> ModelRecord:
    """Return a model that is READY.

    Raises
    ------
    NotFoundError, ConflictError
        If it does not exist or is not READY.
    """
    record = models.get(model)
    if record.status != "READY":
        remedy = "wait for its training" if record.status == "TRAINING" else "train it again"
        raise ConflictError(f"model '{record.name}' is {record.status}, not READY; {remedy}")
    return record


def require_columns(names: Iterable[str], stored: Collection[str], purpose: str) -> None:
    """Refuse columns that the market does not have.

    Raises
    ------
    UnknownNameError
        Naming what needs the column, and the nearest that is there.
    """
    for name in names:
        if name not in stored and name != "timestamp":
            raise UnknownNameError(f"column in the market data, needed by {purpose}:", name, stored)


def refuse_without_rows(
    market: MarketSurvey, period: Period, mints: Sequence[str] | None, phases: Sequence[int] | None
) -> None:
    """Refuse a period in which there is nothing.

    Raises
    ------
    NoDataError
        Naming what was asked for and what there is.
    """
    if market.has_rows(start_us=period.start_us, end_us=period.end_us, mints=mints, phases=phases):
        return
    there = market.availability()
    if there.first_us is None or there.last_us is None:
        raise NoDataError("there are no market rows yet; ingest data first")
    of_coins = f" of {', '.join(mints[:5])}{' and others' if len(mints) > 5 else ''}" if mints else ""
    in_phases = f" in phases {', '.join(map(str, phases))}" if phases else ""
    raise NoDataError(
        f"no rows{of_coins}{in_phases} from {format_timestamp(period.start_us)} to {format_timestamp(period.end_us)}; "
        f"the data reach from {format_timestamp(there.first_us)} to {format_timestamp(there.last_us)} "
        f"with {there.rows:,} rows of {there.coins:,} coins"
    )


def _period_json(period: Period, mints: Sequence[str] | None) -> dict[str, Any]:
    return {
        "test_start": format_timestamp(period.start_us),
        "test_end": format_timestamp(period.end_us),
        "mints": None if mints is None else list(mints),
    }
