"""Collecting: trades of a source into complete rows of coins, exactly once, and gaps where there can be none."""

from kurswerk.ingest.collector._collector import Collector, CollectorOptions
from kurswerk.ingest.collector._events import (
    CoinCreated,
    CoinMigrated,
    CoinTrade,
    Following,
    Interrupted,
    Malformed,
    Received,
    Reserves,
)
from kurswerk.ingest.collector._health import collectors_check
from kurswerk.ingest.collector._records import Collected, CollectedRow, FollowedCoin, Gap, GapReason, Verdict
from kurswerk.ingest.collector._windows import TradeWindows
from kurswerk.ingest.collector.ports import (
    CollectorMemory,
    CollectorObserver,
    CollectorReport,
    CollectorStatus,
    CollectorStore,
    StatusStore,
    TradeSource,
)

__all__ = [
    "CoinCreated",
    "CoinMigrated",
    "CoinTrade",
    "Collected",
    "CollectedRow",
    "Collector",
    "CollectorMemory",
    "CollectorObserver",
    "CollectorOptions",
    "CollectorReport",
    "CollectorStatus",
    "CollectorStore",
    "FollowedCoin",
    "Following",
    "Gap",
    "GapReason",
    "Interrupted",
    "Malformed",
    "Received",
    "Reserves",
    "StatusStore",
    "TradeSource",
    "TradeWindows",
    "Verdict",
    "collectors_check",
]
