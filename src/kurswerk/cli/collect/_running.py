"""What all collecting commands do: run one collector until it is stopped, then report what it stored."""

import click

from kurswerk.bootstrap.application import open_application
from kurswerk.bootstrap.collector_part import SingleCollector
from kurswerk.bootstrap.collectors import open_collector
from kurswerk.cli._output import print_json
from kurswerk.cli.serve import run_service
from kurswerk.core.messages import Message
from kurswerk.observability import Metrics, configure_logging


def collect(name: str, seconds: float | None, *, as_json: bool, **settings: object) -> None:
    """Run a collector until Ctrl-C, SIGTERM, or for some seconds; with some settings other than those in force."""
    app = open_application()
    as_lines = {"auto": None, "json": True, "text": False}[app.settings.log.format]
    configure_logging(level=app.settings.log.level, json=as_lines)
    collector = open_collector(name, app.settings.replace_in("collector", **settings), app.database, Metrics())
    part = SingleCollector(name, collector, seconds=seconds)
    if not as_json:
        click.echo(Message("cli.collecting", name=name, database=app.database))
    run_service([part])
    if as_json:
        print_json({"collector": name, "rows": part.rows})
    else:
        click.echo(Message("cli.rows_written", count=part.rows))
