"""``kurswerk fetch``: bars of stocks from a provider."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from kurswerk.bootstrap.application import open_application
from kurswerk.bootstrap.fetching import PROVIDERS, open_fetcher
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import print_table, progress_bar
from kurswerk.core.errors import KurswerkError
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import format_timestamp
from kurswerk.ingest.fetching import Period, Retries, SymbolReport
from kurswerk.market import INTERVALS

_DATE = click.DateTime(formats=["%Y-%m-%d"])


@click.command("fetch")
@click.argument("symbols", metavar="SYMBOL…", nargs=-1, required=True)
@click.option("--source", type=click.Choice(list(PROVIDERS)), default=next(iter(PROVIDERS)), show_default=True,
              help="Who is asked.")  # fmt: skip
@click.option("--start", type=_DATE, help="First day.  [default: the first stored one, or five years ago]")
@click.option("--end", type=_DATE, help="Last day.  [default: today]")
@click.option(
    "--interval", type=click.Choice(list(INTERVALS)), default="1d", show_default=True, help="Length of a bar."
)
@click.option("--exchange", help="Where all symbols trade, e.g. XETR.  [default: what is known of each, or XNYS]")
@click.option("--prefer", is_flag=True, help="Read this source from now on where there are others.")
@json_option
def command(
    symbols: tuple[str, ...],
    source: str,
    start: datetime | None,
    end: datetime | None,
    interval: str,
    exchange: str | None,
    *,
    prefer: bool,
    as_json: bool,
) -> None:
    """Fetch the bars, splits and dividends of SYMBOLs that are missing, gaps too; again, it asks for nothing twice.

    Bars are stored as they were paid, each symbol whole or not at all. Exit code 1 if any symbol failed; the others
    are stored all the same.
    """
    app = open_application()
    fetcher = open_fetcher(
        app.settings,
        app.database,
        source,
        interval,
        exchange=exchange,
        prefer=prefer,
        retries=Retries(report=_show_pause),
    )
    period = Period(start.date() if start else None, end.date() if end else None)
    with progress_bar("fetch") as bar:
        reports = fetcher.fetch(
            symbols, period, lambda fraction, symbol: bar(fraction, Message("progress.fetching", symbol=symbol))
        )
    if as_json:
        print_json({"source": source, "interval": interval, "symbols": [report_document(one) for one in reports]})
    else:
        print_reports(source, reports)
    if any(one.is_failed for one in reports):
        click.get_current_context().exit(1)


def _show_pause(what: str, error: KurswerkError, seconds: float) -> None:
    click.echo(Message("cli.asking_again", about=what, reason=error, seconds=seconds), err=True)


def report_document(report: SymbolReport) -> dict[str, Any]:
    """Return what became of a symbol as JSON."""
    return {
        "symbol": report.symbol,
        "status": report.status,
        "inserted": report.inserted,
        "quarantined": report.quarantined,
        "quarantine": None if report.quarantine is None else str(report.quarantine),
        "revised": report.revised,
        "outside": report.outside,
        "actions": report.actions,
        "missing": report.missing,
        "last": None if report.last_us is None else format_timestamp(report.last_us),
        "error": None if report.error is None else str(report.error),
    }


def print_reports(source: str, reports: Sequence[SymbolReport]) -> None:
    """Show what became of each symbol, and why it failed."""
    names = ("symbol", "status", "inserted", "actions", "quarantined", "missing", "last")
    rows = [tuple(report_document(one)[name] for name in names) for one in reports]
    print_table(Message("cli.fetched_from", source=source).render(), names, rows)
    for one in reports:
        if one.error is not None:
            click.echo(f"{one.symbol}: {one.error}", err=True)
