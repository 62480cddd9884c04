"""Joins collectors to their sources and to the database: one function per source, one line each in the register."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from kurswerk.bootstrap.fetching import open_fetcher
from kurswerk.bootstrap.settings import Settings
from kurswerk.core.errors import InvalidInputError
from kurswerk.core.timestamps import format_timestamp
from kurswerk.ingest.collector import Collector, CollectorOptions
from kurswerk.ingest.exchange_rates import RatesCollector
from kurswerk.ingest.fetching import StocksCollector
from kurswerk.observability import Metrics
from kurswerk.sources.exchange_rates import HttpRatesSource
from kurswerk.sources.pumpportal import PumpPortal
from kurswerk.storage.markets import (
    PostgresCollectorStore,
    PostgresRatesStore,
    collector_gaps,
    collector_reports,
)
from kurswerk.storage.server import Database


class RunningCollector(Protocol):
    """Collects until it is asked to stop."""

    @property
    def rows(self) -> int:
        """How many rows it stored."""
        ...

    async def run(self, stop: asyncio.Event) -> None:
        """Collect until ``stop`` is set."""
        ...


class MetricsObserver:
    """Counts what one collector does in the metrics; a `CollectorObserver`."""

    def __init__(self, metrics: Metrics, source: str) -> None:
        self._metrics, self._source = metrics, source

    def message(self, *, readable: bool = True) -> None:
        """Count a message."""
        self._metrics.collector_messages.labels(self._source, str(readable).lower()).inc()

    def trade(self, verdict: str) -> None:
        """Count a trade by what became of it."""
        self._metrics.collector_trades.labels(self._source, verdict).inc()

    def stored(self, rows: int, coins: int) -> None:
        """Count stored rows, and note how many coins are followed."""
        self._metrics.collector_rows.labels(self._source).inc(rows)
        self._metrics.collector_coins.labels(self._source).set(coins)

    def reconnect(self) -> None:
        """Count a lost connection."""
        self._metrics.collector_reconnects.labels(self._source).inc()

    def gaps(self, reasons: Iterable[str]) -> None:
        """Count new gaps by their reason."""
        for reason in reasons:
            self._metrics.collector_gaps.labels(self._source, reason).inc()


def _pumpportal(all_settings: Settings, database: Database, metrics: Metrics) -> Collector:
    settings = all_settings.collector
    key = settings.pumpportal_api_key
    return Collector(
        PumpPortal(settings.pumpportal_url, key.get_secret_value() if key else None),
        PostgresCollectorStore(database, "pumpportal"),
        MetricsObserver(metrics, "pumpportal"),
        CollectorOptions(settings.grace_seconds, settings.silence_minutes, settings.most_coins),
    )


def _exchange_rates(all_settings: Settings, database: Database, metrics: Metrics) -> RatesCollector:
    settings = all_settings.collector
    key = settings.rates_api_key
    return RatesCollector(
        HttpRatesSource(settings.rates_source, url=settings.rates_url, api_key=key.get_secret_value() if key else None),
        PostgresRatesStore(database),
        PostgresCollectorStore(database, "exchange-rates"),
        MetricsObserver(metrics, "exchange-rates"),
        interval_s=settings.rates_seconds,
        most_jump=settings.rates_most_jump,
    )


def _stocks(settings: Settings, database: Database, metrics: Metrics) -> StocksCollector:
    chosen = settings.collector
    if not chosen.stocks:
        raise InvalidInputError("collect.no_symbols")
    return StocksCollector(
        lambda retries: open_fetcher(
            settings,
            database,
            chosen.stocks_source,
            chosen.stocks_interval,
            exchange=chosen.stocks_exchange,
            retries=retries,
        ),
        chosen.stocks,
        PostgresCollectorStore(database, "stocks"),
        MetricsObserver(metrics, "stocks"),
        poll_s=chosen.stocks_seconds,
    )


COLLECTORS: Mapping[str, Callable[[Settings, Database, Metrics], RunningCollector]] = {
    "pumpportal": _pumpportal,
    "exchange-rates": _exchange_rates,
    "stocks": _stocks,
}
# What is collected where nothing is chosen.
WITHOUT_SETTINGS = ("pumpportal", "exchange-rates")


def open_collector(name: str, settings: Settings, database: Database, metrics: Metrics) -> RunningCollector:
    """Return a collector of `COLLECTORS`; its connections to the database are its own."""
    return COLLECTORS[name](settings, Database(database.source), metrics)


def collector_overview(database: Database, gaps: int) -> dict[str, list[dict[str, Any]]]:
    """Return how all collectors are, and their latest gaps, as JSON."""
    reports = [
        {
            "name": report.name,
            "connected": report.status.is_connected,
            "stopped": report.status.is_stopped,
            "coins": report.status.coins,
            "seconds_since_seen": report.seconds_since_seen,
            "seconds_since_message": report.seconds_since_message,
            "reason": report.status.reason,
        }
        for report in collector_reports(database)
    ]
    found = [
        {
            "started_at": format_timestamp(gap.start_us),
            "ended_at": None if gap.end_us is None else format_timestamp(gap.end_us),
            "reason": gap.reason.value,
            "mint": gap.mint,
            "windows": gap.windows,
        }
        for gap in collector_gaps(database, limit=gaps)
    ]
    return {"collectors": reports, "gaps": found}
