"""Exchange rates on a schedule: read politely, refused where they cannot be true, stored."""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from kurswerk.core.errors import ConflictError, DatabaseUnavailableError, KurswerkError
from kurswerk.core.timestamps import MICROSECONDS
from kurswerk.ingest.collector import CollectorObserver, CollectorStatus, StatusStore
from kurswerk.ingest.fetching import SourceBusyError
from kurswerk.observability import get_logger

log = get_logger(__name__)

# What a rate can be at all.
_SOL_USD = (0.01, 1_000_000.0)
_USD_EUR = (0.1, 10.0)
# So many readings in a row that agree with each other are believed, however far they lie from the last one stored.
_BELIEVED_READINGS = 3
_PATIENCE_S = 1.0
_LONGEST_WAIT_S = 3600.0
_SILENT_INTERVALS = 5
_HEARTBEAT_S = 10.0


@dataclass(frozen=True)
class Rates:
    """Exchange rates of a moment.

    Attributes
    ----------
    sol_usd
        US dollars for one SOL.
    usd_eur
        Euros for one US dollar.
    source
        Who states them.
    """

    moment_us: int
    sol_usd: float
    usd_eur: float
    source: str


class RatesSource(Protocol):
    """States exchange rates."""

    @property
    def name(self) -> str:
        """Name that is stored with the rates."""
        ...

    async def read(self) -> Rates:
        """Return the present rates.

        Raises
        ------
        SourceBusyError
            If it asks to come back later.
        KurswerkError
            If it cannot be reached, or its answer cannot be read.
        """
        ...


class RatesStore(Protocol):
    """Keeps exchange rates."""

    def latest(self) -> Rates | None:
        """Return the newest rates that are complete."""
        ...

    def add(self, rates: Rates) -> None:
        """Store rates."""
        ...


class RateGuard:
    """Refuses rates that no market can have, and jumps until several readings in a row show them.

    Parameters
    ----------
    most_jump
        The largest change from the last rate, as a share of it.
    last
        The last rates stored.

    Examples
    --------
    >>> guard = RateGuard(0.2, Rates(0, 150.0, 0.9, "x"))
    >>> [guard.refusal(Rates(0, price, 0.9, "x")) is None for price in (160.0, 1600.0, 1601.0, 1599.0, 1600.0)]
    [True, False, False, True, True]
    """

    def __init__(self, most_jump: float, last: Rates | None = None) -> None:
        self._most_jump, self._last = most_jump, last
        self._refused: list[Rates] = []

    def refusal(self, rates: Rates) -> str | None:
        """Return why rates are not to be stored, or None; then they are what the next ones are compared with."""
        for name, value, (least, most) in (
            ("SOL/USD", rates.sol_usd, _SOL_USD),
            ("USD/EUR", rates.usd_eur, _USD_EUR),
        ):
            if not least <= value <= most:
                self._refused.clear()
                return f"{name} {value:g} is none between {least:g} and {most:g}"
        if self._last is None or self._is_near(rates, self._last):
            self._accept(rates)
            return None
        self._refused = [one for one in self._refused if self._is_near(rates, one)] + [rates]
        if len(self._refused) >= _BELIEVED_READINGS:
            self._accept(rates)
            return None
        return (
            f"SOL/USD {rates.sol_usd:g} and USD/EUR {rates.usd_eur:g} differ by more than {self._most_jump:.0%} from"
            f" {self._last.sol_usd:g} and {self._last.usd_eur:g}; believed after {_BELIEVED_READINGS} readings in a row"
        )

    def _accept(self, rates: Rates) -> None:
        self._last, self._refused = rates, []

    def _is_near(self, rates: Rates, other: Rates) -> bool:
        changes = (rates.sol_usd / other.sol_usd, rates.usd_eur / other.usd_eur)
        return all(abs(change - 1.0) <= self._most_jump for change in changes)


class RatesCollector:
    """Stores exchange rates at an interval.

    Only one process collects; others wait and take over when it ends. Rates that are stored already and not older
    than the interval are not asked for again.

    Parameters
    ----------
    interval_s
        From one reading to the next.
    most_jump
        As in `RateGuard`.
    now_us
        The present moment in microseconds UTC.
    """

    def __init__(
        self,
        source: RatesSource,
        store: RatesStore,
        statuses: StatusStore,
        observer: CollectorObserver,
        *,
        interval_s: float,
        most_jump: float,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._source, self._store, self._statuses, self._observer = source, store, statuses, observer
        self._interval_s, self._most_jump, self._now_us = interval_s, most_jump, now_us
        self._failures = 0
        self._reason: str | None = None
        self._last_read_us: int | None = None
        self.rows = 0

    async def run(self, stop: asyncio.Event, *, readings: int | None = None) -> None:
        """Collect until ``stop`` is set, or until so many readings were stored."""
        is_owner = False
        while not stop.is_set() and not is_owner:
            try:
                is_owner = await asyncio.to_thread(self._statuses.acquire_status)
            except DatabaseUnavailableError as error:
                log.warning("the collector waits for the database", reason=str(error))
            if not is_owner:
                await _pause(stop, _PATIENCE_S)
        try:
            if is_owner:
                await self._collect(stop, readings)
        finally:
            await asyncio.to_thread(self._statuses.release)

    async def _collect(self, stop: asyncio.Event, readings: int | None) -> None:
        last = await asyncio.to_thread(self._store.latest)
        guard = RateGuard(self._most_jump, last)
        if last is not None and readings is None:
            self._last_read_us = last.moment_us
            age_s = (self._now_us() - last.moment_us) / MICROSECONDS
            await self._wait(stop, min(max(0.0, self._interval_s - age_s), self._interval_s))
        while not stop.is_set() and (readings is None or self.rows < readings):
            wait_s = await self._read_once(guard)
            if readings is None or self.rows < readings:
                await self._wait(stop, wait_s)
        with suppress(DatabaseUnavailableError, ConflictError):
            await self._report(None, is_stopped=True)

    async def _read_once(self, guard: RateGuard) -> float:
        """Read and store rates; return after how many seconds to do it again."""
        try:
            rates = await self._source.read()
        except KurswerkError as error:
            self._failures += 1
            log.warning("no exchange rates", reason=str(error), failures=self._failures)
            self._observer.message(readable=False)
            await self._report(str(error))
            # Spread, so that several clients do not come back at the same moment.
            wait_s = min(_LONGEST_WAIT_S, self._interval_s * 2.0 ** min(self._failures - 1, 10))
            wait_s *= random.uniform(0.75, 1.25)  # noqa: S311 - no secret  # nosec B311
            return max(error.wait_s, wait_s) if isinstance(error, SourceBusyError) else wait_s
        self._failures = 0
        self._last_read_us = rates.moment_us
        self._observer.message()
        if (refusal := guard.refusal(rates)) is not None:
            log.warning("exchange rates refused", reason=refusal, source=rates.source)
            await self._report(refusal)
            return self._interval_s
        await self._add(rates)
        return self._interval_s

    async def _add(self, rates: Rates) -> None:
        try:
            await asyncio.to_thread(self._store.add, rates)
        except DatabaseUnavailableError as error:
            log.warning("exchange rates could not be stored", reason=str(error))
            return
        self.rows += 1
        self._observer.stored(1, 0)
        await self._report(None)

    async def _wait(self, stop: asyncio.Event, seconds: float) -> None:
        """Wait, and show from time to time that the process lives."""
        deadline = time.monotonic() + seconds
        while not stop.is_set() and (left := deadline - time.monotonic()) > 0:
            await _pause(stop, min(left, _HEARTBEAT_S))
            if not stop.is_set():
                await self._report(self._reason)

    async def _report(self, reason: str | None, *, is_stopped: bool = False) -> None:
        self._reason = reason
        status = CollectorStatus(
            is_connected=reason is None,
            last_message_us=self._last_read_us,
            silent_after_s=_SILENT_INTERVALS * self._interval_s,
            reason=reason,
            is_stopped=is_stopped,
        )
        try:
            await asyncio.to_thread(self._statuses.write_status, status)
        except DatabaseUnavailableError as error:
            log.warning("the collector waits for the database", reason=str(error))


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
