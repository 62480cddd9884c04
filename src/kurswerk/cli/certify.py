"""``kurswerk certify``: prove that a model sees no future and computes the same bits live."""

from collections.abc import Mapping
from typing import Any

import click

from kurswerk.bootstrap.application import open_application
from kurswerk.cli._options import model_key
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import print_table, progress_bar
from kurswerk.training import certify


@click.command("certify")
@click.argument("model")
@click.option("--seed", type=int, default=0, show_default=True, help="Draws other samples and changes.")
@json_option
def command(model: str, seed: int, *, as_json: bool) -> None:
    """Replay MODEL (id or name) on its own data, look for leaks, and store the certificate.

    Exits with 1 if the model is not certified.
    """
    app = open_application()
    with progress_bar("certify") as progress:
        document = certify(model_key(model), app.markets, app.models, random_state=seed, progress=progress)
    if as_json:
        print_json(document)
    else:
        print_certificate(document)
    if not document["certified"]:
        broken = [probe["check"] for probe in document["probes"] if not probe["passed"]]
        click.echo(f"kurswerk: model '{document['model']}' is not certified; broken: {', '.join(broken)}", err=True)
        click.get_current_context().exit(1)


def print_certificate(document: Mapping[str, Any]) -> None:
    """Show a certificate: the verdict, then every probe."""
    verdict = "is certified" if document["certified"] else "is NOT certified"
    click.echo(
        f"model '{document['model']}' {verdict}: {document['values_compared']:,} values compared, "
        f"{document['differing_bits']} bits differ; {document['leak_probes']} probes, "
        f"{document['leaks_found']} leaks found"
    )
    rows = [
        (probe["check"], "held" if probe["passed"] else "BROKEN", probe["values_compared"], probe["message"])
        for probe in document["probes"]
    ]
    print_table("probes", ("probe", "result", "values", "what it showed"), rows)
