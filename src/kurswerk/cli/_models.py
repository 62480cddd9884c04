"""How a model, a test and a comparison look as JSON and on a terminal."""

from collections.abc import Mapping
from typing import Any

import click

from kurswerk.cli._terminal import cell_text, print_table
from kurswerk.core.errors import InvalidInputError
from kurswerk.core.messages import Message
from kurswerk.labels import label_name
from kurswerk.market import DEFAULT_MARKET
from kurswerk.registry import Comparison, Metrics, ModelRecord, TestResult
from kurswerk.training import ModelSpec

# Metric → what it is called on a terminal and whether more is better.
_SHOWN = {
    "pr_auc": "PR-AUC",
    "roc_auc": "ROC-AUC",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "accuracy": "accuracy",
    "mcc": "MCC",
    "brier": "Brier",
    "log_loss": "log loss",
    "simulated_profit_pct": "mean net return per trade, %",
}
_FORECAST = {
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R², out of sample",
    "directional_accuracy": "right directions",
    "pinball": "pinball loss",
    "interval_coverage": "inside the interval",
    "interval_width": "width of the interval",
}
_BASELINES = {"base_rate": "base rate", "volatility": "recent volatility", "persistence": "persistence"}


def metrics_document(metrics: Metrics | None) -> dict[str, Any] | None:
    """Return metrics as the REST API names them."""
    if metrics is None:
        return None
    return {
        "accuracy": metrics.accuracy,
        "f1_score": metrics.f1,
        "precision_score": metrics.precision,
        "recall": metrics.recall,
        "roc_auc": metrics.roc_auc,
        "mcc": metrics.mcc,
        "fpr": metrics.fpr,
        "fnr": metrics.fnr,
        "confusion_matrix": metrics.confusion_matrix,
        "simulated_profit_pct": metrics.simulated_profit_pct,
    }


def model_document(record: ModelRecord, *, whole: bool = True) -> dict[str, Any]:
    """Return a model as JSON; without ``whole`` only what a list shows."""
    short = {
        "id": record.id,
        "name": record.name,
        "market": record.spec.get("market", DEFAULT_MARKET),
        "model_type": record.model_type,
        "status": record.status,
        "is_active": record.is_active,
        "alert_threshold": record.alert_threshold,
        "target": _target(record),
        "train_start": record.train_start.isoformat(),
        "train_end": record.train_end.isoformat(),
        "created_at": record.created_at.isoformat(),
        "metrics": metrics_document(record.metrics),
        "certified": (record.certificate or {}).get("certified"),
        "error_msg": record.error_msg,
    }
    if not whole:
        return short
    return short | {
        "description": record.description,
        "spec": record.spec,
        "features": list(record.features),
        "feature_importance": record.feature_importance,
        "cv_scores": record.cv_scores,
        "cv_overfitting_gap": record.cv_overfitting_gap,
        "evaluation": record.evaluation,
        "artifact_sha256": record.artifact_sha256,
        "dataset_fingerprint": record.dataset_fingerprint,
        "feature_hashes": record.feature_hashes,
        "library_versions": record.library_versions,
        "certificate": record.certificate,
    }


def _target(record: ModelRecord) -> str | None:
    """Return what a model predicts; None where its specification cannot be read, as of an older service's."""
    try:
        return label_name(ModelSpec.stored(record.spec).label_spec())
    except InvalidInputError:
        return None


def print_model(record: ModelRecord) -> None:
    """Show a model: what it predicts, how it did out of fold, and what it looks at."""
    market = record.spec.get("market", DEFAULT_MARKET)
    click.echo(f"model {record.id} '{record.name}' ({record.model_type}, {market}) is {record.status}")
    click.echo(f"  predicts  {cell_text(_target(record))}")
    click.echo(f"  trained   {record.train_start:%Y-%m-%d %H:%M} to {record.train_end:%Y-%m-%d %H:%M} UTC")
    if record.error_msg:
        click.echo(f"  {'failed' if record.status == 'FAILED' else 'remark':9} {record.error_msg}")
    if record.certificate:
        click.echo(f"  certified {cell_text(record.certificate.get('certified'))}")
    if record.artifact_sha256:
        click.echo(f"  artifact  SHA-256 {record.artifact_sha256}")
    if record.evaluation:
        print_evaluation("out of fold, 95 % interval by coin and time", record.evaluation)
    if record.feature_importance:
        top = list(record.feature_importance.items())[:10]
        print_table("looks most at", ("feature", "share"), [(name, share) for name, share in top])


def print_evaluation(title: str, evaluation: Mapping[str, Any]) -> None:
    """Show metrics with intervals against naive baselines."""
    click.echo(f"  rows      {evaluation['num_samples']:,}, {evaluation['num_positive']:,} of them positive")
    baselines = {name: text for name, text in _BASELINES.items() if name in evaluation["baselines"]}
    rows = []
    for metric, text in _SHOWN.items():
        own = evaluation["metrics"].get(metric)
        if own is None or own["value"] is None:
            continue
        others = (cell_text(evaluation["baselines"][name].get(metric, {}).get("value")) for name in baselines)
        rows.append((text, cell_text(own["value"]), _interval(own), *others))
    print_table(title, ("metric", "model", "interval", *baselines.values()), rows)
    for name, text in baselines.items():
        difference = evaluation["differences"][name]["pr_auc"]
        if difference["value"] is not None and difference["low"] is not None:
            code = "cli.beats_baseline" if evaluation["beats"][name] else "cli.not_beats_baseline"
            values = {"difference": f"{difference['value']:+.4f}", "interval": _interval(difference)}
            click.echo(f"  {Message(code, baseline=text, **values)}")
    if "forecast" in evaluation:
        _print_forecast(evaluation["forecast"])


def _print_forecast(forecast: Mapping[str, Any]) -> None:
    """Show errors and intervals of a forecast model against baselines, and what the tests found."""
    rows = []
    for metric, text in _FORECAST.items():
        own = forecast["metrics"][metric]
        others = (cell_text(forecast["baselines"][name][metric]["value"]) for name in ("persistence", "drift"))
        rows.append((text, cell_text(own["value"]), _interval(own), *others))
    print_table("forecast, percentage points", ("metric", "model", "interval", "unchanged", "mean return"), rows)
    click.echo(f"  {Message.from_json(forecast['verdict'])}")


def _interval(estimate: Mapping[str, Any]) -> str:
    if estimate["low"] is None or estimate["high"] is None:
        return "–"
    return f"{cell_text(estimate['low'])} … {cell_text(estimate['high'])}"


def test_document(result_id: int, result: TestResult) -> dict[str, Any]:
    """Return a test as JSON."""
    metrics = metrics_document(result.metrics) or {}
    return {
        "id": result_id,
        "model_id": result.model_id,
        "test_start": result.test_start.isoformat(),
        "test_end": result.test_end.isoformat(),
        **metrics,
        "num_samples": result.num_samples,
        "num_positive": result.num_positive,
        "num_negative": result.num_negative,
        "has_overlap": result.has_overlap,
        "overlap_note": result.overlap_note,
        "train_accuracy": result.train_accuracy,
        "accuracy_degradation": result.accuracy_degradation,
        "is_overfitted": result.is_overfitted,
        "evaluation": result.evaluation,
    }


def comparison_document(comparison_id: int, comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON."""
    return {
        "id": comparison_id,
        "model_a_id": comparison.model_a_id,
        "model_b_id": comparison.model_b_id,
        "test_a_id": comparison.test_a_id,
        "test_b_id": comparison.test_b_id,
        "test_start": comparison.test_start.isoformat(),
        "test_end": comparison.test_end.isoformat(),
        "num_samples": comparison.num_samples,
        "a": metrics_document(comparison.a_metrics),
        "b": metrics_document(comparison.b_metrics),
        "winner_id": comparison.winner_id,
        "significance": comparison.significance,
    }
