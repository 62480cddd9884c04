"""``kurswerk data series``: which series of bars there are of each instrument, and where they differ."""

from collections.abc import Sequence
from dataclasses import asdict

import click

from kurswerk.bootstrap.application import open_application
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import print_table
from kurswerk.core.messages import Message
from kurswerk.market import market_of_interval
from kurswerk.market.instruments import Series
from kurswerk.market.series import SourceConflict

_TITLES = ("symbol", "interval", "source", "price basis", "read", "bars", "first", "last")


@click.command("series")
@click.argument("symbols", nargs=-1, metavar="[SYMBOL]…")
@click.option("--conflicts", is_flag=True, help="Compare sources of the same symbol, bar by bar.")
@json_option
def series(symbols: tuple[str, ...], *, conflicts: bool, as_json: bool) -> None:
    """List the series of stocks: source, price basis, bars, and which one is read.

    Without a SYMBOL, those of all stocks. Models, charts and predictions read the preferred series of a symbol;
    kurswerk ingest stocks --prefer chooses another.
    """
    app = open_application()
    found = app.instruments["stocks"].series(symbols or None)
    several = {one.interval for one in found if not one.is_preferred}
    differing: list[SourceConflict] = []
    for interval in several if conflicts else ():
        market = market_of_interval("stocks", interval)
        names = {one.symbol for one in found if one.interval == interval and not one.is_preferred}
        differing += app.markets[market.name].source_conflicts(names)
    if as_json:
        print_json({"series": [asdict(one) for one in found], "conflicts": [asdict(one) for one in differing]})
        return
    _print(found, differing)


def _print(found: Sequence[Series], differing: Sequence[SourceConflict]) -> None:
    if not found:
        click.echo(Message("cli.no_series"))
        return
    rows = [
        (
            one.symbol,
            one.interval,
            one.source,
            "raw" if one.adjusted_as_of is None else f"split-adjusted:{one.adjusted_as_of}",
            "yes" if one.is_preferred else "",
            one.bars,
            one.first and f"{one.first:%Y-%m-%d}",
            one.last and f"{one.last:%Y-%m-%d}",
        )
        for one in found
    ]
    print_table("series", _TITLES, rows)
    for one in differing:
        click.echo(
            Message(
                "cli.sources_differ",
                instrument=one.instrument,
                preferred=one.preferred,
                other=one.other,
                columns=", ".join(f"{count} × {name}" for name, count in one.differing.items()),
                shared=Message("count.rows", count=one.shared),
            )
        )
