"""``kurswerk simulate``: a believable, reproducible market."""

from pathlib import Path

import click

from kurswerk.bootstrap.application import open_application
from kurswerk.bootstrap.simulation import CoinMarket, live_market, store_market, write_market
from kurswerk.cli._options import seed_option, speed_option
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import progress_bar
from kurswerk.cli.serve import run_service
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import format_timestamp, parse_timestamp
from kurswerk.observability import configure_logging


@click.group("simulate")
def command() -> None:
    """Write a believable, reproducible market."""


@command.command("coins")
@click.option("--coins", "n_coins", type=int, required=True, help="Number of coins born.")
@click.option("--hours", type=float, required=True, help="Length of the simulation.")
@seed_option
@click.option("--start", metavar="TIME", default="2025-01-01T00:00:00Z", show_default=True, help="Its beginning.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write Parquet, not the database.")
@json_option
def coins(n_coins: int, hours: float, seed: int, start: str, output: Path | None, *, as_json: bool) -> None:
    """Simulate coins that are born, trade on a bonding curve, are pumped, rugged, given up or graduate.

    The same arguments again change nothing.
    """
    market = CoinMarket(n_coins, hours, seed, parse_timestamp(start))
    document: dict[str, object] = {"coins": n_coins, "hours": hours, "seed": seed}
    document |= {"start": format_timestamp(market.start_us), "end": format_timestamp(market.end_us)}
    with progress_bar("simulate") as progress:
        if output is None:
            summary = store_market(market, open_application(), progress)
            document |= {"rows": summary.rows_read, "accepted": summary.accepted, **vars(summary.stored)}
        else:
            document |= {"rows": write_market(market, output, progress), "path": str(output)}
    if as_json:
        print_json(document)
    else:
        click.echo(", ".join(f"{key} {value}" for key, value in document.items()))


@command.command("live")
@speed_option(1.0)
@click.option(
    "--births",
    type=click.FloatRange(0.1, 10_000.0),
    default=30.0,
    show_default=True,
    help="Coins born in an hour of the market.",
)
@click.option("--seconds", type=click.FloatRange(0.1), help="How long it trades.  [default: until Ctrl-C]")
@json_option
def live(speed: float, births: float, seconds: float | None, *, as_json: bool) -> None:
    """Let a simulated market trade with the clock: its rows are written as they happen, as a collector's are.

    It begins in full swing: two hours of it are written at once, up to now. Each run has coins of its own. A service
    beside it, kurswerk serve, predicts the rows with the models that are active.
    """
    configure_logging(level="warning")
    app = open_application()
    with live_market(app, speed=speed, births_per_hour=births, seconds=seconds) as (market, trading):
        if not as_json:
            trades = trading.addresses["market"]
            endless = Message("cli.trading_until_stopped", market=trades)
            click.echo(endless if seconds is None else Message("cli.trading_for", market=trades, seconds=seconds))
        run_service([trading])
    document = {"rows": trading.rows, "coins": market.coins, "speed": speed, "seed": market.seed}
    if as_json:
        print_json(document)
    else:
        click.echo(Message("cli.rows_written", count=trading.rows))
