"""The page's content, ready for the template: texts, tables, and each chart for the light and the dark theme."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from plotly import graph_objects as go

from kurswerk.registry import Comparison
from kurswerk.reports._candles import figure_candles
from kurswerk.reports._evaluation_charts import (
    figure_calibration,
    figure_confusion,
    figure_equity,
    figure_precision_recall,
    figure_roc,
)
from kurswerk.reports._formats import METRICS, as_utc, duration, moment, number, signed, span, without_secret
from kurswerk.reports._metric_charts import figure_advantage, figure_metrics
from kurswerk.reports._model_charts import figure_folds, figure_importance
from kurswerk.reports._report import MarketOverview, Report, ReportedModel
from kurswerk.reports._tables import (
    comparison_table,
    costs_of,
    facts_of,
    judged_on,
    metric_table,
    summary_table,
    test_rows,
    trade_table,
)
from kurswerk.reports._themes import DARK, LIGHT, THEMES, Theme
from kurswerk.reports._verdicts import Verdict, confidence, verdicts

Json = Mapping[str, Any]
Draw = Callable[[Theme], go.Figure]


class Charts:
    """Collects the charts of a page; a chart without traces is left out, and the page states that."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}

    def add(self, key: str, draw: Draw) -> dict[str, Any] | None:
        """Draw a chart in both themes; return what the template needs to place it, or None."""
        drawn = {theme.name: draw(theme) for theme in THEMES}
        if not drawn[LIGHT.name].data:
            return None
        self.documents[f"plot-{key}"] = {name: json.loads(figure.to_json()) for name, figure in drawn.items()}
        return {"id": f"plot-{key}", "height": drawn[LIGHT.name].layout.height}


def page_of(report: Report) -> dict[str, Any]:
    """Return the template's variables."""
    models = _named(report.models)
    evaluations = {name: model.evaluation for name, model in models.items()}
    charts = Charts()
    judged = list(dict.fromkeys(judged_on(model) for model in models.values() if model.evaluation))
    page: dict[str, Any] = {
        "title": report.title,
        "introduction": report.introduction,
        "written": f"{as_utc(report.written_at):%Y-%m-%d %H:%M:%S} UTC",
        "summary": summary_table(models),
        "verdicts": [(name, _color(k), verdicts(name, model)) for k, (name, model) in enumerate(models.items())],
        "judged": judged,
        "confidence": confidence(next((one for one in evaluations.values() if one), {})),
        "done": "What was done" if report.steps else "Where things are" if report.places else "How to go on",
        "steps": [(step.title, step.detail, duration(step.seconds)) for step in report.steps],
        "total": duration(sum(step.seconds or 0 for step in report.steps)) if report.steps else "",
        "places": [(place.name, without_secret(place.where), place.note) for place in report.places],
        "commands": [(command.line, command.purpose) for command in report.commands],
        "market": _market(report.market, charts),
        "advantage": charts.add("advantage", lambda theme: figure_advantage(evaluations, theme=theme)),
        "precision_recall": charts.add("pr", lambda theme: figure_precision_recall(evaluations, theme=theme)),
        "roc": charts.add("roc", lambda theme: figure_roc(evaluations, theme=theme)),
        "calibration": charts.add("calibration", lambda theme: figure_calibration(evaluations, theme=theme)),
        "equity": charts.add("equity", lambda theme: figure_equity(evaluations, theme=theme)),
        "trades": trade_table(evaluations),
        "costs": costs_of(evaluations),
        "folds": _folds(models, charts),
        "comparisons": [_comparison(k, one, models, charts) for k, one in enumerate(report.comparisons)],
        "models": [_model(k, name, model, charts) for k, (name, model) in enumerate(models.items())],
        "glossary": [(name, meaning) for name, _, meaning in METRICS.values()],
        "bootstraps": list(dict.fromkeys(filter(None, (_bootstrap(one) for one in evaluations.values())))),
    }
    return page | {"charts": charts.documents}


def _named(models: Sequence[ReportedModel]) -> dict[str, ReportedModel]:
    """Name each model; equal names are distinguished by the model's number, equal models by a running one."""
    plain = [model.record.name for model in models]
    found: dict[str, ReportedModel] = {}
    for model in models:
        name = model.record.name
        if plain.count(name) > 1 or name in found:
            name = f"{name} (model {model.record.id})"
        repeated = 2
        unique = name
        while unique in found:
            unique, repeated = f"{name}, {repeated}", repeated + 1
        found[unique] = model
    return found


def _color(k: int) -> dict[str, str]:
    return {"light": LIGHT.color(k), "dark": DARK.color(k)}


def _market(market: MarketOverview | None, charts: Charts) -> dict[str, Any] | None:
    if market is None:
        return None
    example, coin, figure = market.example, "", None
    if example is not None and len(example):
        coin = example.instruments[0]
        figure = charts.add("candles", lambda theme: figure_candles(example, market.schema, theme=theme))
    length: timedelta = as_utc(market.end) - as_utc(market.start)
    return {
        "rows": number(market.rows),
        "coins": number(market.coins),
        "start": moment(market.start),
        "end": moment(market.end),
        "span": span(length),
        "source": market.source,
        "coin": coin,
        "figure": figure,
    }


def _folds(models: Mapping[str, ReportedModel], charts: Charts) -> dict[str, Any] | None:
    scores: dict[str, Json] = {name: model.record.cv_scores or {} for name, model in models.items()}
    figure = charts.add("folds", lambda theme: figure_folds(scores, theme=theme))
    gaps = [(name, signed(model.record.cv_overfitting_gap)) for name, model in models.items() if model.record.cv_scores]
    return {"figure": figure, "gaps": gaps} if gaps else None


def _model(k: int, name: str, model: ReportedModel, charts: Charts) -> dict[str, Any]:
    record, evaluation = model.record, model.evaluation
    certificate = record.certificate
    return {
        "key": f"model-{k + 1}",
        "name": name,
        "color": _color(k),
        "judged": judged_on(model),
        "rows": number(evaluation.get("num_samples")),
        "positive": number(evaluation.get("num_positive")),
        "threshold": number(evaluation.get("threshold"), 2),
        "confidence": confidence(evaluation),
        "table": metric_table(evaluation),
        "confusion": charts.add(
            f"confusion-{k + 1}", lambda theme: figure_confusion(evaluation, position=k, theme=theme)
        ),
        "importance": charts.add(
            f"importance-{k + 1}",
            lambda theme: figure_importance(record.feature_importance, position=k, theme=theme),
        ),
        "num_features": len(record.features),
        "tests": test_rows(model.tests),
        "certificate": None if certificate is None else _certificate(certificate),
        "facts": facts_of(record),
        "features": [(feature, record.feature_hashes.get(feature, "")[:16]) for feature in record.features],
    }


def _certificate(certificate: Json) -> dict[str, Any]:
    return {
        "certified": bool(certificate.get("certified")),
        "values_compared": number(certificate.get("values_compared")),
        "differing_bits": number(certificate.get("differing_bits")),
        "leak_probes": number(certificate.get("leak_probes")),
        "leaks_found": number(certificate.get("leaks_found")),
        "probes": [
            {
                "name": str(probe["check"]).replace("_", " "),
                "passed": bool(probe["passed"]),
                "message": probe.get("message", ""),
                "values": number(probe.get("values_compared")),
                "trials": number(probe.get("trials")),
            }
            for probe in certificate.get("probes") or ()
        ],
    }


def _comparison(k: int, one: Comparison, models: Mapping[str, ReportedModel], charts: Charts) -> dict[str, Any]:
    names = {model.record.id: name for name, model in models.items()}
    positions = list(names)
    a, b = (names.get(number_, f"model {number_}") for number_ in (one.model_a_id, one.model_b_id))
    sides: dict[str, Json] = {name: {} for name in names.values()}
    sides |= {a: one.significance.get("a") or {}, b: one.significance.get("b") or {}}
    scores = number(one.a_metrics.f1), number(one.b_metrics.f1)
    verdict = {
        one.model_a_id: f"{a} wins by F1: {scores[0]} against {scores[1]}.",
        one.model_b_id: f"{b} wins by F1: {scores[1]} against {scores[0]}.",
    }
    luck = one.significance.get("more_than_luck")
    return {
        "key": f"comparison-{k + 1}",
        "a": a,
        "b": b,
        "colors": [_color(positions.index(i)) if i in names else _color(0) for i in (one.model_a_id, one.model_b_id)],
        "rows": number(one.num_samples),
        "period": f"{moment(one.test_start)} to {moment(one.test_end)}",
        "verdict": Verdict(
            "good" if luck else "unsure",
            verdict.get(one.winner_id or 0, f"A draw: both have the F1 {scores[0]}."),
            str(one.significance.get("sentence", "")),
        ),
        "table": comparison_table(one),
        "figure": charts.add(f"comparison-{k + 1}", lambda theme: figure_metrics(sides, theme=theme)),
    }


def _bootstrap(evaluation: Json) -> str:
    """Describe how the intervals were drawn."""
    found = evaluation.get("bootstrap") or {}
    if "replicates" not in found:
        return ""
    return (
        f"{number(found['replicates'])} draws with replacement over {number(found.get('instruments'))} coins and "
        f"{number(found.get('buckets'))} stretches of {number(found.get('bucket_minutes'), 0)} minutes, crossed; "
        f"seed {found.get('random_state')}"
    )
