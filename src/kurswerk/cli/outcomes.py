"""``kurswerk outcomes``: what became of predictions, of all models or of one with intervals."""

from typing import Any

import click

from kurswerk.bootstrap.application import Application, open_application
from kurswerk.cli._options import model_key
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import print_table
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import format_timestamp
from kurswerk.market import MARKETS
from kurswerk.oversight import (
    DEFAULT_OUTCOMES,
    MOST_OUTCOMES,
    LivePerformance,
    MaturingReport,
    live_performance,
    mature,
)
from kurswerk.training import ModelSpec


@click.command("outcomes")
@click.argument("model", required=False)
@click.option("--judge", is_flag=True, help="Judge what is due first, as a worker does every ten seconds.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Probability from which on a prediction counts as positive, for MODEL.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, MOST_OUTCOMES),
    default=DEFAULT_OUTCOMES,
    show_default=True,
    help="How many of MODEL's newest outcomes are measured.",
)
@json_option
def command(model: str | None, threshold: float, limit: int, *, judge: bool, as_json: bool) -> None:
    """Show what became of the predictions of all models, or measure MODEL (id or name) by it."""
    app = open_application()
    judged = _judge(app) if judge else None
    document = _of_all(app) if model is None else _of_one(app, model, threshold, limit)
    if judged is not None:
        document |= {"judged": judged.judged, "corrected": judged.corrected}
    if as_json:
        print_json(document)
    elif model is None:
        _print_all(document)
    else:
        _print_one(document)


def _judge(app: Application) -> MaturingReport:
    done = MaturingReport()
    for market in MARKETS:
        done += mature(app.stores.outcomes, market, delay_s=app.settings.outcomes.delay_seconds)
    return done


def _of_all(app: Application) -> dict[str, Any]:
    models = []
    for model_id, counts in app.stores.outcome_log.counts().items():
        shares = {"precision": counts.precision, "base_rate": counts.base_rate}
        models.append({"model_id": model_id, "model_name": app.models.get(model_id).name} | vars(counts) | shares)
    return {"models": models}


def _of_one(app: Application, model: str, threshold: float, limit: int) -> dict[str, Any]:
    record = app.models.get(model_key(model))
    label = ModelSpec.stored(record.spec).label_spec()
    found = live_performance(app.stores.outcome_log, record.id, label, threshold=threshold, limit=limit)
    return {"model_id": record.id, "model_name": record.name} | _document(found)


def _document(found: LivePerformance) -> dict[str, Any]:
    """Return a measurement as the REST API names its parts."""
    moments = {"first_timestamp": found.first_us, "last_timestamp": found.last_us}
    counts = found.counts
    return {
        **{name: None if us is None else format_timestamp(us) for name, us in moments.items()},
        "threshold": found.threshold,
        "known": counts.known,
        "positive": counts.positive,
        "predicted_positive": counts.predicted_positive,
        "true_positive": counts.true_positive,
        "unknown": dict(found.reasons),
        "metrics": {name: estimate.as_json() for name, estimate in found.estimates.items()},
        "calibration": [dict(one) for one in found.calibration],
        "bootstrap": dict(found.bootstrap),
        "forecast": None if found.forecast is None else vars(found.forecast),
    }


def _print_all(document: dict[str, Any]) -> None:
    if not document["models"]:
        click.echo(Message("cli.no_outcomes"))
        return
    header = ("model_id", "model_name", "known", "unknown", "base_rate", "predicted_positive", "precision", "corrected")
    rows = [tuple(one[name] for name in header) for one in document["models"]]
    print_table("outcomes", tuple(name.replace("_", " ") for name in header), rows)


def _print_one(document: dict[str, Any]) -> None:
    if not document["known"]:
        click.echo(Message("cli.no_outcomes"))
        return
    rows = [(name.replace("_", " "), *estimate.values()) for name, estimate in document["metrics"].items()]
    print_table(document["model_name"], ("metric", "value", "low", "high"), rows)
    unknown = sum(document["unknown"].values())
    click.echo(
        Message(
            "cli.outcomes_measured",
            count=document["known"],
            first=document["first_timestamp"],
            last=document["last_timestamp"],
            unknown=unknown,
        )
    )
