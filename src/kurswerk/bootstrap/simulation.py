"""Simulated markets: into a file, into the database, or trading live."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from kurswerk.bootstrap.application import Application
from kurswerk.core.messages import Message
from kurswerk.ingest import IngestSummary, ingest_files
from kurswerk.jobs import Progress
from kurswerk.market import COINS
from kurswerk.sources import CoinMarket, LiveMarket
from kurswerk.sources.market_part import MarketPart, Sent, open_market
from kurswerk.sources.simulated_candles import SimulatedCandles, write_market
from kurswerk.storage.markets import PostgresMarketStore
from kurswerk.storage.server import Database

__all__ = [
    "CoinMarket",
    "LiveMarket",
    "MarketPart",
    "Sent",
    "live_market",
    "open_market",
    "store_market",
    "write_market",
]


def store_market(market: CoinMarket, app: Application, progress: Progress) -> IngestSummary:
    """Bring a simulated market into the database, by the same way as a file."""
    progress(0.0, Message("progress.simulating"))
    summary = ingest_files(
        [SimulatedCandles(market)],
        COINS,
        app.markets[COINS.name],
        app.settings.quarantine_dir,
        progress=lambda step: progress(0.9 * (step.fraction + (step.step == "store")) / 2, step.message),
    )
    app.context.write_streams(market.streams())
    app.context.write_exchange_rates(market.exchange_rates())
    progress(1.0, Message("progress.stored"))
    return summary


@contextmanager
def live_market(
    app: Application, *, speed: float, births_per_hour: float, seconds: float | None
) -> Iterator[tuple[LiveMarket, MarketPart]]:
    """Begin a market that is in full swing and give it with the part that lets it trade; it keeps one connection."""
    market = open_market(app.markets[COINS.name], speed=speed, births_per_hour=births_per_hour)
    with closing(Database(app.database.source, pool_size=1)) as database:
        yield market, MarketPart(PostgresMarketStore(database, COINS), market, seconds=seconds)
