"""What readers of Live receive of what several lanes store, and what an outage of the database leaves in the log."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from datetime import timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import psycopg
import pytest

from captured_logs import logged_by
from contracts.feed_session import batch
from database import execute, url_of
from kurswerk.bootstrap.dashboard import StoredPredictions
from kurswerk.core.errors import DatabaseUnavailableError
from kurswerk.dashboard import PredictionBatch
from kurswerk.market import COINS
from kurswerk.serving.ports import NewAlert
from kurswerk.storage.markets import PostgresMarketStore
from kurswerk.storage.outcomes import PostgresOutcomeLog
from kurswerk.storage.predictions import (
    FeedBatch,
    PostgresPredictionFeed,
    PostgresPredictionStore,
    PredictionWriter,
    SharedPredictionFeed,
    _shared_feed,
)
from kurswerk.storage.registry import PostgresActivationStore, PostgresModelStore
from kurswerk.storage.server import Database
from served_models import START_US, register

LONGEST_S = 60.0


class StoringLane:
    """A lane's connection: it reserves ids first, and commits when it is asked to."""

    def __init__(self, database: Database, model: int, coin: str) -> None:
        self._connection = psycopg.connect(database.url)
        self._writer, self._model, self._coin = PredictionWriter(self._connection), model, coin
        self._ids = self._writer.reserve(2)
        self.ids: list[int] = self._ids.tolist()

    def commit(self) -> None:
        """Store two rows; the second raises an alert."""
        alert = NewAlert(self.ids[1], self._coin, START_US + 1, self._model, 0.25, 0.2)
        stored = batch(self._ids, [self._coin] * 2, [START_US, START_US + 1], self._model)
        self._writer.store(stored, [alert], 0)
        self._connection.commit()
        self._connection.close()


@pytest.fixture
def model(database: Database) -> int:
    return register(database, "m")


@pytest.fixture
def live(database: Database) -> StoredPredictions:
    return StoredPredictions(
        PostgresModelStore(database),
        PostgresPredictionStore(database),
        PostgresActivationStore(database),
        {COINS.name: PostgresMarketStore(database, COINS)},
        SharedPredictionFeed(PostgresPredictionFeed(database)),
        PostgresOutcomeLog(database),
    )


async def receive(stream: AsyncIterator[PredictionBatch], count: int) -> PredictionBatch:
    """Read until so many predictions have come."""
    predictions, alerts = [], []
    async with asyncio.timeout(LONGEST_S):
        while len(predictions) < count:
            found = await anext(stream)
            predictions += found.predictions
            alerts += found.alerts
    return PredictionBatch(predictions, alerts)


def listeners(database: Database) -> list[int]:
    with database.connection() as connection:
        rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'kurswerk stream'")
        return [pid for (pid,) in rows.fetchall()]


def test_predictions_of_lanes_that_commit_out_of_the_order_of_their_ids_all_arrive(database, live, model):
    early, late = (StoringLane(database, model, coin) for coin in ("early", "late"))
    assert max(early.ids) < min(late.ids)

    async def read() -> None:
        async with aclosing(live.stream()) as everything, aclosing(live.stream(coin_id="early")) as one_coin:
            assert await anext(everything) == await anext(one_coin) == PredictionBatch()
            assert len(listeners(database)) == 1
            late.commit()
            first = await receive(everything, 2)
            early.commit()
            second = await receive(everything, 2)
            own = await receive(one_coin, 2)
        assert [one.id for one in first.predictions] == late.ids
        assert [one.id for one in second.predictions] == [one.id for one in own.predictions] == early.ids
        assert [one.alert for one in second.predictions] == [False, True]
        assert [(one.coin_id, one.threshold) for one in own.alerts] == [("late", 0.2), ("early", 0.2)]
        assert {one.id for one in own.alerts} == {one.id for one in live.alerts()}

    asyncio.run(read())


def test_rows_out_of_scope_are_not_shown(database, live, model):
    lane = StoringLane(database, model, "c")

    async def read() -> None:
        async with aclosing(live.stream(min_probability=0.3)) as strict, aclosing(live.stream(model_id=model)) as own:
            await anext(strict), await anext(own)
            lane.commit()
            assert len((await receive(own, 2)).predictions) == 2
            found = await anext(strict)
            assert (found.predictions, found.skipped, len(found.alerts)) == ((), 0, 1) or not found.predictions

    asyncio.run(read())
    assert np.isclose(live.predictions()[0].probability, 0.25)


def allow_connections(database: Database, *, allowed: bool) -> None:
    """Let nobody in any more, and send away who is there; or let all in again."""
    name, server = urlsplit(database.url).path.removeprefix("/"), url_of(database.url, "postgres")
    execute(server, f"ALTER DATABASE {{}} WITH ALLOW_CONNECTIONS {allowed}", name)
    if not allowed:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])


async def receive_rows(reader: AsyncIterator[FeedBatch]) -> Sequence[Mapping[str, Any]]:
    async with asyncio.timeout(LONGEST_S):
        while not (found := await anext(reader)).rows:
            pass
    return found.rows


def test_an_outage_is_logged_once_whoever_tries_and_so_is_its_end(database, model):
    feed = SharedPredictionFeed(PostgresPredictionFeed(database))

    async def try_again() -> None:
        for _ in range(3):
            async with AsyncExitStack() as readers:
                subscriptions = [feed.subscribe(max_rows=10) for _ in range(2)]
                for one in subscriptions:
                    await readers.enter_async_context(aclosing(one))
                for one in subscriptions:
                    with pytest.raises(DatabaseUnavailableError):
                        await anext(one)

    async def read() -> None:
        async with aclosing(feed.subscribe(max_rows=10)) as reader:
            await anext(reader)
            allow_connections(database, allowed=False)
            with pytest.raises(DatabaseUnavailableError):
                await receive_rows(reader)
        await try_again()
        allow_connections(database, allowed=True)
        lane = StoringLane(database, model, "after")
        async with aclosing(feed.subscribe(max_rows=10)) as reader:
            await anext(reader)
            lane.commit()
            assert [row["id"] for row in await receive_rows(reader)] == lane.ids

    with logged_by(_shared_feed) as lines:
        asyncio.run(read())
    assert [(line["log_level"], line["event"].partition(":")[0]) for line in lines] == [
        ("warning", "stored predictions are not reported"),
        ("info", "stored predictions are reported again"),
    ]


def test_predictions_are_counted_in_the_minute_they_were_stored_in(database, live, model):
    with database.connection() as connection:
        (now,) = connection.execute("SELECT date_trunc('minute', now())").fetchone()
        for slot, back, count in ((0, 0, 100), (0, 1, 3), (1, 1, 4), (0, 3, 5), (-1, 3, 9)):
            connection.execute(
                "INSERT INTO prediction_counts (slot, minute, model_id, predictions) VALUES (%s, %s, %s, %s)",
                [slot, now - timedelta(minutes=back), model, count],
            )
    counts = live.minute_counts(5)
    found = {one.minute: one.predictions for one in counts}
    # Full minutes, all lanes, and no sum of a whole day; a minute may have gone by since.
    assert [found[now - timedelta(minutes=back)] for back in (3, 2, 1)] == [5, 0, 7]
    assert max(found) == now - timedelta(minutes=1) or found[now] == 100
    assert len(counts) == 5
    assert {b.minute - a.minute for a, b in pairwise(counts)} == {timedelta(minutes=1)}
