"""``kurswerk data check``: how good a market's rows are."""

from pathlib import Path

import click

from kurswerk.bootstrap.application import open_application
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import cell_text, print_table
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import format_timestamp
from kurswerk.ingest import check_market
from kurswerk.market import DEFAULT_MARKET, MARKETS, market_named
from kurswerk.quality import Example, Finding, QualityReport
from kurswerk.reports import write_quality_report

_SHOWN = 2


@click.command("check")
@click.option(
    "--market", type=click.Choice(list(MARKETS)), default=DEFAULT_MARKET, show_default=True, help="Whose rows."
)
@click.option("--examples", type=click.IntRange(0, 9999), default=10, show_default=True, help="Places of each finding.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the findings as a page, too.")
@json_option
def check(market: str, examples: int, html: Path | None, *, as_json: bool) -> None:
    """Check the stored rows of a market, and show which were quarantined.

    Looked for are gaps, prices that stand still or leap without an action, candles that cannot be, missing prices,
    nothing traded, copied rows and series, other units, and series of which none has ended. Exit code 1 where stored
    rows cannot be right.
    """
    app = open_application()
    report = check_market(
        market_named(market), app.markets[market], app.settings.quarantine_dir, most_examples=examples
    )
    if html is not None:
        write_quality_report(html, report)
    if as_json:
        print_json(report.document())
    else:
        _print(report)
    if report.errors:
        raise SystemExit(1)


def _print(report: QualityReport) -> None:
    first, last = (format_timestamp(us) if us is not None else "–" for us in (report.first_us, report.last_us))
    click.echo(
        Message(
            "cli.checked_market",
            market=report.market,
            rows=Message("count.rows", count=report.rows),
            instruments=report.instruments,
            first=first,
            last=last,
        )
    )
    print_table("findings", ("check", "severity", "places", "instruments", "done"), [*map(_line, report.findings)])
    places = [(_name(one), *_place(at)) for one in report.findings for at in one.examples[:_SHOWN]]
    if places:
        print_table("places", ("check", "instrument", "time", "found"), places)


def _name(finding: Finding) -> str:
    return finding.check.replace("_", " ")


def _line(finding: Finding) -> tuple[object, ...]:
    if not finding.count:
        return _name(finding), "ok", 0, 0, ""
    done = f"{finding.done}: {finding.reason}" if finding.reason else finding.done
    return _name(finding), finding.severity, finding.count, finding.instruments, done


def _place(example: Example) -> tuple[str, str, str]:
    moment = "" if example.timestamp_us is None else format_timestamp(example.timestamp_us)[:16].replace("T", " ")
    return example.instrument, moment, ", ".join(f"{name} {cell_text(value)}" for name, value in example.values.items())
