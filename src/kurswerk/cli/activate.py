"""``kurswerk activate``: let a certified model predict every new row."""

import click

from kurswerk.bootstrap.application import open_application
from kurswerk.cli._options import model_key
from kurswerk.cli._output import json_option, print_json
from kurswerk.core.messages import Message
from kurswerk.serving import activate


@click.command("activate")
@click.argument("model")
@click.option("--force", is_flag=True, help="Activate it though it is not certified; give a --reason.")
@click.option("--reason", metavar="TEXT", help="Why; recorded.")
@json_option
def command(model: str, *, force: bool, reason: str | None, as_json: bool) -> None:
    """Let MODEL (id or name) predict every row committed from now on, in all running predictors."""
    app = open_application()
    record, changed = activate(model_key(model), app.models, app.activations, force=force, reason=reason)
    if as_json:
        print_json({"success": True, "model_id": record.id, "changed": changed})
    else:
        code = "cli.activated" if changed else "cli.active_already"
        click.echo(Message(code, id=record.id, name=record.name))
