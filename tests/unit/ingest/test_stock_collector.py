"""Stocks on a schedule: a round when a bar has ended, all that is missing first, and an end whenever it is wanted."""

import asyncio
import threading
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.bootstrap.collectors import open_collector
from kurswerk.bootstrap.settings import Settings
from kurswerk.core.errors import DatabaseUnavailableError, InvalidInputError, NotFoundError
from kurswerk.ingest.fetching import BarFetcher, SourceBusyError, StocksCollector
from kurswerk.ingest.fetching.missing import expected_bars
from kurswerk.market import market_of_interval
from kurswerk.observability import Metrics
from kurswerk.storage.server import Database
from true_stock import NYSE, MemoryBarStore, MemoryProvider, TrueStock, moment_of, sessions

DAYS = sessions("2023-01-03", "2023-03-31")
DELAY_US = 900_000_000


class Statuses:
    """Keeps what a collector reports; the database is away for the first calls."""

    def __init__(self, away: int = 0) -> None:
        self.written, self.away, self.released = [], away, 0

    def acquire_status(self) -> bool:
        if self.away:
            self.away -= 1
            raise DatabaseUnavailableError("database.unavailable", reason="away")
        return True

    def write_status(self, status) -> None:
        self.written.append(status)

    def release(self) -> None:
        self.released += 1


class Observer:
    def __init__(self) -> None:
        self.readable, self.rows = [], []

    def message(self, *, readable: bool = True) -> None:
        self.readable.append(readable)

    def stored(self, rows: int, coins: int) -> None:
        self.rows.append(rows)


def collector(provider, store, tmp_path, now, symbols=("A", "B"), *, interval="1d", poll_s=0.001, statuses=None):
    def open_fetcher(retries):
        market = market_of_interval("stocks", interval)
        return BarFetcher(provider, store, lambda _: store.sink, market, tmp_path, retries=retries, delay_s=900,
                          now_us=lambda: now[0])  # fmt: skip

    found = StocksCollector(
        open_fetcher, symbols, statuses or Statuses(), Observer(), poll_s=poll_s, now_us=lambda: now[0]
    )
    provider.now_us = now[0]
    return found


def test_all_that_is_missing_comes_first_then_the_latest_days_and_failures_again(tmp_path):
    provider, store = MemoryProvider(TrueStock("A"), TrueStock("B")), MemoryBarStore()
    now = [moment_of(DAYS[40].item(), 1)]
    # Of A nothing fails; B is unknown in the first round.
    fetch = provider.fetch
    unknown = [NotFoundError("fetch.unknown_symbol", source="memory", symbol="B")]
    provider.fetch = lambda request, *, describe: (
        _raise(unknown.pop()) if request.symbol == "B" and unknown else fetch(request, describe=describe)
    )
    provider.without = frozenset([DAYS[39].item()])
    running = collector(provider, store, tmp_path, now)
    asyncio.run(asyncio.wait_for(running.run(asyncio.Event(), rounds=3), 60))
    assert running.rows == 80
    asked = [(one.symbol, one.first.year) for one in provider.asked]
    # A's gap is asked for again in each round, among the latest days only.
    assert asked == [("A", 2018), ("B", 2018), ("A", 2023), ("A", 2023), ("B", 2023)]
    assert running._observer.rows == [40, 40, 0]
    assert running._statuses.written[-1].is_stopped
    assert running._statuses.released == 1


def _raise(error):
    raise error


def test_what_fails_is_the_reason_and_a_database_that_is_away_is_waited_for(tmp_path):
    provider = MemoryProvider(TrueStock("A"))
    provider.failures = [NotFoundError("fetch.unknown_symbol", source="memory", symbol="A")]
    now, statuses = [moment_of(DAYS[40].item(), 1)], Statuses()
    store = MemoryBarStore()
    running = collector(provider, store, tmp_path, now, ["A"], statuses=statuses)
    asyncio.run(asyncio.wait_for(running.run(asyncio.Event(), rounds=1), 60))
    assert not statuses.written[0].is_connected
    assert "does not know A" in str(statuses.written[0].reason)
    away = [DatabaseUnavailableError("database.unavailable", reason="away")]
    known = store.instrument
    store.instrument = lambda symbol: _raise(away.pop()) if away else known(symbol)
    asyncio.run(asyncio.wait_for(running.run(asyncio.Event(), rounds=2), 60))
    assert running.rows == 41
    assert statuses.written[-1].is_connected
    assert statuses.written[-1].silent_after_s >= 3600


def test_it_ends_at_once_though_a_provider_asks_it_to_wait(tmp_path):
    provider, store = MemoryProvider(TrueStock("A")), MemoryBarStore()
    asked = threading.Event()
    fetch = provider.fetch

    def busy(request, *, describe):
        asked.set()
        provider.failures = [SourceBusyError("fetch.busy", source="memory", symbol="A", status="429", seconds=80.0)]
        return fetch(request, describe=describe)

    provider.fetch = busy
    running = collector(provider, store, tmp_path, [moment_of(DAYS[40].item(), 1)], ["A"])

    async def until_asked() -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(running.run(stop))
        await asyncio.to_thread(asked.wait, 60)
        stop.set()
        await asyncio.wait_for(task, 30)

    asyncio.run(until_asked())
    assert running._statuses.written[-1].is_stopped


@given(
    st.integers(int(NYSE.closes(DAYS[:1])[0]), int(NYSE.closes(DAYS[-1:])[0])),
    st.sampled_from(["1d", "1h", "30m", "5m"]),
)
def test_the_next_round_is_due_when_the_next_bar_is_finished(now_us, interval):
    fetcher = collector(MemoryProvider(), MemoryBarStore(), None, [now_us], interval=interval)._fetcher
    due_us = fetcher.next_finished_us(["A", "B"], now_us)
    finished = expected_bars(NYSE, DAYS[0] - 10, np.datetime64(date(2023, 5, 1)), interval).ends_us + DELAY_US
    assert due_us == finished[finished > now_us][0]


def test_a_collector_without_symbols_is_refused():
    with pytest.raises(InvalidInputError, match="KURSWERK_COLLECTOR_STOCKS"):
        open_collector("stocks", Settings(), Database("postgresql://nobody@127.0.0.1:1/none"), Metrics())
