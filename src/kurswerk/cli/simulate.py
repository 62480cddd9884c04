"""``kurswerk simulate``: a believable, reproducible market."""

from pathlib import Path

import click

from kurswerk.bootstrap.application import Application, open_application
from kurswerk.cli._output import json_option, print_json
from kurswerk.cli._terminal import progress_bar
from kurswerk.core.timestamps import format_timestamp, parse_timestamp
from kurswerk.ingest import IngestSummary, ingest_coins
from kurswerk.sources import CoinMarket
from kurswerk.sources.simulated_candles import SimulatedCandles, write_market
from kurswerk.training import Progress


@click.group("simulate")
def command() -> None:
    """Write a believable, reproducible market."""


@command.command("coins")
@click.option("--coins", "n_coins", type=int, required=True, help="Number of coins born.")
@click.option("--hours", type=float, required=True, help="Length of the simulation.")
@click.option("--seed", type=int, default=42, show_default=True, help="The same seed gives the same market.")
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


def store_market(market: CoinMarket, app: Application, progress: Progress) -> IngestSummary:
    """Bring a simulated market into the database, by the same way as a file."""
    progress(0.0, "simulating")
    summary = ingest_coins(
        [SimulatedCandles(market)],
        app.market,
        app.settings.quarantine_dir,
        progress=lambda step: progress(
            0.9 * (step.fraction + (step.step == "store")) / 2, f"{step.step}, {step.rows:,} rows"
        ),
    )
    app.context.write_streams(market.streams())
    app.context.write_exchange_rates(market.exchange_rates())
    progress(1.0, "stored")
    return summary
