"""``kurswerk collect status``: how collectors are, and what they missed."""

import click

from kurswerk.bootstrap.application import open_application
from kurswerk.bootstrap.collectors import collector_overview
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import print_table
from kurswerk.core.messages import Message

_TABLES: dict[str, tuple[str, ...]] = {
    "collectors": ("name", "connected", "stopped", "coins", "seconds_since_message", "reason"),
    "gaps": ("started_at", "ended_at", "reason", "mint", "windows"),
}


@click.command("status")
@click.option("--limit", type=click.IntRange(0, 1000), default=20, show_default=True, help="Most gaps listed.")
@json_option
def status(limit: int, *, as_json: bool) -> None:
    """Show how collectors are, and the latest gaps: times of which rows are missing."""
    overview = collector_overview(open_application().database, limit)
    if as_json:
        print_json(overview)
        return
    if not overview["collectors"]:
        click.echo(Message("cli.no_collector"))
        return
    for title, names in _TABLES.items():
        print_table(title, names, [tuple(one[name] for name in names) for one in overview[title]])
