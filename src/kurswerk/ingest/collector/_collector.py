"""The use case: trades of a source into stored rows, until it is asked to stop."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from kurswerk.core.errors import ConflictError, DatabaseUnavailableError
from kurswerk.core.timestamps import MICROSECONDS, MINUTE_US
from kurswerk.ingest.collector._events import (
    CoinCreated,
    CoinMigrated,
    CoinTrade,
    Following,
    Interrupted,
    Malformed,
    Received,
)
from kurswerk.ingest.collector._records import Collected
from kurswerk.ingest.collector._windows import TradeWindows
from kurswerk.ingest.collector.ports import (
    CollectorMemory,
    CollectorObserver,
    CollectorStatus,
    CollectorStore,
    TradeSource,
)
from kurswerk.observability import get_logger

log = get_logger(__name__)

# How often rows, trades and gaps are stored; what was received since is lost in a crash, and lies in a gap then.
_STORE_EVERY_S = 0.5
_PATIENCE_S = 1.0
# While the database is away: then the source is no longer read, which bounds the memory.
_MOST_WAITING = 200_000
# New coins and trades arrive several times a second.
_SILENT_AFTER_S = 60.0


@dataclass(frozen=True)
class CollectorOptions:
    """How trades become rows.

    Attributes
    ----------
    grace_s
        How long after its end a window waits for late and reordered trades.
    silence_minutes
        A coin without a trade for so long is followed no more.
    most_coins
        How many coins are followed at most.
    """

    grace_s: float = 2.0
    silence_minutes: float = 60.0
    most_coins: int = 20_000


class Collector:
    """Follows the coins of a source and stores a row for each complete window.

    Only one process collects from a source; others wait and take over when it ends.

    Parameters
    ----------
    now_us
        The present moment in microseconds UTC.
    """

    def __init__(
        self,
        source: TradeSource,
        store: CollectorStore,
        observer: CollectorObserver,
        options: CollectorOptions | None = None,
        *,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._source, self._store, self._observer, self._now_us = source, store, observer, now_us
        self._options = options or CollectorOptions()
        self._grace_us = round(self._options.grace_s * MICROSECONDS)
        self._windows = TradeWindows()
        self._alive_us: int | None = None
        self._last_message_us: int | None = None
        self._has_received, self._is_connected, self._reason = False, False, ""
        self._known_gaps: set[str] = set()
        self.rows = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Collect until ``stop`` is set.

        Raises
        ------
        StorageError
            If the database refuses what is to be stored.
        """
        while not stop.is_set():
            memory = await self._acquire(stop)
            if memory is not None:
                try:
                    await self._collect(memory, stop)
                except ConflictError as error:
                    log.warning("another process has taken over", reason=str(error))
                finally:
                    await asyncio.to_thread(self._store.release)

    async def _acquire(self, stop: asyncio.Event) -> CollectorMemory | None:
        """Wait until no other process collects; None if that is too late."""
        noted = False
        while not stop.is_set():
            try:
                memory = await asyncio.to_thread(self._store.acquire)
            except DatabaseUnavailableError as error:
                log.warning("the collector waits for the database", reason=str(error))
            else:
                if memory is not None:
                    return memory
                if not noted:
                    log.info("another process collects; waiting to take over")
                    noted = True
            await _pause(stop, _PATIENCE_S)
        return None

    async def _collect(self, memory: CollectorMemory, stop: asyncio.Event) -> None:
        options = self._options
        self._source.unfollow(self._windows.coins)
        self._windows = TradeWindows(
            silence_us=round(options.silence_minutes * MINUTE_US), most_coins=options.most_coins
        )
        self._alive_us, self._is_connected, self._has_received = None, False, False
        if memory.until_us is None:
            self._windows.begin(self._now_us() - self._grace_us)
        else:
            self._windows.restore(memory.coins, memory.trades, memory.until_us)
        self._source.follow(self._windows.coins)
        receiving = asyncio.create_task(self._receive())
        try:
            while not stop.is_set() and not receiving.done():
                await _pause(stop, _STORE_EVERY_S)
                await self._store_collected(stop)
        finally:
            receiving.cancel()
            with suppress(asyncio.CancelledError):
                await receiving
        await self._store_collected(stop, is_stopped=True)

    async def _receive(self) -> None:
        async for received in self._source.events():
            self._take(received)
            while self._windows.waiting > _MOST_WAITING:
                await asyncio.sleep(_STORE_EVERY_S)

    def _take(self, received: Received) -> None:
        event = received.event
        if isinstance(event, Interrupted):
            self._interrupt(event)
            return
        self._alive_us = max(self._alive_us or 0, received.moment_us)
        self._has_received = True
        match event:
            case CoinTrade():
                self._observer.trade(self._windows.trade(event).value)
            case CoinCreated():
                if self._windows.created(event):
                    self._source.follow([event.mint])
            case CoinMigrated():
                self._windows.migrated(event.mint)
            case Following():
                self._windows.following(event.mints, received.moment_us)
                self._is_connected = True
            case Malformed():
                log.warning("a message could not be read", reason=event.reason)
            case None:
                return
        if not isinstance(event, Following):
            self._last_message_us = received.moment_us
            self._observer.message(readable=not isinstance(event, Malformed))

    def _interrupt(self, event: Interrupted) -> None:
        self._advance()
        if self._has_received or self._reason != event.reason:
            log.warning("the source is not connected; trying again", reason=event.reason)
        if self._has_received:
            self._windows.interrupted()
            self._observer.reconnect()
        self._has_received, self._is_connected, self._reason = False, False, event.reason

    def _advance(self) -> None:
        if self._alive_us is not None:
            self._windows.advance(self._alive_us - self._grace_us)
            if left := self._windows.left():
                self._source.unfollow(left)

    async def _store_collected(self, stop: asyncio.Event, *, is_stopped: bool = False) -> None:
        """Store what is complete, again and again while the database is away."""
        self._advance()
        collected = self._windows.drain()
        while True:
            try:
                await asyncio.to_thread(self._store.write, collected, self._status(is_stopped=is_stopped))
            except DatabaseUnavailableError as error:
                log.warning("the collector waits for the database", reason=str(error))
                if stop.is_set():
                    return  # what is not stored lies in a gap when it starts again
                await _pause(stop, _PATIENCE_S)
            else:
                self._count(collected)
                return

    def _count(self, collected: Collected) -> None:
        self.rows += len(collected.rows)
        self._observer.stored(len(collected.rows), len(self._windows.coins))
        new = [gap for gap in collected.gaps if gap.id not in self._known_gaps]
        self._observer.gaps([gap.reason.value for gap in new])
        ended = {gap.id for gap in collected.gaps if gap.end_us is not None}
        self._known_gaps = (self._known_gaps | {gap.id for gap in new}) - ended

    def _status(self, *, is_stopped: bool) -> CollectorStatus:
        return CollectorStatus(
            is_connected=self._is_connected,
            last_message_us=self._last_message_us,
            silent_after_s=_SILENT_AFTER_S,
            coins=len(self._windows.coins),
            reason=None if self._is_connected else self._reason or None,
            is_stopped=is_stopped,
        )


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
