"""Fit a model on a dataset, and evaluate it out of fold."""

from typing import Any

import numpy as np

from kurswerk.core.digest import sha256_json
from kurswerk.core.errors import DataError
from kurswerk.core.messages import Message
from kurswerk.evaluation import evaluate_panel, summarize_folds
from kurswerk.features import FeaturePlan
from kurswerk.jobs import Progress, no_progress
from kurswerk.market import Role
from kurswerk.models import Estimator
from kurswerk.registry import TrainedVersion
from kurswerk.training._costs import costs_of, trade_costs
from kurswerk.training._dataset import (
    Dataset,
    build_dataset,
    columns_to_load,
    compares,
    refuse_empty,
    training_plan,
)
from kurswerk.training._folds import FoldOutcome, fit_rows, forecaster, run_folds
from kurswerk.training._forecasting import FittedForecaster, forecast_evaluation
from kurswerk.training._versions import library_versions
from kurswerk.training.ports import MarketStore
from kurswerk.training.spec import ModelSpec

# What has no influence on a model's bits; params enter with their defaults filled in.
_OUTSIDE_RECIPE = frozenset({"name", "description", "costs", "params"})


def load_dataset(spec: ModelSpec, market: MarketStore, progress: Progress = no_progress) -> Dataset:
    """Load the market up to the end of training and compute features and labels."""
    progress(0.0, Message("progress.loading_rows"))
    columns = columns_to_load(spec, market.columns())
    named = FeaturePlan(spec.raw_features, spec.market_schema) if spec.raw_features else None
    if compares(named, spec.label_spec()):
        panel = market.mark_outsiders(market.load_panel(columns, end_us=spec.train_end_us))
    else:
        panel = market.load_panel(columns, end_us=spec.train_end_us, mints=spec.mints)
    refuse_empty(panel, spec.train_end_us, spec.mints)
    progress(0.15, Message("progress.computing_features", count=len(panel)))
    plan = training_plan(spec, panel)
    period = spec.train_start_us, spec.train_end_us
    return build_dataset(panel, plan, spec.label_spec(), period, spec.phases, spec.mints)


def fit_final(spec: ModelSpec, dataset: Dataset) -> tuple[Estimator, bytes]:
    """Fit on all rows that take part and return the model with its ONNX artifact.

    The artifact's metadata holds nothing but what decides its bits, so that equal inputs give equal bytes.
    """
    model = fit_rows(spec, dataset.examples, dataset.rows)
    return model, artifact_of(spec, dataset, model)


def artifact_of(spec: ModelSpec, dataset: Dataset, model: Estimator) -> bytes:
    """Return a fitted model's artifact with the hashes of what decides its bits."""
    recipe: dict[str, Any] = {key: value for key, value in spec.as_json().items() if key not in _OUTSIDE_RECIPE}
    metadata = {
        "definitions": dataset.plan.definition_hash,
        "recipe": sha256_json({**recipe, "params": spec.full_params}),
    }
    return model.to_onnx(dataset.plan.names, metadata)


def fit_version(spec: ModelSpec, dataset: Dataset, *, progress: Progress = no_progress) -> TrainedVersion:
    """Cross-validate, fit on all rows, and evaluate out of fold.

    The metrics are those of the folds' predictions on rows they were not trained on: what the model scores on its own
    training rows shows nothing.

    Raises
    ------
    DataError
        If the rows hold one class only or are too few for the folds.
    """
    y = dataset.y
    if not 0 < int(y.sum()) < len(y):
        raise DataError("training.single_label", count=len(y), label=int(y[0]))
    outcomes = run_folds(spec, dataset, lambda share, message: progress(0.3 + 0.4 * share, message))
    progress(0.7, Message("progress.fitting", count=len(y)))
    fitted = forecaster(spec, dataset.examples, dataset.rows) if spec.is_forecast else None
    model = fit_rows(spec, dataset.examples, dataset.rows) if fitted is None else fitted.model
    artifact = artifact_of(spec, dataset, model)
    progress(0.85, Message("progress.evaluating_out_of_fold"))
    evaluation = evaluate_panel(
        dataset.panel,
        dataset.labels,
        np.concatenate([outcome.rows for outcome in outcomes]),
        np.concatenate([outcome.probability for outcome in outcomes]),
        price_column=spec.market_schema.roles.get(Role.CLOSE),
        reserves_column=spec.market_schema.roles.get(Role.RESERVES),
        costs=trade_costs(costs_of(spec.costs), spec.label_spec(), spec.market_schema),
    )
    summary = summarize_folds([outcome.scores for outcome in outcomes])
    importance = sorted(
        zip(dataset.plan.names, (float(share) for share in model.feature_importance_), strict=True),
        key=lambda item: -item[1],
    )
    progress(0.98, Message("progress.storing"))
    return TrainedVersion(
        artifact=artifact,
        features=tuple(dataset.plan.names),
        feature_hashes=dict(dataset.plan.definitions),
        dataset_fingerprint=dataset.panel.fingerprint(),
        library_versions=library_versions(),
        metrics=evaluation.metrics,
        evaluation={
            "kind": "out of fold",
            "training_rows": len(y),
            "training_base_rate": float(y.mean()),
            **model.facts_,
            **evaluation.as_json(),
            **({} if fitted is None else {"forecast": _forecast_json(spec, dataset, outcomes, fitted)}),
        },
        cv_scores=summary.as_json(),
        cv_overfitting_gap=summary.overfitting_gap,
        feature_importance=dict(importance),
    )


def _forecast_json(
    spec: ModelSpec, dataset: Dataset, outcomes: list[FoldOutcome], fitted: FittedForecaster
) -> dict[str, Any]:
    """Return what the folds' forecasts were worth, and what a later test needs of the final model."""
    rows = np.concatenate([outcome.rows for outcome in outcomes])
    parts = [outcome.forecasts for outcome in outcomes if outcome.forecasts is not None]
    found = forecast_evaluation(spec, dataset, rows, parts).as_json()
    return {**found, "calibration": fitted.as_json()}
