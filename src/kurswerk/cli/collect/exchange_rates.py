"""``kurswerk collect exchange-rates``: rates of SOL, US dollar and euro."""

import click

from kurswerk.cli._output import json_option
from kurswerk.cli.collect._running import collect


@click.command("exchange-rates")
@click.option("--seconds", type=click.FloatRange(0.1), help="How long it collects.  [default: until Ctrl-C]")
@json_option
def exchange_rates(seconds: float | None, *, as_json: bool) -> None:
    """Collect exchange rates of SOL, US dollar and euro from a public service, once a minute."""
    collect("exchange-rates", seconds, as_json=as_json)
