"""Checks of market data for the service: one at a time, on markets that fit, and not again within a minute."""

import threading
import time
from collections.abc import Mapping
from pathlib import Path

from kurswerk.core.errors import InvalidInputError
from kurswerk.ingest import check_market
from kurswerk.market import market_named
from kurswerk.quality import MOST_EXAMPLES, QualityReport
from kurswerk.storage.markets import PostgresMarketStore

# About half a gigabyte while a check runs.
MOST_ROWS = 5_000_000
_KEPT_S = 60.0


class MarketQuality:
    """Checks markets in this process.

    Parameters
    ----------
    markets
        Name → rows.
    quarantine_dir
        Where refused rows lie.
    """

    def __init__(self, markets: Mapping[str, PostgresMarketStore], quarantine_dir: Path) -> None:
        self._markets, self._quarantine_dir = markets, quarantine_dir
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, int], tuple[float, QualityReport]] = {}

    def check(self, market: str, most_examples: int = MOST_EXAMPLES) -> QualityReport:
        """Return what is wrong with a market's rows, at most a minute old.

        Raises
        ------
        InvalidInputError
            If it has more rows than a service should read at once.
        """
        with self._lock:
            kept = self._kept.get((market, most_examples))
            if kept is not None and time.monotonic() - kept[0] < _KEPT_S:
                return kept[1]
            rows = self._markets[market].availability().rows
            if rows > MOST_ROWS:
                raise InvalidInputError("quality.too_many_rows", market=market, count=rows, most=MOST_ROWS)
            source = self._markets[market]
            report = check_market(market_named(market), source, self._quarantine_dir, most_examples=most_examples)
            self._kept = {(market, most_examples): (time.monotonic(), report)}
            return report
