"""Joins fetching to its providers and to the database: one function per provider, one line each in the register."""

from collections.abc import Callable, Mapping

from kurswerk.bootstrap.settings import Settings
from kurswerk.core.errors import UnknownNameError
from kurswerk.ingest.fetching import BarFetcher, BarProvider, Pace, Retries
from kurswerk.market import market_of_interval
from kurswerk.market.series import SeriesOrigin
from kurswerk.sources import alphavantage, yahoo
from kurswerk.sources.kept_answers import KeptAnswers
from kurswerk.storage.markets import PostgresBarStore, PostgresMarketStore
from kurswerk.storage.server import Database


def _alphavantage(settings: Settings, pace_of: Callable[[float], Pace]) -> BarProvider:
    group = settings.alphavantage
    return alphavantage.AlphaVantage(
        group.key.get_secret_value() if group.key else None, url=group.url, pace=pace_of(group.calls_per_minute)
    )


def _yahoo(settings: Settings, pace_of: Callable[[float], Pace]) -> BarProvider:
    group = settings.yahoo
    connection = yahoo.Connection(group.proxy.get_secret_value() if group.proxy else None, group.ca_file)
    return yahoo.Yahoo(settings.data_dir / "cache" / "yahoo", connection, pace=pace_of(group.calls_per_minute))


PROVIDERS: Mapping[str, Callable[[Settings, Callable[[float], Pace]], BarProvider]] = {
    yahoo.NAME: _yahoo,
    alphavantage.NAME: _alphavantage,
}


def open_fetcher(
    settings: Settings,
    database: Database,
    source: str,
    interval: str,
    *,
    exchange: str | None = None,
    prefer: bool = False,
    retries: Retries | None = None,
) -> BarFetcher:
    """Return what fetches bars of stocks of one length from a provider of `PROVIDERS`.

    Parameters
    ----------
    exchange
        Where all symbols trade; None is where each does.
    prefer
        Whether the provider's bars are read from now on where there are others.
    retries
        How often what fails is tried again, and how it waits.
    """
    if source not in PROVIDERS:
        raise UnknownNameError("fetch.unknown_source", name=source, known=PROVIDERS)
    patience = retries or Retries()
    provider = PROVIDERS[source](settings, lambda per_minute: Pace(per_minute, wait=patience.wait))
    provider.reach_days(interval)  # refused at once where it has no such bars
    market = market_of_interval("stocks", interval)
    origin = SeriesOrigin.of(source, preferred=prefer)
    return BarFetcher(
        KeptAnswers(provider, settings.answers_dir, settings.fetch.keep_minutes * 60.0),
        PostgresBarStore(database, market, source),
        PostgresMarketStore(database, market).series_sink_of(origin),
        market,
        settings.quarantine_dir,
        retries=patience,
        exchange=exchange,
        delay_s=settings.fetch.delay_minutes * 60.0,
    )
