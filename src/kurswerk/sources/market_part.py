"""A simulated market that trades as a part of the service: its rows arrive as a collector's would."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import pyarrow as pa

from kurswerk.core.errors import DatabaseUnavailableError
from kurswerk.core.timestamps import MICROSECONDS
from kurswerk.ingest.ports import MarketSink
from kurswerk.observability import get_logger
from kurswerk.sources.live_market import LiveMarket

log = get_logger(__name__)

HEAD_START_HOURS = 2.0
_TICK_S = 0.1
_PATIENCE_S = 1.0


@dataclass(frozen=True)
class Sent:
    """Rows that a statement is about to write.

    Attributes
    ----------
    mints, timestamps_us, prices
        Whose rows, of which moments, and the closing prices.
    sent_s
        When the statement was begun, by `time.perf_counter`.
    """

    mints: list[str]
    timestamps_us: list[int]
    prices: list[float]
    sent_s: float


async def _at_once() -> None:
    """Wait for nothing."""


class MarketPart:
    """Writes a market's rows at the moments they bear, until ``stop`` or for some seconds.

    Parameters
    ----------
    store
        Where rows go, by the way that all others take.
    market
        What trades; it has begun.
    seconds
        How long; None is until ``stop``.
    begin
        Returns when it may trade.
    end
        Returns when all that follows from the rows is done; called once the seconds are over.
    on_sent
        Called with every statement before it is sent; again if it has to be sent again.
    """

    def __init__(
        self,
        store: MarketSink,
        market: LiveMarket,
        *,
        seconds: float | None = None,
        begin: Callable[[], Awaitable[None]] = _at_once,
        end: Callable[[], Awaitable[None]] = _at_once,
        on_sent: Callable[[Sent], None] = lambda _: None,
    ) -> None:
        self._store, self._market, self._seconds = store, market, seconds
        self._begin, self._end, self._on_sent = begin, end, on_sent
        self.rows = 0
        self.ready = asyncio.Event()

    @property
    def addresses(self) -> Mapping[str, str]:
        """What it does."""
        market = self._market
        return {"market": f"{market.coins} simulated coins, {market.speed:g} × as fast as the clock"}

    async def run(self, stop: asyncio.Event) -> None:
        """Trade until ``stop`` is set or the seconds are over."""
        self.ready.set()
        if await _first(self._begin(), stop):
            return
        # What was due while everything started is not made up for.
        self._market.begin(now_us(), 0.0)
        deadline = None if self._seconds is None else time.monotonic() + self._seconds
        while not stop.is_set() and (deadline is None or time.monotonic() < deadline):
            started = time.monotonic()
            await self._write(self._market.until(now_us()), stop)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), max(0.0, started + _TICK_S - time.monotonic()))
        if not stop.is_set():
            await self._write(self._market.until(now_us()), stop)  # what was due by the end
            await _first(self._end(), stop)

    async def _write(self, rows: pa.RecordBatch, stop: asyncio.Event) -> None:
        """Write rows, again and again while the database is away: nothing that was traded is lost."""
        keys = (rows.column("mint").to_pylist(), rows.column("timestamp").view(pa.int64()).to_pylist())
        while rows.num_rows and not stop.is_set():
            self._on_sent(Sent(*keys, rows.column("price_close").to_pylist(), time.perf_counter()))
            try:
                await asyncio.to_thread(self._store.upsert, [rows])
            except DatabaseUnavailableError as error:
                log.warning("the market waits for the database", reason=str(error))
                await asyncio.sleep(_PATIENCE_S)
            else:
                self.rows += rows.num_rows
                return


def open_market(
    store: MarketSink, *, speed: float, births_per_hour: float, hours: float = HEAD_START_HOURS
) -> LiveMarket:
    """Begin a market that is already in full swing: store its first hours, the last row of them now.

    Its coins are none of any other run's: the moment decides them.
    """
    moment = now_us()
    market = LiveMarket(moment // MICROSECONDS, births_per_hour=births_per_hour, speed=speed)
    store.upsert([market.begin(moment, hours)])
    return market


def now_us() -> int:
    """Return the present moment in microseconds UTC."""
    return time.time_ns() // 1000


async def _first(work: Awaitable[None], stop: asyncio.Event) -> bool:
    """Wait for some work, but not longer than until ``stop``; return whether that was first."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopped = not working.done()
    for task in (working, stopping):
        task.cancel()
    with suppress(asyncio.CancelledError):
        await working
    return stopped
