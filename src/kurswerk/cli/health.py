"""``kurswerk health``: how a running service is, for people and for container engines."""

import sys

import click

from kurswerk.bootstrap.health_probe import health_url, probe
from kurswerk.bootstrap.settings import current_settings
from kurswerk.cli._output import json_option, print_json


@click.command("health")
@click.option("--url", metavar="URL", help="Another address than that of the settings.")
@json_option
def command(url: str | None, *, as_json: bool) -> None:
    """Ask the service of this machine how it is; exit with 0 if it can serve, with 1 if not.

    Its address is that of KURSWERK_HEALTH_PORT, or else that of the API.
    """
    able, report = probe(url or health_url(current_settings()))
    if as_json:
        print_json(report)
    else:
        click.echo(report["status"])
        for name, check in report.get("checks", {}).items():
            click.echo(f"  {name:10} {check['status']:8} {check['message']}")
    sys.exit(0 if able else 1)
