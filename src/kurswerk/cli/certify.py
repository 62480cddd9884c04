"""``kurswerk certify``: prove that a model sees no future and computes the same bits live."""

from collections.abc import Mapping
from typing import Any

import click

from kurswerk.bootstrap.application import open_application
from kurswerk.cli._options import model_key
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import print_table, progress_bar
from kurswerk.core.messages import Message
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
        click.echo(f"kurswerk: {Message('cli.probes_failed', model=document['model'], checks=broken)}", err=True)
        click.get_current_context().exit(1)


def print_certificate(document: Mapping[str, Any]) -> None:
    """Show a certificate: the verdict, then every probe."""
    code = "cli.certified" if document["certified"] else "cli.not_certified"
    found = {
        "values": Message("count.values", count=document["values_compared"]),
        "differing": Message("count.differing_bits", count=document["differing_bits"]),
        "probes": Message("count.probes", count=document["leak_probes"]),
        "leaks": Message("count.leaks_found", count=document["leaks_found"]),
    }
    click.echo(Message(code, model=document["model"], **found))
    rows = [
        (probe["check"], "held" if probe["passed"] else "BROKEN", probe["values_compared"], probe["message"])
        for probe in document["probes"]
    ]
    print_table("probes", ("probe", "result", "values", "what it showed"), rows)
