"""Test a model on any period and any coins."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.messages import Message
from kurswerk.core.timestamps import to_datetime, to_us
from kurswerk.evaluation import EndedRows, ForecastPart, accuracy_degradation, evaluate_panel, is_overfitted, overlap
from kurswerk.jobs import Progress, no_progress
from kurswerk.market import Role
from kurswerk.registry import ModelRecord, TestResult, load_model, plan_of
from kurswerk.training._checks import check_scoring, ready_model
from kurswerk.training._costs import Costs, costs_of, trade_costs
from kurswerk.training._dataset import Dataset, build_dataset, load_for_plan
from kurswerk.training._folds import predict_rows
from kurswerk.training._forecasting import forecast_evaluation, forecast_rows, stored_part
from kurswerk.training._period import Period
from kurswerk.training.ports import TrainingStores
from kurswerk.training.spec import ModelSpec


@dataclass(frozen=True, eq=False)
class Scored:
    """A model with its probabilities on the rows of a dataset that take part, and on those that ended too soon.

    ``forecasts`` are those of a forecast model for the rows that take part.
    """

    record: ModelRecord
    spec: ModelSpec
    dataset: Dataset
    probability: NDArray[np.float32]
    ended_probability: NDArray[np.float32]
    costs: Costs
    forecasts: ForecastPart | None = None


def score(
    record: ModelRecord,
    period: Period,
    mints: Sequence[str] | None,
    stores: TrainingStores,
    costs: str | Costs | None = None,
) -> Scored:
    """Load what a model and its simulated trades need, and predict every row of the period whose label is known.

    Costs that are not given are the specification's.
    """
    spec = ModelSpec.stored(record.spec)
    chosen = costs_of(costs, spec.costs)
    model, plan = load_model(record, stores.models), plan_of(record)
    panel = load_for_plan(stores.markets[spec.market], plan, spec.label_spec(), period.end_us, mints, chosen)
    bounds = period.start_us, period.end_us
    dataset = build_dataset(panel, plan, spec.label_spec(), bounds, spec.phases, mints)
    if spec.is_forecast:
        found = forecast_rows(model, dataset.features, dataset.rows)
        probability, forecasts = found.probability, stored_part(found, record.evaluation)
    else:
        probability, forecasts = predict_rows(model, dataset.features, dataset.rows), None
    ended_probability = predict_rows(model, dataset.features, dataset.ended_rows)
    return Scored(record, spec, dataset, probability, ended_probability, chosen, forecasts)


def result_of(scored: Scored, period: Period) -> TestResult:
    """Evaluate predictions and set them beside the model's training."""
    record, spec, dataset = scored.record, scored.spec, scored.dataset
    evaluation = evaluate_panel(
        dataset.panel,
        dataset.labels,
        dataset.rows,
        scored.probability,
        price_column=spec.market_schema.roles.get(Role.CLOSE),
        base_rate=(record.evaluation or {}).get("training_base_rate"),
        reserves_column=spec.market_schema.roles.get(Role.RESERVES),
        costs=trade_costs(scored.costs, spec.label_spec(), spec.market_schema),
        ended=EndedRows(dataset.ended_rows, scored.ended_probability),
    )
    further: dict[str, Any] = {}
    if scored.forecasts is not None:
        further["forecast"] = forecast_evaluation(spec, dataset, dataset.rows, [scored.forecasts]).as_json()
    shared = overlap(to_us(record.train_start), to_us(record.train_end), period.start_us, period.end_us)
    trained = record.metrics.accuracy if record.metrics else None
    accuracy = evaluation.metrics.accuracy
    return TestResult(
        model_id=record.id,
        test_start=to_datetime(period.start_us),
        test_end=to_datetime(period.end_us),
        metrics=evaluation.metrics,
        num_samples=evaluation.num_samples,
        num_positive=evaluation.num_positive,
        num_negative=evaluation.num_negative,
        has_overlap=shared.has_overlap,
        overlap_note=shared.note,
        train_accuracy=trained,
        accuracy_degradation=None if trained is None else accuracy_degradation(trained, accuracy),
        is_overfitted=None if trained is None else is_overfitted(trained, accuracy),
        feature_importance=record.feature_importance,
        evaluation={"kind": "test", "overlap_share": shared.share, **evaluation.as_json(), **further},
    )


def run_test(
    model: int | str,
    period: Period,
    stores: TrainingStores,
    *,
    mints: Sequence[str] | None = None,
    costs: str | Costs | None = None,
    progress: Progress = no_progress,
) -> tuple[int, TestResult]:
    """Test a model and store the result.

    Returns
    -------
    tuple
        The result's id and the result.

    Raises
    ------
    NotFoundError, ConflictError, ArtifactError
        If the model does not exist, is not READY or must not be loaded.
    NoDataError
        If no row of the period has a known label.
    """
    result = evaluate_test(model, period, stores, mints=mints, costs=costs, progress=progress)
    return stores.results.save_test(result), result


def evaluate_test(
    model: int | str,
    period: Period,
    stores: TrainingStores,
    *,
    mints: Sequence[str] | None = None,
    costs: str | Costs | None = None,
    progress: Progress = no_progress,
) -> TestResult:
    """Do what `run_test` does, and store nothing."""
    record = ready_model(model, stores.models)
    check_scoring(record, period, mints, stores)
    progress(0.0, Message("progress.loading_rows"))
    scored = score(record, period, mints, stores, costs)
    progress(0.6, Message("progress.evaluating", count=len(scored.probability)))
    return result_of(scored, period)
