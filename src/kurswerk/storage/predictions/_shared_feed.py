"""One connection that listens for stored predictions, shared by all readers of a process."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from kurswerk.core.errors import DatabaseUnavailableError
from kurswerk.observability import get_logger

Row = Mapping[str, Any]

log = get_logger(__name__)
# A reader that waits is given an empty batch at least this often.
_HEARTBEAT_S = 1.0
# Alerts are listed by the hundred; an older one would be pushed out of every list.
_MAX_ALERTS = 100
# The broadcast takes a batch before the next is read, so that no more than a batch or two ever wait for it.
_MAX_BROADCAST_ROWS = 500_000


class PredictionSource(Protocol):
    """Reports which predictions are stored."""

    def stored(self, wanted: Callable[[], bool]) -> AsyncIterator[Sequence[Row]]:
        """Yield nothing once it listens, then each batch if it is ``wanted``; DatabaseUnavailableError when lost."""
        ...


@dataclass(frozen=True)
class FeedBatch:
    """What was stored since a reader took the batch before.

    Attributes
    ----------
    rows
        Predictions that the reader's filter lets through, in the order they were read; the newest ``max_rows``.
    alerts
        Predictions that raised an alert, whatever the filter; the newest hundred.
    skipped
        How many rows were dropped because the reader did not take them in time.
    """

    rows: Sequence[Row] = ()
    alerts: Sequence[Row] = ()
    skipped: int = 0


class _Buffer:
    """Rows that one reader has not taken yet."""

    def __init__(self, fits: Callable[[Row], bool], max_rows: int, wanted: Callable[[], bool]) -> None:
        self.wanted = wanted
        self._fits = fits
        self._rows: deque[Row] = deque(maxlen=max_rows)
        self._alerts: deque[Row] = deque(maxlen=_MAX_ALERTS)
        self._skipped = 0
        self._listening = False
        self._error: Exception | None = None
        self._changed = asyncio.Event()

    def put(self, rows: Sequence[Row], alerts: Sequence[Row]) -> None:
        """Keep what the reader wants of a batch."""
        fitting = [row for row in rows if self._fits(row)]
        self._skipped += max(len(self._rows) + len(fitting) - (self._rows.maxlen or 0), 0)
        self._rows.extend(fitting)
        self._alerts.extend(alerts)
        if fitting or alerts or not self._listening:
            self._listening = True
            self._changed.set()

    def fail(self, error: Exception) -> None:
        """Let the reader know that nothing more comes."""
        self._error = error
        self._changed.set()

    async def listening(self) -> None:
        """Return once the feed listens; raise the error that kept it from that."""
        await self._changed.wait()
        if self._error is not None and not self._listening:
            raise self._error

    async def take(self) -> FeedBatch:
        """Return what has come, or nothing after a second; raise the error that ended the feed."""
        try:
            await asyncio.wait_for(self._changed.wait(), _HEARTBEAT_S)
        except TimeoutError:
            return FeedBatch()
        if self._error is not None and not self._rows and not self._alerts:
            raise self._error
        found = FeedBatch(tuple(self._rows), tuple(self._alerts), self._skipped)
        self._rows.clear()
        self._alerts.clear()
        self._skipped = 0
        if self._error is None:
            self._changed.clear()
        return found


class SharedPredictionFeed:
    """Listens once for all readers of a process, and only while there are any.

    Each reader has a buffer of its own. One that is too slow loses the oldest rows in it and is given their number;
    the others do not wait for it. All readers use one event loop.

    An outage of the database is logged once, and so is its end.

    Parameters
    ----------
    source
        Reports the predictions, e.g. `PostgresPredictionFeed`.
    """

    def __init__(self, source: PredictionSource) -> None:
        self._source = source
        self._buffers: set[_Buffer] = set()
        self._task: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._lost = False

    async def subscribe(
        self,
        fits: Callable[[Row], bool] = lambda _: True,
        *,
        max_rows: int,
        wanted: Callable[[], bool] = lambda: True,
    ) -> AsyncGenerator[FeedBatch, None]:
        """Yield an empty batch once the feed listens, then what is stored; an empty one after a second without any.

        Parameters
        ----------
        fits
            Which rows the reader wants.
        max_rows
            How many rows may wait for the reader.
        wanted
            Whether the reader wants any now; rows that no reader wants are not read from the database.

        Raises
        ------
        DatabaseUnavailableError
            When the connection cannot be made, or is lost; what is stored from then on is not reported.
        """
        buffer = _Buffer(fits, max_rows, wanted)
        self._buffers.add(buffer)
        try:
            if self._task is None:
                self._task = asyncio.create_task(self._follow())
            elif self._listening is self._task:
                buffer.put((), ())
            await buffer.listening()
            yield FeedBatch()
            while True:
                yield await buffer.take()
        finally:
            self._buffers.discard(buffer)
            if not self._buffers and self._task is not None:
                self._task.cancel()
                self._task = None

    async def stored(self, wanted: Callable[[], bool]) -> AsyncIterator[Sequence[Row]]:
        """Yield all predictions to a reader that takes each batch at once, as `PostgresPredictionFeed.stored` does."""
        async with aclosing(self.subscribe(max_rows=_MAX_BROADCAST_ROWS, wanted=wanted)) as batches:
            async for batch in batches:
                if batch.skipped:
                    log.warning("predictions were skipped: their reader is too slow", skipped=batch.skipped)
                yield batch.rows

    async def _follow(self) -> None:
        task = asyncio.current_task()
        try:
            async for rows in self._source.stored(lambda: any(buffer.wanted() for buffer in self._buffers)):
                self._report_recovery()
                self._listening = task
                alerts = [row for row in rows if row.get("alert_id") is not None]
                for buffer in self._buffers:
                    buffer.put(rows, alerts)
        except Exception as error:  # noqa: BLE001 - every reader is given it
            self._report_outage(error)
            if self._task is task:
                self._task = None
                for buffer in self._buffers:
                    buffer.fail(error)

    def _report_outage(self, error: Exception) -> None:
        if not self._lost and isinstance(error, DatabaseUnavailableError):
            self._lost = True
            log.warning("stored predictions are not reported: the database is not available", reason=str(error))

    def _report_recovery(self) -> None:
        if self._lost:
            self._lost = False
            log.info("stored predictions are reported again")
