"""``kurswerk ingest``: files of market data into the database."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from kurswerk.bootstrap.application import open_application
from kurswerk.bootstrap.files import open_candles
from kurswerk.cli._ingest_summary import print_summary, summary_document
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._stated_values import fundamentals, sectors
from kurswerk.cli._terminal import progress_bar
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import MICROSECONDS
from kurswerk.ingest import IngestSummary, ingest_actions, ingest_files, ingest_symbols
from kurswerk.market import INTERVALS, MARKETS, MarketSchema, market_named, market_of_interval
from kurswerk.market.calendar import calendar_of
from kurswerk.market.series import SeriesOrigin, SourceConflict


@click.group("ingest")
def command() -> None:
    """Bring files of market data into the database."""


def ingest_command(market: MarketSchema) -> click.Command:
    """Return the command that ingests files of one market."""

    @click.command(market.name, help=_help_of(market))
    @click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path))
    @click.option(
        f"--{market.key}", "instrument", help=f"The {market.key} of all rows, for files without a column that names it."
    )
    @click.option("--date-format", help="strptime format of times in no standard form, e.g. %m/%d/%Y.")
    @json_option
    def ingest(files: tuple[Path, ...], instrument: str | None, date_format: str | None, *, as_json: bool) -> None:
        sources = [open_candles(path, market) for path in files]
        app = open_application()
        with progress_bar("ingest") as bar:
            summary = ingest_files(
                sources,
                market,
                app.markets[market.name],
                app.settings.quarantine_dir,
                instrument=instrument,
                date_format=date_format,
                progress=lambda step: bar(step.fraction, step.message),
            )
        if as_json:
            print_json(summary_document(summary))
        else:
            print_summary(summary)

    return ingest


def _series_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of where bars come from and what their prices and times are."""
    options = (
        click.option("--date-format", help="strptime format of times in no standard form, e.g. %m/%d/%Y."),
        click.option("--source", help="Name of the source; bars of different sources are kept apart. [file's name]"),
        click.option(
            "--price-basis",
            default="raw",
            show_default=True,
            help="raw, or split-adjusted:YYYY-MM-DD with the day up to which splits are in the prices.",
        ),
        click.option("--exchange", default="XNYS", show_default=True, help="Whose sessions the dates of bars are."),
        click.option(
            "--bar-time",
            type=click.Choice(["open", "close"]),
            default="close",
            show_default=True,
            help="Which end of a bar within the day its time is.",
        ),
        click.option("--prefer", is_flag=True, help="Read this source from now on where there are others."),
    )
    for option in options:
        command = option(command)
    return command


def ingest_series_command(market: MarketSchema) -> click.Command:
    """Return the command that ingests files of a market that keeps several series of an instrument."""

    @click.command(market.name, help=_help_of(market))
    @click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path))
    @click.option(
        f"--{market.key}", "instrument", help=f"The {market.key} of all rows, for files without a column that names it."
    )
    @_series_options
    @click.option(
        "--interval",
        type=click.Choice(list(INTERVALS)),
        default=market.interval,
        show_default=True,
        help="Length of a bar.",
    )
    @json_option
    def ingest(
        files: tuple[Path, ...],
        instrument: str | None,
        date_format: str | None,
        source: str | None,
        price_basis: str,
        exchange: str,
        interval: str,
        bar_time: str,
        *,
        prefer: bool,
        as_json: bool,
    ) -> None:
        origins = [SeriesOrigin.of(source or path.stem, price_basis, preferred=prefer) for path in files]
        bars = market_of_interval(market.name, interval)
        calendar = None if bars.on_demand else calendar_of(exchange)
        shift_us = INTERVALS[interval] * MICROSECONDS if bars.on_demand and bar_time == "open" else 0
        sources = [open_candles(path, bars) for path in files]
        app = open_application()
        store = app.markets[bars.name]
        summaries, instruments = [], set[str]()
        with progress_bar("ingest") as bar:
            for candles, origin in zip(sources, origins, strict=True):
                sink = store.series_sink(origin, exchange)
                summaries.append(
                    ingest_files(
                        [candles],
                        bars,
                        sink,
                        app.settings.quarantine_dir,
                        instrument=instrument,
                        date_format=date_format,
                        calendar=calendar,
                        shift_us=shift_us,
                        progress=lambda step: bar(step.fraction, step.message),
                    )
                )
                instruments |= sink.instruments
        summary = IngestSummary([file for one in summaries for file in one.files])
        _report(summary, store.source_conflicts(instruments), as_json=as_json)

    return ingest


def _report(summary: IngestSummary, conflicts: Sequence[SourceConflict], *, as_json: bool) -> None:
    if as_json:
        print_json({**summary_document(summary), "conflicts": [asdict(one) for one in conflicts]})
        return
    print_summary(summary)
    for one in conflicts:
        columns = ", ".join(f"{count} × {name}" for name, count in one.differing.items())
        click.echo(
            Message(
                "cli.sources_differ",
                instrument=one.instrument,
                preferred=one.preferred,
                other=one.other,
                columns=columns,
                shared=Message("count.rows", count=one.shared),
            )
        )


def _help_of(market: MarketSchema) -> str:
    aliases = {role.value: column for role, column in market.roles.items() if role.value != column}
    mapped = [f"{name} → {column}" for name, column in aliases.items()]
    mapped += [f"symbol, pair or ticker → {market.key}", f"date or ts → {market.timestamp}"]
    return (
        f"Ingest rows of the market {market.name} from CSV or Parquet FILEs; the same file twice changes nothing.\n\n"
        f"Common names are mapped: {', '.join(mapped)}. Rows that break a validation rule go to a quarantine file with "
        "the reason."
    )


for _market in [market for market in MARKETS.values() if not market.on_demand]:
    command.add_command(ingest_series_command(_market) if _market.series else ingest_command(_market))


@command.command("actions")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--exchange", default="XNYS", show_default=True, help="Whose sessions the days of a factor file are.")
@json_option
def ingest_actions_command(file: Path, exchange: str, *, as_json: bool) -> None:
    """Ingest splits and dividends of stocks from a CSV FILE; the same file twice changes nothing.

    FILE has the columns symbol, date, price_factor, split_factor and reference_price, of which the actions are derived,
    or symbol, date, kind (split, dividend, spin_off) and factor, and may have amount and known_at.
    """
    market = market_named("stocks")
    app = open_application()
    summary = ingest_actions(file, market, app.markets[market.name], exchange=exchange)
    if as_json:
        print_json(asdict(summary))
    else:
        counts = [f"{count} × {kind}" for kind, count in summary.actions.items()]
        click.echo(
            Message(
                "cli.ingested_actions",
                file=summary.file,
                read=Message("count.rows", count=summary.rows_read),
                actions=", ".join(counts),
                added=summary.added,
                unchanged=summary.unchanged,
            )
        )


@command.command("symbols")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--exchange", help="Of symbols for which FILE states none, such as XNYS.")
@click.option("--currency", help="Of symbols for which FILE states none, such as USD.")
@json_option
def ingest_symbols_command(file: Path, exchange: str | None, currency: str | None, *, as_json: bool) -> None:
    """Ingest names, sectors, exchanges and currencies of stocks from a CSV FILE; twice changes nothing.

    FILE has a column symbol and may have name (or security), sector, industry, exchange and currency, also under the
    names that S&P's lists use. What it does not state stays as it is.
    """
    app = open_application()
    summary = ingest_symbols(file, app.instruments["stocks"], exchange=exchange, currency=currency)
    if as_json:
        print_json(asdict(summary))
    else:
        click.echo(
            Message(
                "cli.ingested_symbols",
                file=summary.file,
                read=Message("count.rows", count=summary.rows_read),
                added=summary.added,
                changed=summary.changed,
                unchanged=summary.unchanged,
            )
        )


command.add_command(fundamentals)
command.add_command(sectors)
