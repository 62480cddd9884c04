"""A market as a part: rows of the present, none lost, none before it may trade or after it has ended."""

import asyncio
import time

import pyarrow as pa
import pytest

from kurswerk.core.errors import DatabaseUnavailableError
from kurswerk.ingest.ports import UpsertCount
from kurswerk.sources import market_part
from kurswerk.sources.market_part import MarketPart, open_market


class Table:
    """Takes rows as `PostgresMarketStore` does; away at its first calls on request."""

    def __init__(self, away: int = 0) -> None:
        self.away = away
        self.batches: list[pa.RecordBatch] = []

    def upsert(self, batches) -> UpsertCount:
        if self.away:
            self.away -= 1
            raise DatabaseUnavailableError("nobody answers")
        self.batches += batches
        return UpsertCount(sum(batch.num_rows for batch in self.batches), 0, 0)

    @property
    def rows(self) -> pa.Table:
        return pa.Table.from_batches(self.batches)

    @property
    def moments(self) -> list[int]:
        return self.rows["timestamp"].cast(pa.int64()).to_pylist()


@pytest.fixture
def market():
    """A market with half an hour behind it, two hundred times as fast as the clock."""
    return open_market(Table(), speed=200.0, births_per_hour=60.0, hours=0.5)


async def run(part: MarketPart, stop: asyncio.Event | None = None) -> None:
    async with asyncio.timeout(60):
        await part.run(stop or asyncio.Event())


def test_it_begins_in_full_swing_with_rows_up_to_now():
    table = Table()
    before = time.time_ns() // 1000
    market = open_market(table, speed=10.0, births_per_hour=60.0)
    assert market.coins > 20
    assert max(table.moments) <= time.time_ns() // 1000
    assert min(table.moments) >= before - 720_000_000
    assert open_market(Table(), speed=10.0, births_per_hour=60.0).seed >= market.seed


def test_it_writes_rows_of_the_present_for_as_long_as_it_was_asked_to(market):
    table, sent = Table(), []
    trading = MarketPart(table, market, seconds=0.5, on_sent=sent.append)
    before = time.time_ns() // 1000
    asyncio.run(run(trading))
    assert trading.rows == table.rows.num_rows > 0
    assert before < min(table.moments) <= max(table.moments) <= time.time_ns() // 1000
    assert [us for one in sent for us in one.timestamps_us] == table.moments
    assert [coin for one in sent for coin in one.mints] == table.rows["mint"].to_pylist()
    assert [price for one in sent for price in one.prices] == table.rows["price_close"].to_pylist()
    assert "200 × as fast" in trading.addresses["market"]


def test_it_trades_once_it_may_and_ends_when_all_is_done(market):
    calls: list[tuple[str, int]] = []
    table = Table()

    async def begin() -> None:
        await asyncio.sleep(0.3)
        calls.append(("begin", len(table.batches)))

    async def end() -> None:
        calls.append(("end", len(table.batches)))

    began = time.time_ns() // 1000
    asyncio.run(run(MarketPart(table, market, seconds=0.4, begin=begin, end=end)))
    assert calls == [("begin", 0), ("end", len(table.batches))]
    assert min(table.moments) > began + 300_000  # what was due before is not made up for


@pytest.mark.parametrize("waits", [True, False])
def test_it_stops_at_once(market, waits):
    table, stop = Table(), asyncio.Event()

    async def never() -> None:
        stop.set()
        await asyncio.Event().wait()

    part = MarketPart(table, market, end=never, on_sent=lambda _: stop.set())
    if waits:
        part = MarketPart(table, market, begin=never)
    started = time.monotonic()
    asyncio.run(run(part, stop))
    assert time.monotonic() - started < 10
    assert bool(table.batches) != waits


def test_rows_wait_for_a_database_that_is_away(market, monkeypatch):
    monkeypatch.setattr(market_part, "_PATIENCE_S", 0.01)
    table, sent = Table(away=3), []
    trading = MarketPart(table, market, seconds=0.5, on_sent=sent.append)
    asyncio.run(run(trading))
    written = [key for one in sent for key in zip(one.mints, one.timestamps_us, strict=True)]
    keys = list(zip(table.rows["mint"].to_pylist(), table.moments, strict=True))
    assert table.away == 0
    assert list(dict.fromkeys(written)) == keys
    assert trading.rows == len(keys) < len(written)


def test_what_fails_before_it_may_trade_is_reported(market):
    async def fail() -> None:
        raise DatabaseUnavailableError("gone")

    with pytest.raises(DatabaseUnavailableError, match="gone"):
        asyncio.run(run(MarketPart(Table(), market, begin=fail)))
