"""One feed for many readers: each has what it asked for, or is given the number of what it missed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kurswerk.storage.predictions import FeedBatch, SharedPredictionFeed

Row = Mapping[str, Any]


class Source:
    """Reports what it is given, and counts its listeners."""

    def __init__(self) -> None:
        self.listeners = self.opened = 0
        self.rows: asyncio.Queue[Sequence[Row]] = asyncio.Queue()
        self.wanted: Callable[[], bool] | None = None

    async def stored(self, wanted: Callable[[], bool]) -> AsyncIterator[Sequence[Row]]:
        self.wanted = wanted
        self.listeners, self.opened = self.listeners + 1, self.opened + 1
        try:
            yield []
            while True:
                yield await self.rows.get()
        finally:
            self.listeners -= 1

    async def store(self, ids: Sequence[int]) -> None:
        """Report rows, and return once the feed has handed them on."""
        self.rows.put_nowait([{"id": k, "alert_id": k if k % 7 == 0 else None} for k in ids])
        while not self.rows.empty():
            await asyncio.sleep(0)
        await asyncio.sleep(0)


STEPS = st.lists(st.one_of(st.integers(1, 9), st.none()), max_size=25)


@given(STEPS, st.integers(1, 6), st.integers(1, 3))
def test_a_reader_has_all_rows_it_asked_for_in_order_but_for_those_it_is_given_the_number_of(steps, max_rows, divisor):
    """A number stores so many rows, None lets the slow reader take what waits for it."""

    async def run() -> None:
        source = Source()
        feed = SharedPredictionFeed(source)
        slow = feed.subscribe(lambda row: row["id"] % divisor == 0, max_rows=max_rows)
        async with aclosing(slow), aclosing(feed.subscribe(max_rows=1000)) as quick:
            assert await anext(slow) == await anext(quick) == FeedBatch()
            last, expected, skipped, alerts = 0, [], 0, []
            for step in [*steps, 1, None]:
                if step is not None:
                    new = range(last + 1, last + step + 1)
                    last += step
                    await source.store(new)
                    fitting = [*expected, *(k for k in new if k % divisor == 0)]
                    skipped += max(len(fitting) - max_rows, 0)
                    expected = fitting[-max_rows:]
                    alerts += [k for k in new if k % 7 == 0]
                elif expected or alerts:
                    found = await anext(slow)
                    found = await anext(slow) if found == FeedBatch() else found
                    assert [row["id"] for row in found.rows] == expected
                    assert [row["alert_id"] for row in found.alerts] == alerts
                    assert found.skipped == skipped
                    expected, skipped, alerts = [], 0, []
            everything = []
            while len(everything) < last:
                everything += [row["id"] for row in (await anext(quick)).rows]
            assert everything == list(range(1, last + 1))
            assert (source.listeners, source.opened) == (1, 1)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert source.listeners == 0

    asyncio.run(run())


def test_nothing_is_read_that_no_reader_wants():
    async def run() -> None:
        source = Source()
        feed = SharedPredictionFeed(source)
        wants = [False, False]
        readers = [feed.subscribe(max_rows=1, wanted=lambda k=k: wants[k]) for k in range(2)]
        async with aclosing(readers[0]), aclosing(readers[1]):
            for reader in readers:
                await anext(reader)
            assert not source.wanted()
            wants[1] = True
            assert source.wanted()

    asyncio.run(run())
