"""``kurswerk collect stocks``: bars of stocks as sessions go on."""

import click

from kurswerk.bootstrap.fetching import PROVIDERS
from kurswerk.cli._output import json_option
from kurswerk.cli.collect._running import collect
from kurswerk.market import INTERVALS


@click.command("stocks")
@click.argument("symbols", metavar="[SYMBOL]…", nargs=-1)
@click.option("--source", type=click.Choice(list(PROVIDERS)), help="Who is asked.  [default: as set]")
@click.option("--interval", type=click.Choice(list(INTERVALS)), help="Length of a bar.  [default: as set]")
@click.option("--exchange", help="Where all symbols trade, e.g. XETR.  [default: what is known of each, or XNYS]")
@click.option("--seconds", type=click.FloatRange(0.1), help="How long it collects.  [default: until Ctrl-C]")
@json_option
def stocks(
    symbols: tuple[str, ...],
    source: str | None,
    interval: str | None,
    exchange: str | None,
    seconds: float | None,
    *,
    as_json: bool,
) -> None:
    """Collect the bars of SYMBOLs, or of KURSWERK_COLLECTOR_STOCKS, whenever a session or a bar in it has ended.

    It begins with all that is missing since the first stored bar, as kurswerk fetch does.
    """
    given = {"stocks": symbols, "stocks_source": source, "stocks_interval": interval, "stocks_exchange": exchange}
    collect("stocks", seconds, as_json=as_json, **{name: value for name, value in given.items() if value})
