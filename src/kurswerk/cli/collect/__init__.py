"""``kurswerk collect``: rows and rates from the outside, as they happen; one file per source."""

import click

from kurswerk.cli.collect.exchange_rates import exchange_rates
from kurswerk.cli.collect.pumpportal import pumpportal
from kurswerk.cli.collect.status import status
from kurswerk.cli.collect.stocks import stocks


@click.group("collect")
def command() -> None:
    """Collect market data as it happens: coins from PumpPortal, exchange rates, stocks.

    Addresses and keys are settings, KURSWERK_COLLECTOR_…; kurswerk serve collects too where they name what.
    """


for _subcommand in (pumpportal, exchange_rates, stocks, status):
    command.add_command(_subcommand)
