"""Predictions over a WebSocket, as they are stored."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from integration.api.api_service import Service
from kurswerk.api.stream import Broadcast, Wish, _Listener
from kurswerk.storage import PostgresFeedSession
from lanes import COINS, a_lane, drain
from served_models import coin_rows, register, write_rows


def test_stored_predictions_are_streamed_by_wish(service: Service):
    ids = [register(service.database, "a"), register(service.database, "b", seed=2)]
    session = PostgresFeedSession(service.database)
    with service.client() as client:
        url = str(client.base_url).replace("http", "ws") + "/ws/predictions"
        with connect(url) as everything, connect(f"{url}?coin_id={COINS[0]}&model_id={ids[1]}") as one:
            write_rows(service.database, coin_rows(COINS, 0, 2))
            drain(a_lane(service.database, session))
            found = [json.loads(everything.recv(timeout=20)) for _ in range(2 * 2 * len(COINS))]
            own = [json.loads(one.recv(timeout=20)) for _ in range(2)]
        assert own == [row for row in found if row["coin_id"] == COINS[0] and row["model_id"] == ids[1]]
        listed = client.get("/api/predictions", params={"limit": 1000}).json()["predictions"]
        assert {row["id"] for row in found} == {row["id"] for row in listed}
        assert found[0].items() <= {row["id"]: row for row in listed}[found[0]["id"]].items()
    session.close()


def test_a_wish_that_nobody_understands_is_refused(service: Service):
    with service.client() as client:
        url = str(client.base_url).replace("http", "ws") + "/ws/predictions?min_probability=2"
        with connect(url) as socket, pytest.raises(ConnectionClosed, match="min_probability"):
            socket.recv(timeout=10)


def test_a_slow_client_is_sent_away_and_the_others_have_all():
    class Nothing:
        async def stored(self, wanted: Callable[[], bool]) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
            yield []

    async def tell() -> None:
        broadcast = Broadcast(Nothing())
        slow, picky = _Listener(Wish()), _Listener(Wish(min_probability=0.9))
        broadcast._listeners |= {slow, picky}
        row = {
            "id": 1, "coin_id": "c", "timestamp": "2024-01-01T00:00:00Z", "model_id": 1, "model_name": "m",
            "prediction": 1, "probability": 0.95, "created_at": "2024-01-01T00:00:00Z",
        }  # fmt: skip
        broadcast.publish([row | {"probability": 0.5}] * 2001 + [row] * 5)
        assert broadcast._listeners == {picky}
        assert slow.waiting.get_nowait() is None
        assert picky.waiting.qsize() == 5

    asyncio.run(tell())
