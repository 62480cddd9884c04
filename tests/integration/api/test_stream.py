"""Predictions over a WebSocket, as they are stored."""

import asyncio
import contextlib
import json
import queue
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.sync.client import connect

from feed_lanes import COINS, a_lane, drain
from integration.api.api_service import Service
from kurswerk.api import FrameProtocol, frames, stream
from kurswerk.api.frames import MessageBatch, TextSink, text_frame
from kurswerk.api.schemas.predictions import PredictionRead
from kurswerk.api.stream import MOST_WAITING_BYTES, Subscribers, message_of
from kurswerk.api.stream import SubscriptionFilter as Filter
from kurswerk.market import market_named
from kurswerk.storage.feed import PostgresFeedSession
from served_models import coin_rows, register, write_rows


def test_stored_predictions_are_streamed_by_subscription_filter(service: Service):
    ids = [register(service.database, "a"), register(service.database, "b", seed=2)]
    session = PostgresFeedSession(service.database, market_named())
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


def test_an_invalid_subscription_filter_is_refused(service: Service):
    with service.client() as client:
        url = str(client.base_url).replace("http", "ws") + "/ws/predictions?min_probability=2"
        with connect(url) as refused, pytest.raises(ConnectionClosed, match="min_probability"):
            refused.recv(timeout=10)


class Sink:
    """A client's connection that takes nothing until it is allowed to."""

    def __init__(self, waiting: int = 0) -> None:
        self.waiting, self.frames, self.codes = waiting, b"", []

    def write(self, batch: MessageBatch) -> None:
        self.frames += batch.frames

    def waiting_bytes(self) -> int:
        return self.waiting + len(self.frames)

    def disconnect(self, code: int, reason: str) -> None:
        self.codes.append(code)


ROW = {
    "id": 1, "coin_id": "c", "timestamp": datetime(2024, 1, 1, tzinfo=UTC), "model_id": 1, "model_name": "m",
    "prediction": 1, "probability": 0.95, "in_scope": True,
    "created_at": datetime(2024, 1, 1, 0, 0, 0, 250, tzinfo=UTC),
}  # fmt: skip


def test_a_slow_client_is_disconnected_and_the_others_get_everything():
    subscribers = Subscribers()
    slow, quick, picky = Sink(MOST_WAITING_BYTES), Sink(), Sink()
    subscribers.add(Filter(), slow)
    subscribers.add(Filter(), quick)
    subscribers.add(Filter(min_probability=0.9), picky)
    subscribers.publish([ROW | {"probability": 0.5}] * 2001 + [ROW] * 5)
    slow.waiting += 1
    subscribers.publish([ROW])
    assert (slow.codes, quick.codes, picky.codes) == ([1013], [], [])
    assert slow.frames.count(b'"id":1') == 2006
    assert quick.frames.count(b'"id":1') == 2007
    assert picky.frames.count(b'"id":1') == 6
    for filter_, sink in (
        (Filter(), slow),
        (Filter(), quick),
        (Filter(min_probability=0.9), picky),
    ):
        subscribers.remove(filter_, sink)
    assert not subscribers
    assert subscribers._by_coin == {}


def test_a_filter_for_a_coin_is_evaluated_for_that_coin_only(monkeypatch):
    subscribers, evaluated = Subscribers(), []
    sinks = {coin: Sink() for coin in ("a", "b", None)}
    for coin, sink in sinks.items():
        subscribers.add(Filter(coin_id=coin), sink)
    real = Filter.matches
    monkeypatch.setattr(
        Filter,
        "matches",
        lambda filter_, row: evaluated.append(filter_.coin_id) or real(filter_, row),
    )
    subscribers.publish([ROW | {"coin_id": "a"}])
    assert sorted(evaluated, key=str) == [None, "a"]
    assert [sink.frames.count(b'"id":1') for sink in sinks.values()] == [1, 0, 1]


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.integers(0, 10_000).map(lambda n: n / 10_000),
    st.datetimes(timezones=st.just(UTC)),
    st.none() | st.tuples(*[st.floats(-1e9, 1e9, width=32)] * 3),
)
def test_a_message_equals_the_api_response(name, probability, moment, forecast):
    row = {
        **ROW,
        "coin_id": name,
        "model_name": name,
        "probability": probability,
        "timestamp": moment,
        "features": None,
        **dict(zip(("forecast", "low", "high"), forecast or (None, None, None), strict=True)),
    }
    # What a model of probabilities does not give is left out of messages, which are many.
    absent = {"features", "outcome"} if forecast else {"features", "outcome", "forecast", "low", "high"}
    answer = PredictionRead.model_validate(row).model_dump(mode="json", exclude=absent)
    assert json.loads(message_of(row)) == answer


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 100_000])
def test_frames_are_those_of_the_protocol(size):
    text = b"x" * size
    assert text_frame(text) == Frame(Opcode.TEXT, text).serialize(mask=False)


class Source:
    """A feed that yields what is put into a queue."""

    def __init__(self, rows: queue.SimpleQueue) -> None:
        self.rows = rows

    async def stored(self, wanted: Callable[[], bool]) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        yield []
        while True:
            yield await asyncio.to_thread(self.rows.get)


def test_a_client_that_reads_nothing_is_closed_and_one_beside_it_is_not(service: Service, monkeypatch):
    monkeypatch.setattr(stream, "MOST_WAITING_BYTES", 1 << 16)
    monkeypatch.setattr(frames, "_CLOSE_TIMEOUT_S", 300.0)  # it reads what was sent before only at the end
    rows: queue.SimpleQueue[list[dict[str, Any]]] = queue.SimpleQueue()

    many = [ROW | {"model_name": "m" * 1000}] * 4000
    with service.client(replace(service.ports, stream=Source(rows))) as client:
        address = ("127.0.0.1", client.base_url.port)
        url = f"ws://127.0.0.1:{client.base_url.port}/ws/predictions"
        with socket.create_connection(address) as stuck, connect(url) as quick:
            stuck.sendall(
                b"GET /ws/predictions HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            assert stuck.recv(4096).startswith(b"HTTP/1.1 101")
            for _ in range(5):
                rows.put(many)
                for _ in many:
                    quick.recv(timeout=20)
            stuck.settimeout(30)
            received = b""
            with contextlib.suppress(ConnectionResetError):
                while part := stuck.recv(1 << 20):
                    received += part
                    if b"\x88" in part[-130:]:  # the server's close frame is answered
                        stuck.sendall(Frame(Opcode.CLOSE, b"").serialize(mask=True))
            assert 4000 <= received.count(b'"id":1') < 5 * 4000
        rows.put([])


def test_a_server_that_cannot_write_frames_sends_the_same_messages(service: Service, monkeypatch):
    rows: queue.SimpleQueue[list[dict[str, Any]]] = queue.SimpleQueue()
    monkeypatch.setattr(FrameProtocol, "run_asgi", WebSocketsSansIOProtocol.run_asgi)
    with service.client(replace(service.ports, stream=Source(rows))) as client:
        url = f"ws://127.0.0.1:{client.base_url.port}/ws/predictions"
        with connect(url) as everything:
            with connect(f"{url}?coin_id=a") as one:
                sent = [ROW | {"id": number, "coin_id": "ab"[number % 2]} for number in range(2000)]
                rows.put(sent)
                assert [everything.recv(timeout=20) for _ in sent] == [message_of(row).decode() for row in sent]
                assert [json.loads(one.recv(timeout=20))["id"] for _ in range(1000)] == list(range(0, 2000, 2))
            with (
                connect(f"{url}?min_probability=2") as refused,
                pytest.raises(ConnectionClosed, match="min_probability"),
            ):
                refused.recv(timeout=10)
            rows.put([ROW | {"coin_id": "a"}])  # one that left is no obstacle
            assert json.loads(everything.recv(timeout=20))["coin_id"] == "a"
        rows.put([])


class StuckSocket:
    """A server's WebSocket whose client takes one message and then nothing."""

    def __init__(self) -> None:
        self.texts, self.closed = [], []

    async def send_text(self, text: str) -> None:
        if self.texts:
            await asyncio.Event().wait()
        self.texts.append(text)

    async def close(self, code: int, reason: str) -> None:
        self.closed.append((code, reason))


def test_a_slow_client_of_any_server_is_disconnected(monkeypatch):
    monkeypatch.setattr(stream, "MOST_WAITING_BYTES", 1000)

    async def go() -> StuckSocket:
        socket, subscribers = StuckSocket(), Subscribers()
        sink = TextSink(socket)
        subscribers.add(Filter(), sink)
        running = asyncio.create_task(sink.run())
        for number in range(20):
            subscribers.publish([ROW | {"id": number}])
            await asyncio.sleep(0)
            assert sink.waiting_bytes() < 2000
        await asyncio.wait_for(running, 10)
        assert not subscribers
        return socket

    found = asyncio.run(go())
    assert [json.loads(text)["id"] for text in found.texts] == [0]
    assert [code for code, _ in found.closed] == [1013]
