"""Bars of stocks from providers: only what is missing, politely, each symbol by itself."""

from kurswerk.ingest.fetching._collector import StocksCollector
from kurswerk.ingest.fetching._fetcher import DEFAULT_EXCHANGE, BarFetcher, Period, SymbolReport
from kurswerk.ingest.fetching.politeness import (
    Pace,
    Retries,
    SourceBusyError,
    SourceExhaustedError,
    TransientSourceError,
    retry_after_s,
)
from kurswerk.ingest.fetching.ports import BarProvider, BarRequest, BarStore, FetchedBars, Instrument

__all__ = [
    "DEFAULT_EXCHANGE",
    "BarFetcher",
    "BarProvider",
    "BarRequest",
    "BarStore",
    "FetchedBars",
    "Instrument",
    "Pace",
    "Period",
    "Retries",
    "SourceBusyError",
    "SourceExhaustedError",
    "StocksCollector",
    "SymbolReport",
    "TransientSourceError",
    "retry_after_s",
]
