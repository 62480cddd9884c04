"""``kurswerk ingest fundamentals`` and ``kurswerk ingest sectors``: what sources state of stocks from time to time."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from kurswerk.bootstrap.application import Application, open_application
from kurswerk.bootstrap.files import open_candles
from kurswerk.cli._ingest_summary import print_summary, summary_document
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import print_table, progress_bar
from kurswerk.core.timestamps import parse_timestamp
from kurswerk.ingest import (
    CandleSource,
    IngestSummary,
    StatedSource,
    ingest_stated_values,
    stated_columns,
    states_classifications,
)
from kurswerk.market import AsOfTable
from kurswerk.market.series import SeriesOrigin
from kurswerk.market.stock_facts import CLASSIFICATIONS, FUNDAMENTALS, INDEXES

_MARKET = "stocks"


def _options(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        click.argument("file", metavar="FILE", type=click.Path(path_type=Path)),
        click.option("--source", help="Name of the source; what each states anew replaces its own. [file's name]"),
        click.option("--known-at", metavar="TIME", help="When a file without moments became known. [now]"),
        click.option(
            "--members-of",
            type=click.Choice(list(INDEXES)),
            help="The file lists all members of an index at each moment.",
        ),
        json_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command("fundamentals")
@_options
def fundamentals(
    file: Path, source: str | None, known_at: str | None, members_of: str | None, *, as_json: bool
) -> None:
    """Ingest dated fundamentals of stocks from a CSV or Parquet FILE; the same file twice changes nothing.

    Read are symbol, the moment of each snapshot (as_of, snapshot_at, date) and any of pe, pb, ps, eps, book_value,
    dividend_yield (a share of the price), market_cap, ebitda, low_52w, high_52w, debt_to_equity, return_on_equity and
    price; sectors and industries too, if it has them. A value counts from its moment on until a newer one is known,
    for half a year at most.
    """
    tables = [FUNDAMENTALS]
    if members_of is not None or states_classifications(_open(file)):
        tables.append(CLASSIFICATIONS)
    _ingest(tables, file, source, known_at, members_of, as_json=as_json)


@click.command("sectors")
@_options
def sectors(file: Path, source: str | None, known_at: str | None, members_of: str | None, *, as_json: bool) -> None:
    """Ingest sectors and industries (GICS) of stocks from a CSV or Parquet FILE; the same file twice changes nothing.

    A list without a moment counts from now on, or from --known-at, and never before.
    """
    _ingest([CLASSIFICATIONS], file, source, known_at, members_of, as_json=as_json)


def _open(file: Path) -> CandleSource:
    return open_candles(file, stated_columns((FUNDAMENTALS, CLASSIFICATIONS)), has_times=False)


def _ingest(
    tables: Sequence[AsOfTable],
    file: Path,
    source: str | None,
    known_at: str | None,
    members_of: str | None,
    *,
    as_json: bool,
) -> None:
    name = SeriesOrigin.of(source or file.stem).source
    known_us = parse_timestamp(known_at) if known_at else time.time_ns() // 1000
    app = open_application()
    summaries, read = [], None
    for table in tables:
        column = INDEXES[members_of] if members_of is not None and table is CLASSIFICATIONS else None
        summary, read = _ingest_into(app, table, file, name, known_us, column)
        summaries.append(summary)
    if read is not None:
        app.markets[_MARKET].describe_instruments(read.companies)
    unknown = dict(read.unknown.most_common()) if read else {}
    document = {table.name: summary_document(one) for table, one in zip(tables, summaries, strict=True)}
    if as_json:
        print_json({**document, "unknown_names": unknown})
        return
    for one in summaries:
        print_summary(one)
    if unknown:
        print_table("names that the classification does not have", ("name", "rows"), list(unknown.items()))


def _ingest_into(
    app: Application, table: AsOfTable, file: Path, source: str, known_us: int, members_column: str | None
) -> tuple[IngestSummary, StatedSource]:
    sink = app.markets[_MARKET].stated_values_sink(table, source, members_column)
    with progress_bar("ingest") as bar:
        summary, read = ingest_stated_values(
            _open(file),
            table,
            sink,
            app.settings.quarantine_dir,
            known_us=known_us,
            members_column=members_column,
            progress=lambda step: bar(step.fraction, step.message),
        )
    return IngestSummary([summary]), read
