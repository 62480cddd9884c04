"""Refuse work that cannot succeed, before anything is written."""

from collections.abc import Collection, Iterable, Sequence

from kurswerk.core.errors import ConflictError, DataError, NoDataError, SpecError, UnknownNameError
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import format_timestamp
from kurswerk.features import FeaturePlan, engineered_names
from kurswerk.registry import ModelRecord, ModelStore, common_market, plan_of
from kurswerk.training._memory_estimate import refuse_above, scoring_bytes, training_bytes
from kurswerk.training._period import Period
from kurswerk.training.ports import MarketSurvey, TrainingStores
from kurswerk.training.spec import ModelSpec

# Of the coins asked for.
_MOST_NAMED = 5


def check_training(spec: ModelSpec, stores: TrainingStores) -> None:
    """Refuse a training that cannot succeed on the data as they are now.

    Raises
    ------
    UnknownNameError, DataError
        If a column is not in the table, or no engineered feature is possible.
    NoDataError
        If the period, the coins and the phases have no rows; the message states what there is.
    DataError
        If it would take more memory than a job may.
    """
    market, rows_of_market = spec.market_schema, stores.markets[spec.market]
    stored = rows_of_market.columns()
    require_columns(spec.label_spec().columns, stored, "target_var")
    for name in spec.raw_features:
        require_columns(FeaturePlan([name], market).inputs, stored, Message("market.needed_by_feature", feature=name))
    if not spec.raw_features and not engineered_names(stored, market, spec.feature_engineering_windows):
        raise DataError("training.columns_without_engineered_features", columns=stored)
    if spec.phases is not None and market.segment is not None:
        require_columns([market.segment.column], stored, "phases")
    refuse_without_rows(rows_of_market, Period(spec.train_start_us, spec.train_end_us), spec.mints, spec.phases)
    rows = rows_of_market.estimated_rows(end_us=spec.train_end_us, mints=spec.mints)
    refuse_above(stores.memory_budget_bytes, training_bytes(spec, stored, rows), rows)


def check_scoring(record: ModelRecord, period: Period, mints: Sequence[str] | None, stores: TrainingStores) -> None:
    """Refuse a test that cannot succeed on the data as they are now.

    Raises
    ------
    ArtifactForeignError
        If the model's features are defined differently today.
    UnknownNameError, NoDataError, DataError
        As for `check_training`.
    """
    spec, plan = ModelSpec.stored(record.spec), plan_of(record)
    market = stores.markets[spec.market]
    inputs = {*plan.inputs, *spec.label_spec().columns}
    require_columns(sorted(inputs), market.columns(), Message("market.needed_by_model", model=record.name))
    refuse_without_rows(market, period, mints, spec.phases)
    rows = market.estimated_rows(end_us=period.end_us, mints=mints)
    refuse_above(stores.memory_budget_bytes, scoring_bytes(len(inputs), len(plan.names), rows), rows)


def ready_model(model: int | str, models: ModelStore) -> ModelRecord:
    """Return a model that is READY.

    Raises
    ------
    NotFoundError, ConflictError
        If it does not exist or is not READY.
    """
    record = models.get(model)
    if record.status != "READY":
        remedy = Message("training.wait" if record.status == "TRAINING" else "training.again")
        raise ConflictError("model.not_ready", name=record.name, status=record.status, remedy=remedy)
    return record


def different_models(model_a: int | str, model_b: int | str, models: ModelStore) -> tuple[ModelRecord, ModelRecord]:
    """Return two READY models.

    Raises
    ------
    SpecError
        If both are the same model.
    ConflictError
        If they are of different markets.
    NotFoundError, ConflictError
        As for `ready_model`.
    """
    record_a, record_b = ready_model(model_a, models), ready_model(model_b, models)
    if record_a.id == record_b.id:
        raise SpecError("comparison.same_model", name=record_a.name)
    common_market([record_a, record_b])
    return record_a, record_b


def require_columns(names: Iterable[str], stored: Collection[str], purpose: str | Message) -> None:
    """Refuse columns that the market does not have.

    Raises
    ------
    UnknownNameError
        Naming what needs the column, and the nearest that is there.
    """
    for name in names:
        if name not in stored and name != "timestamp":
            raise UnknownNameError("market.column_needed", name=name, known=stored, purpose=purpose)


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
        raise NoDataError("market.empty")
    raise NoDataError(
        "training.no_rows_in_period",
        coins=_of_coins(mints) if mints else "",
        phases=Message("training.in_phases", phases=phases) if phases else "",
        start=format_timestamp(period.start_us),
        end=format_timestamp(period.end_us),
        first=format_timestamp(there.first_us),
        last=format_timestamp(there.last_us),
        rows=Message("count.rows", count=there.rows),
        instruments=Message("count.coins", count=there.coins),
    )


def _of_coins(mints: Sequence[str]) -> Message:
    """Return the first coins asked for."""
    code = "training.of_coins" if len(mints) <= _MOST_NAMED else "training.of_many_coins"
    return Message(code, coins=mints[:_MOST_NAMED])
