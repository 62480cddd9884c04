"""``kurswerk report``: a readable page on tested models."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

import click

from kurswerk.bootstrap.application import Application, open_application
from kurswerk.cli._options import model_key
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import progress_bar
from kurswerk.core.errors import ConflictError, NotFoundError
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import to_datetime
from kurswerk.market import CANDLE_ROLES, MarketSchema, Panel
from kurswerk.registry import ModelRecord, market_of
from kurswerk.reports import Command, MarketOverview, Place, Report, ReportedModel, write_report

_MOST_MODELS = 10
# The page shows one coin's price: that with the most rows among the first few.
_MOST_COINS_TRIED = 20
_MOST_EXAMPLE_ROWS = 5_000


@click.command("report")
@click.argument("models", nargs=-1, metavar="[MODEL]…")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Where to write the page.")
@json_option
def command(models: tuple[str, ...], output: Path | None, *, as_json: bool) -> None:
    """Write one self-contained HTML page on MODELs (id or name) with their latest tests.

    Without MODEL the newest READY models are taken, at most 10. Default output: exports/kurswerk-report-<UTC time>.html
    """
    moment = datetime.now(UTC)
    app = open_application()
    with progress_bar("report") as progress:
        progress(0.0, Message("progress.reading_models"))
        records = _records(app, models)
        reported = tuple(ReportedModel(record, tuple(app.results.tests_of(record.id))) for record in records)
        progress(0.3, Message("progress.reading_market"))
        market = _market(app, market_of(records[0]))
        progress(0.6, Message("progress.drawing"))
        path = write_report(
            output or Path("exports") / f"kurswerk-report-{moment:%Y%m%dT%H%M%SZ}.html",
            Report(
                title=f"Report on {records[0].name}" if len(records) == 1 else f"Report on {len(records)} models",
                written_at=moment,
                models=reported,
                places=(Place("database", str(app.database)), Place("data directory", str(app.settings.data_dir))),
                commands=_commands(records),
                market=market,
            ),
        )
    if as_json:
        print_json({"path": str(path), "bytes": path.stat().st_size, "models": [record.id for record in records]})
    else:
        click.echo(Message("cli.report_written", path=path, names=[record.name for record in records]))


def _records(app: Application, models: Sequence[str]) -> list[ModelRecord]:
    """Return the models asked for, each once, or the newest READY ones."""
    if not models:
        found = list(app.models.find(status="READY", limit=_MOST_MODELS))
        if not found:
            raise NotFoundError("model.none_ready_to_report")
        return found
    records = list({record.id: record for record in (app.models.get(model_key(model)) for model in models)}.values())
    for record in records:
        if record.status != "READY":
            raise ConflictError("model.nothing_to_report", name=record.name, status=record.status)
    return records


def _market(app: Application, market: MarketSchema) -> MarketOverview | None:
    """Describe what is stored of a market; None if it is empty."""
    there = app.markets[market.name].availability()
    if there.first_us is None or there.last_us is None:
        return None
    return MarketOverview(
        rows=there.rows,
        coins=there.coins,
        start=to_datetime(there.first_us),
        end=to_datetime(there.last_us),
        example=_example(app, market),
        schema=market,
    )


def _example(app: Application, market: MarketSchema) -> Panel | None:
    """Return the last rows of one coin."""
    rows = app.markets[market.name]
    stored = rows.columns()
    columns = [name for role in CANDLE_ROLES if (name := market.roles.get(role)) in stored]
    coins = rows.instruments()[:_MOST_COINS_TRIED]
    panels = [rows.latest_rows(coin, _MOST_EXAMPLE_ROWS, columns) for coin in coins] if columns else []
    return max(panels, key=len, default=None)


def _commands(records: Sequence[ModelRecord]) -> tuple[Command, ...]:
    """Return what a reader may want to do next."""
    name = quote(records[0].name)
    return (
        Command(f"kurswerk test {name} --start TIME --end TIME", "Test a model on another period:"),
        Command(f"kurswerk certify {name}", "Prove that it sees no future:"),
        Command("kurswerk predict COIN", "Predict from a coin's latest row:"),
    )
