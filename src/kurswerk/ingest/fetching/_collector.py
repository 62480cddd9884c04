"""Bars of stocks on a schedule: asked for when a session, or a bar in it, has ended."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from kurswerk.core.errors import ConflictError, DatabaseUnavailableError
from kurswerk.core.timestamps import MICROSECONDS, to_datetime
from kurswerk.ingest.collector import CollectorObserver, CollectorStatus, StatusStore
from kurswerk.ingest.fetching._fetcher import BarFetcher, Period, SymbolReport
from kurswerk.ingest.fetching.politeness import Retries
from kurswerk.observability import get_logger

log = get_logger(__name__)

_PATIENCE_S = 1.0
_HEARTBEAT_S = 10.0
# What is asked for in each round, once all that is older was asked for.
_RECENT_DAYS = 14
# Rounds that bring nothing come at pauses that double so often at most.
_MOST_DOUBLINGS = 6
_LATE_S = 3600.0


class StocksCollector:
    """Fetches the bars of some symbols as sessions go on; only one process collects, others wait and take over.

    Parameters
    ----------
    open_fetcher
        Returns what fetches, with the patience that it is given.
    symbols
        Whose bars.
    poll_s
        The pause after a round that left bars missing; it doubles while rounds bring nothing.
    now_us
        The present moment in microseconds UTC.
    """

    def __init__(
        self,
        open_fetcher: Callable[[Retries], BarFetcher],
        symbols: Sequence[str],
        statuses: StatusStore,
        observer: CollectorObserver,
        *,
        poll_s: float,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._symbols, self._statuses, self._observer = list(dict.fromkeys(symbols)), statuses, observer
        self._poll_s, self._now_us = poll_s, now_us
        self._stopping = threading.Event()
        retries = Retries(wait=self._stop_or_wait, is_stopped=self._stopping.is_set)
        self._fetcher = open_fetcher(retries)
        self._complete: set[str] = set()
        self._reason: str | None = None
        self._last_us: int | None = None
        self._fruitless = 0
        self.rows = 0

    async def run(self, stop: asyncio.Event, *, rounds: int | None = None) -> None:
        """Collect until ``stop`` is set, or for so many rounds."""
        watching = asyncio.create_task(self._pass_on(stop))
        is_owner = False
        try:
            while not stop.is_set() and not is_owner:
                try:
                    is_owner = await asyncio.to_thread(self._statuses.acquire_status)
                except DatabaseUnavailableError as error:
                    log.warning("the collector waits for the database", reason=str(error))
                if not is_owner:
                    await _pause(stop, _PATIENCE_S)
            if is_owner:
                await self._collect(stop, rounds)
        finally:
            watching.cancel()
            await asyncio.to_thread(self._statuses.release)

    async def _pass_on(self, stop: asyncio.Event) -> None:
        """Let what waits in a thread know that it is to end."""
        self._stopping.clear()
        await stop.wait()
        self._stopping.set()

    def _stop_or_wait(self, seconds: float) -> None:
        self._stopping.wait(seconds)

    async def _collect(self, stop: asyncio.Event, rounds: int | None) -> None:
        done = 0
        while not stop.is_set():
            wait_s = await self._round()
            done += 1
            if rounds is not None and done >= rounds:
                break
            await self._wait(stop, wait_s)
        with suppress(DatabaseUnavailableError, ConflictError):
            await self._report(0.0, is_stopped=True)

    async def _round(self) -> float:
        """Fetch what is missing; return after how many seconds to do it again."""
        try:
            reports = await asyncio.to_thread(self._fetch)
            due_s = await asyncio.to_thread(self._seconds_until_due)
        except DatabaseUnavailableError as error:
            log.warning("the collector waits for the database", reason=str(error))
            return self._poll_s
        stored = sum(one.inserted for one in reports)
        failed = [one for one in reports if one.is_failed]
        self.rows += stored
        self._observer.message(readable=len(failed) < len(reports))
        self._observer.stored(stored, len(self._symbols))
        for one in failed:
            log.warning("no bars", symbol=one.symbol, reason=str(one.error))
        if len(failed) < len(reports):
            self._last_us = self._now_us()
        self._reason = str(failed[0].error) if len(failed) == len(reports) else None
        self._fruitless = 0 if stored else self._fruitless + 1
        wait_s = due_s
        if failed or any(one.missing for one in reports):
            wait_s = min(due_s, self._poll_s * 2.0 ** min(max(self._fruitless - 1, 0), _MOST_DOUBLINGS))
        await self._report(wait_s)
        return wait_s

    def _fetch(self) -> list[SymbolReport]:
        """Look at everything once, then at the latest days."""
        new = [one for one in self._symbols if one not in self._complete]
        known = [one for one in self._symbols if one in self._complete]
        reports = self._fetcher.fetch(new, Period()) if new else []
        self._complete |= {one.symbol for one in reports if not one.is_failed}
        if known:
            recent = to_datetime(self._now_us()).date() - timedelta(days=_RECENT_DAYS)
            reports += self._fetcher.fetch(known, Period(recent))
        return reports

    def _seconds_until_due(self) -> float:
        due_us = self._fetcher.next_finished_us(self._symbols, self._now_us())
        return max((due_us - self._now_us()) / MICROSECONDS, 0.0) + 1.0

    async def _wait(self, stop: asyncio.Event, seconds: float) -> None:
        """Wait, and show from time to time that the process lives."""
        deadline = time.monotonic() + seconds
        while not stop.is_set() and (left := deadline - time.monotonic()) > 0:
            await _pause(stop, min(left, _HEARTBEAT_S))
            if not stop.is_set():
                await self._report(left)

    async def _report(self, wait_s: float, *, is_stopped: bool = False) -> None:
        since_s = 0.0 if self._last_us is None else (self._now_us() - self._last_us) / MICROSECONDS
        status = CollectorStatus(
            is_connected=self._reason is None,
            last_message_us=self._last_us,
            silent_after_s=since_s + wait_s + _LATE_S,
            coins=len(self._symbols),
            reason=self._reason,
            is_stopped=is_stopped,
        )
        try:
            await asyncio.to_thread(self._statuses.write_status, status)
        except DatabaseUnavailableError as error:
            log.warning("the collector waits for the database", reason=str(error))


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
