"""``kurswerk deactivate``: let a model predict no more."""

import click

from kurswerk.bootstrap.application import open_application
from kurswerk.cli._options import model_key
from kurswerk.cli._output import json_option, print_json
from kurswerk.core.messages import Message


@click.command("deactivate")
@click.argument("model")
@click.option("--reason", metavar="TEXT", help="Why; recorded.")
@json_option
def command(model: str, *, reason: str | None, as_json: bool) -> None:
    """Let MODEL (id or name) predict no more, in all running predictors."""
    app = open_application()
    record = app.models.get(model_key(model))
    changed = app.activations.deactivate(record.id, reason)
    if as_json:
        print_json({"success": True, "model_id": record.id, "changed": changed})
    else:
        code = "cli.deactivated" if changed else "cli.inactive_already"
        click.echo(Message(code, id=record.id, name=record.name))
