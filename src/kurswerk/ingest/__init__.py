"""Market data into the store: validated, counted, nothing lost."""

from kurswerk.ingest._coins import FileSummary, IngestSummary, Progress, ingest_coins
from kurswerk.ingest.ports import CandleSource, CoinSink, RawRows, UpsertCount, coin_schema

__all__ = [
    "CandleSource",
    "CoinSink",
    "FileSummary",
    "IngestSummary",
    "Progress",
    "RawRows",
    "UpsertCount",
    "coin_schema",
    "ingest_coins",
]
