"""``kurswerk collect pumpportal``: rows of coins from PumpPortal's trades."""

import click

from kurswerk.cli._output import json_option
from kurswerk.cli.collect._running import collect


@click.command("pumpportal")
@click.option("--seconds", type=click.FloatRange(0.1), help="How long it collects.  [default: until Ctrl-C]")
@json_option
def pumpportal(seconds: float | None, *, as_json: bool) -> None:
    """Collect rows of new coins from PumpPortal's WebSocket.

    Each coin has a row every 5, 30 or 60 seconds by its phase, and only where all trades of that time were received;
    kurswerk collect status lists the gaps.
    """
    collect("pumpportal", seconds, as_json=as_json)
