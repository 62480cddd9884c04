"""``kurswerk worker``: one more pair of hands for the jobs."""

import click

from kurswerk.bootstrap.application import current_settings
from kurswerk.cli._output import json_option
from kurswerk.cli.serve import serve


@click.command("worker")
@click.option("--concurrency", type=click.IntRange(1, 256), help="Jobs at once, a process each.  [default: 1]")
@json_option
def command(concurrency: int | None, *, as_json: bool) -> None:
    """Work on jobs until Ctrl-C; the same as kurswerk serve --only worker.

    Start as many as there is work for, on any machine that reaches the database.
    """
    settings = current_settings()
    if concurrency is not None:
        settings = settings.replace_in("worker", concurrency=concurrency)
    serve(settings, ["worker"], as_json=as_json)
