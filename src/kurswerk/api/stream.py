"""``WS /ws/predictions``: one JSON message per stored prediction, to every subscriber whose filter it matches."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from kurswerk.api.frames import EXTENSION, MessageBatch, MessageSink, TextSink, text_frame
from kurswerk.api.ports import PredictionFeed
from kurswerk.api.schemas.predictions import CoinName, Id
from kurswerk.core.errors import DatabaseUnavailableError
from kurswerk.observability import get_logger

log = get_logger(__name__)

PATH = "/ws/predictions"
# A client with so many bytes still to send is disconnected, so that the others need not wait; it may connect again.
MOST_WAITING_BYTES = 4 << 20
_PAUSE_S, _MOST_START_S = 1.0, 5.0
_WRONG, _TOO_SLOW = 1008, 1013


class SubscriptionFilter(BaseModel):
    """Which predictions a subscriber wants."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=(), frozen=True)

    coin_id: CoinName | None = None
    model_id: Id | None = None
    min_probability: float = Field(0.0, ge=0, le=1)
    in_scope: bool | None = None

    def matches(self, row: Mapping[str, Any]) -> bool:
        """Whether it wants this prediction."""
        return bool(
            (self.coin_id is None or row["coin_id"] == self.coin_id)
            and (self.model_id is None or row["model_id"] == self.model_id)
            and row["probability"] >= self.min_probability
            and (self.in_scope is None or row["in_scope"] == self.in_scope)
        )


class Subscribers:
    """Subscribers by filter, and filters by coin: a filter is evaluated once, however many subscribers share it."""

    def __init__(self) -> None:
        self._sinks: dict[SubscriptionFilter, set[MessageSink]] = {}
        self._by_coin: dict[str | None, set[SubscriptionFilter]] = {}

    def __bool__(self) -> bool:
        return bool(self._sinks)

    def add(self, subscription: SubscriptionFilter, sink: MessageSink) -> None:
        """Add a subscriber."""
        self._sinks.setdefault(subscription, set()).add(sink)
        self._by_coin.setdefault(subscription.coin_id, set()).add(subscription)

    def remove(self, subscription: SubscriptionFilter, sink: MessageSink) -> None:
        """Remove a subscriber."""
        sinks = self._sinks.get(subscription, set())
        sinks.discard(sink)
        if not sinks and self._sinks.pop(subscription, None) is not None:
            self._by_coin[subscription.coin_id].discard(subscription)
            if not self._by_coin[subscription.coin_id]:
                del self._by_coin[subscription.coin_id]

    def publish(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write predictions to the subscribers that want them: each is framed once, each connection written to once."""
        found: dict[SubscriptionFilter, list[tuple[bytes, bytes]]] = {}
        everything = self._by_coin.get(None, set())
        for row in rows:
            message = None
            for subscription in everything | self._by_coin.get(row["coin_id"], set()):
                if subscription.matches(row):
                    message = message or _framed(message_of(row))
                    found.setdefault(subscription, []).append(message)
        for subscription, messages in found.items():
            texts, frames = zip(*messages, strict=True)
            batch = MessageBatch(texts, b"".join(frames))
            for sink in [sink for sink in self._sinks[subscription] if not _write(sink, batch)]:
                self.remove(subscription, sink)
                sink.disconnect(_TOO_SLOW, "too slow; come back with a narrower filter")


class Broadcast:
    """Publishes stored predictions to the connected subscribers; it listens to the database while there are any."""

    def __init__(self, source: PredictionFeed) -> None:
        self._source = source
        self._subscribers = Subscribers()
        self._following: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()
        self._clients = 0

    def route(self) -> WebSocketRoute:
        """Return the route; OpenAPI cannot describe WebSockets, so it is no part of that document."""
        return WebSocketRoute(PATH, self.serve)

    async def serve(self, socket: WebSocket) -> None:
        """Serve one client until it disconnects; it gets every prediction that is stored once it is connected."""
        self._clients += 1
        try:
            if self._following is None:
                self._listening.clear()
                self._following = asyncio.create_task(self._follow())
            with contextlib.suppress(TimeoutError):  # the database may be away; predictions follow once it is back
                await asyncio.wait_for(self._listening.wait(), _MOST_START_S)
            await self._stream(socket)
        finally:
            self._clients -= 1
            if not self._clients and self._following is not None:
                self._following.cancel()
                self._following = None

    async def _stream(self, socket: WebSocket) -> None:
        await socket.accept()
        try:
            subscription = SubscriptionFilter.model_validate(dict(socket.query_params))
        except ValidationError as error:
            first = error.errors()[0]
            await socket.close(_WRONG, f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:100])
            return
        sink: MessageSink | None = socket.scope.get("extensions", {}).get(EXTENSION)
        if sink is not None:
            with self._subscribed(subscription, sink):
                await _drain(socket)
            return
        queue = TextSink(socket)
        with self._subscribed(subscription, queue):
            tasks = [asyncio.create_task(queue.run()), asyncio.create_task(_drain(socket))]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()

    @contextlib.contextmanager
    def _subscribed(self, subscription: SubscriptionFilter, sink: MessageSink) -> Iterator[None]:
        self._subscribers.add(subscription, sink)
        try:
            yield
        finally:
            self._subscribers.remove(subscription, sink)

    async def _follow(self) -> None:
        while True:
            try:
                async for rows in self._source.stored(lambda: bool(self._subscribers)):
                    self._listening.set()
                    self._subscribers.publish(rows)
            except DatabaseUnavailableError:
                pass  # the feed has logged it, once for all its readers
            await asyncio.sleep(_PAUSE_S)


def message_of(row: Mapping[str, Any]) -> bytes:
    """Return the message of a prediction, its values as ``GET /api/predictions`` gives them.

    Forecast and interval stand in it where the model makes one.

    Examples
    --------
    >>> moment = datetime(2024, 1, 1, tzinfo=UTC)
    >>> row = {"id": 1, "coin_id": "A", "timestamp": moment, "model_id": 7, "model_name": "m", "prediction": 1}
    >>> message_of(row | {"probability": 0.75, "in_scope": True, "created_at": moment})[:60]
    b'{"id":1,"coin_id":"A","timestamp":"2024-01-01T00:00:00Z","mo'
    """
    forecast = ""
    if row.get("forecast") is not None:
        forecast = "".join(f',"{name}":{row[name]!r}' for name in ("forecast", "low", "high"))
    return (
        f'{{"id":{row["id"]},"coin_id":{encode_basestring(row["coin_id"])},"timestamp":"{_text(row["timestamp"])}",'
        f'"model_id":{row["model_id"]},"model_name":{encode_basestring(row["model_name"])},'
        f'"prediction":{row["prediction"]},"probability":{row["probability"]!r},'
        f'"in_scope":{"true" if row["in_scope"] else "false"},"created_at":"{_text(row["created_at"])}"{forecast}}}'
    ).encode()


@lru_cache(maxsize=4096)
def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _framed(text: bytes) -> tuple[bytes, bytes]:
    return text, text_frame(text)


def _write(sink: MessageSink, batch: MessageBatch) -> bool:
    """Write to a client; return whether it could, which is not so for one that is too far behind."""
    if sink.waiting_bytes() > MOST_WAITING_BYTES:
        return False
    sink.write(batch)
    return True


async def _drain(socket: WebSocket) -> None:
    """Wait until the client disconnects; its messages are ignored."""
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.receive_text()
