"""``kurswerk train``: from a specification to a READY model."""

from pathlib import Path

import click

from kurswerk.bootstrap.application import open_application
from kurswerk.cli._models import model_document, print_model
from kurswerk.cli._options import cost_options
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import progress_bar
from kurswerk.training import Costs, ModelSpec, train


@click.command("train")
@click.argument("spec", type=click.Path(dir_okay=False, path_type=Path))
@cost_options
@json_option
def command(spec: Path, costs: Costs | None, *, as_json: bool) -> None:
    """Train and certify the model that SPEC.json describes; costs given here replace those of the specification.

    The metrics shown are out of fold: predictions on rows that the fold's model was not trained on.
    """
    specification = ModelSpec.read(spec)
    if costs is not None:
        specification = ModelSpec.parse({**specification.as_json(), "costs": costs.model_dump()})
    app = open_application()
    with progress_bar("train") as progress:
        record = train(specification, app.training, progress=progress)
    if as_json:
        print_json(model_document(record))
    else:
        print_model(record)
