"""``kurswerk train``: from a specification to a READY model."""

from pathlib import Path
from typing import Any

import click

from kurswerk.bootstrap.application import open_application
from kurswerk.cli._models import model_document, print_model
from kurswerk.cli._options import cost_options
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import progress_bar
from kurswerk.market.calendar import MAX_HORIZON_SESSIONS
from kurswerk.training import Costs, ModelSpec, read_document, train


@click.command("train")
@click.argument("spec", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--horizon-sessions",
    type=click.IntRange(1, MAX_HORIZON_SESSIONS),
    help="Look ahead so many trading sessions, instead of the specification's horizon.",
)
@click.option("--calendar", metavar="EXCHANGE", help="Exchange whose sessions count for instruments that state none.")
@cost_options
@json_option
def command(
    spec: Path, horizon_sessions: int | None, calendar: str | None, costs: Costs | None, *, as_json: bool
) -> None:
    """Train and certify the model that SPEC.json describes; what is given here replaces what stands there.

    The metrics shown are out of fold: predictions on rows that the fold's model was not trained on.
    """
    changes: dict[str, Any] = {} if costs is None else {"costs": costs.model_dump()}
    if horizon_sessions is not None:
        changes |= {"horizon_sessions": horizon_sessions, "future_minutes": None}
    if calendar is not None:
        changes["calendar"] = calendar
    specification = ModelSpec.parse({**read_document(spec), **changes}) if changes else ModelSpec.read(spec)
    app = open_application()
    with progress_bar("train") as progress:
        record = train(specification, app.training, progress=progress)
    if as_json:
        print_json(model_document(record))
    else:
        print_model(record)
