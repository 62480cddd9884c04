"""``kurswerk data``: what market data there are, and what becomes of them; one file per subcommand."""

import click

from kurswerk.cli.data.cache import cache
from kurswerk.cli.data.check import check
from kurswerk.cli.data.export import export, import_
from kurswerk.cli.data.series import series


@click.group("data")
def command() -> None:
    """Show and manage stored market data."""


for _subcommand in (cache, check, export, import_, series):
    command.add_command(_subcommand)
