"""Stored records as rows of text for the page's tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from kurswerk.core.errors import InvalidInputError
from kurswerk.labels import label_name
from kurswerk.registry import Comparison, ModelRecord, TestResult
from kurswerk.reports._formats import BASELINES, METRICS, NOTHING, moment, number, percent, signed
from kurswerk.reports._report import ReportedModel
from kurswerk.training import ModelSpec

Json = Mapping[str, Any]
Rows = list[dict[str, Any]]

_TRADES = {
    "count": ("trades", 0),
    "skipped": ("left out for want of a price", 0),
    "simulated_profit_pct": ("mean net return, %", 3),
    "median_pct": ("median net return, %", 3),
    "best_pct": ("best trade, %", 2),
    "worst_pct": ("worst trade, %", 2),
    "hit_rate": ("share of trades with a gain", 3),
    "gross_profit_pct": ("mean return before costs, %", 3),
    "max_drawdown_pct": ("deepest fall of the sum, % of one stake", 2),
    "fee_bps": ("fee per side, basis points", 1),
    "slippage_bps": ("slippage per side, basis points", 1),
    "fixed_cost": ("fixed cost per side, in the currency of the price", 6),
    "stake": ("stake per trade, in the currency of the price", 6),
}


def target_of(record: ModelRecord) -> str:
    """Describe what a model predicts; a dash if its specification cannot be read any more."""
    try:
        return label_name(ModelSpec.stored(record.spec).label_spec())
    except InvalidInputError:
        return NOTHING


def interval(estimate: Json | None, digits: int = 3) -> str:
    """Write the bounds of an estimate; a dash where there are none."""
    if not estimate or estimate.get("low") is None or estimate.get("high") is None:
        return NOTHING
    return f"{number(estimate['low'], digits)} … {number(estimate['high'], digits)}"


def metric_table(evaluation: Json) -> dict[str, Any]:
    """Return a model's metrics against the baselines, each difference with its interval."""
    baselines = [name for name in BASELINES if name in (evaluation.get("baselines") or {})]
    rows: Rows = []
    for metric, (name, more_is_better, meaning) in METRICS.items():
        own = (evaluation.get("metrics") or {}).get(metric)
        if own is None:
            continue
        others = [_against_baseline(evaluation, baseline, metric, more_is_better) for baseline in baselines]
        rows.append(
            {
                "name": name,
                "meaning": meaning,
                "value": number(own.get("value")),
                "interval": interval(own),
                "others": others,
            }
        )
    return {"baselines": [BASELINES[name].removeprefix("the ") for name in baselines], "rows": rows}


def _against_baseline(evaluation: Json, baseline: str, metric: str, more_is_better: bool | None) -> dict[str, str]:
    value = (evaluation["baselines"][baseline].get(metric) or {}).get("value")
    difference = ((evaluation.get("differences") or {}).get(baseline) or {}).get(metric)
    low, high = (difference or {}).get("low"), (difference or {}).get("high")
    sign = ""
    if more_is_better is not None and low is not None and high is not None and (low > 0 or high < 0):
        sign = "better" if (low > 0) == more_is_better else "worse"
    known = difference is not None and low is not None and high is not None and more_is_better is not None
    return {
        "value": number(value),
        "difference": f"{signed(low)} … {signed(high)}" if known else "",
        "sign": sign,
    }


def trade_table(evaluations: Mapping[str, Json]) -> dict[str, Any] | None:
    """Return the simulated trades of all models, one column each; None if no model has any record of them."""
    trades = {name: evaluation.get("trades") or {} for name, evaluation in evaluations.items()}
    if not any(trades.values()):
        return None
    rows = [
        {"name": text, "values": [number(of.get(key), digits) for of in trades.values()]}
        for key, (text, digits) in _TRADES.items()
    ]
    sides = {"up": "long", "down": "short"}
    rows.append(
        {"name": "long or short", "values": [sides.get(of.get("direction", ""), NOTHING) for of in trades.values()]}
    )
    return {"names": list(trades), "rows": rows + _rows_with_ended(evaluations)}


def _rows_with_ended(evaluations: Mapping[str, Json]) -> Rows:
    """Return how many rows were left out because trading ended, and what trades bring with the last price as exit."""
    found = [evaluation.get("ended_within_horizon") or {} for evaluation in evaluations.values()]
    if not any(found):
        return []
    means = [number((ended.get("trades") or {}).get("simulated_profit_pct"), 3) for ended in found]
    return [
        {
            "name": "rows left out because trading ends within the horizon",
            "values": [number(of.get("rows")) for of in found],
        },
        {"name": "mean net return with those, left at the last price, %", "values": means},
    ]


def costs_of(evaluations: Mapping[str, Json]) -> list[str]:
    """State the costs of the simulated trades, once for all models that share them."""
    sharing: dict[str, list[str]] = {}
    for name, evaluation in evaluations.items():
        trades = evaluation.get("trades") or {}
        if trades:
            text = f"{number(trades['fee_bps'], 1)} and {number(trades['slippage_bps'], 1)} basis points"
            if trades.get("fixed_cost"):
                text += f" and {number(trades['fixed_cost'], 6)} fixed"
            if trades.get("price_impact"):
                text += (
                    f", with the price impact of a stake of {number(trades['stake'], 6)} on a constant-product curve,"
                )
            sharing.setdefault(text, []).append(name)
    if len(sharing) == 1:
        return [f"Fee and slippage are {text} on each side." for text in sharing]
    return [f"Fee and slippage of {', '.join(names)} are {text} on each side." for text, names in sharing.items()]


def summary_table(models: Mapping[str, ReportedModel]) -> Rows:
    """Return one line per model: what it predicts, what it was judged on, and its main metrics."""
    rows: Rows = []
    for name, model in models.items():
        record, evaluation = model.record, model.evaluation
        metrics = evaluation.get("metrics") or {}
        certificate = record.certificate
        rows.append(
            {
                "name": name,
                "type": record.model_type,
                "target": target_of(record),
                "judged": judged_on(model),
                "rows": number(evaluation.get("num_samples")),
                "base_rate": percent((metrics.get("base_rate") or {}).get("value")),
                "pr_auc": number((metrics.get("pr_auc") or {}).get("value")),
                "interval": interval(metrics.get("pr_auc")),
                "profit": number((metrics.get("simulated_profit_pct") or {}).get("value"), 2),
                "certified": "not yet" if certificate is None else ("yes" if certificate.get("certified") else "NO"),
            }
        )
    return rows


def judged_on(model: ReportedModel) -> str:
    """Describe which rows a model's charts come from."""
    if model.test is not None:
        return f"test {moment(model.test.test_start)} to {moment(model.test.test_end)}"
    return "out of fold" if model.evaluation else "nothing yet"


def test_rows(tests: Sequence[TestResult]) -> Rows:
    """Return one line per test."""
    return [
        {
            "id": NOTHING if test.id is None else str(test.id),
            "period": f"{moment(test.test_start)} to {moment(test.test_end)}",
            "rows": number(test.num_samples),
            "positive": number(test.num_positive),
            "pr_auc": number(((test.evaluation.get("metrics") or {}).get("pr_auc") or {}).get("value")),
            "f1": number(test.metrics.f1),
            "overlap": percent(test.evaluation.get("overlap_share", 1.0 if test.has_overlap else 0.0), 0),
        }
        for test in tests
    ]


def comparison_table(comparison: Comparison) -> Rows:
    """Return metrics of both models with the interval of the difference, as far as they are stored."""
    significance = comparison.significance
    a, b = significance.get("a") or {}, significance.get("b") or {}
    differences = significance.get("differences") or {}
    rows: Rows = []
    for metric, (name, more_is_better, meaning) in METRICS.items():
        stored = [
            (side.get(metric) or {}).get("value", getattr(metrics, metric, None))
            for side, metrics in ((a, comparison.a_metrics), (b, comparison.b_metrics))
        ]
        # The paired test knows no trades, so their mean comes from the metrics of each side.
        values = [
            getattr(metrics, metric, None) if value is None else value
            for value, metrics in zip(stored, (comparison.a_metrics, comparison.b_metrics), strict=True)
        ]
        if values == [None, None]:
            continue
        difference = differences.get(metric) or {}
        low, high = difference.get("low"), difference.get("high")
        shown = more_is_better is not None and difference.get("value") is not None
        rows.append(
            {
                "name": name,
                "meaning": meaning,
                "a": number(values[0]),
                "b": number(values[1]),
                "difference": signed(difference.get("value")) if shown else NOTHING,
                "interval": f"{signed(low)} … {signed(high)}" if shown and low is not None else NOTHING,
                "sure": bool(shown and low is not None and high is not None and (low > 0 or high < 0)),
            }
        )
    return rows


def facts_of(record: ModelRecord) -> list[tuple[str, str]]:
    """Return what a model is made of and how to recognise it."""
    spec = record.spec
    windows = spec.get("feature_engineering_windows") or ()
    engineered = ", ".join(str(window) for window in windows) if spec.get("use_engineered_features") else ""
    facts = [
        ("number and type", f"{record.id}, {record.model_type}, {record.status}"),
        ("predicts", target_of(record)),
        ("trained on", f"{moment(record.train_start)} to {moment(record.train_end)} UTC"),
        ("coins", ", ".join(spec.get("mints") or ()) or "all"),
        ("phases", ", ".join(str(phase) for phase in spec.get("phases") or ()) or "all"),
        ("features", f"{len(record.features)}" + (f", windows {engineered} rows" if engineered else "")),
        ("resampling", "SMOTE inside training folds" if spec.get("use_smote") else "none"),
        (
            "parameters",
            ", ".join(f"{key} = {value}" for key, value in (spec.get("params") or {}).items()) or "defaults",
        ),
        ("alert threshold", number(record.alert_threshold, 2)),
        ("created", f"{moment(record.created_at)} UTC"),
        ("artifact SHA-256", record.artifact_sha256 or NOTHING),
        ("dataset SHA-256", record.dataset_fingerprint or NOTHING),
        ("made with", ", ".join(f"{name} {version}" for name, version in record.library_versions.items()) or NOTHING),
    ]
    return [("description", record.description), *facts] if record.description else facts
