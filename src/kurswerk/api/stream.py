"""``WS /ws/predictions``: one JSON message per stored prediction, to everybody who asked for it."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from kurswerk.api.frames import EXTENSION, FrameSink, text_frame
from kurswerk.api.ports import PredictionStream
from kurswerk.api.schemas.predictions import CoinName, Id
from kurswerk.core.errors import DatabaseUnavailableError
from kurswerk.observability import get_logger

log = get_logger(__name__)

PATH = "/ws/predictions"
# A client that has so much to take still is sent away; it may come back, and the others have not waited.
MOST_WAITING_BYTES = 4 << 20
_PAUSE_S, _MOST_START_S = 1.0, 5.0
_WRONG, _NO_FRAMES, _TOO_SLOW = 1008, 1011, 1013


class Wish(BaseModel):
    """Which predictions a client wants."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=(), frozen=True)

    coin_id: CoinName | None = None
    model_id: Id | None = None
    min_probability: float = Field(0.0, ge=0, le=1)
    in_scope: bool | None = None

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Whether it wants this one."""
        return bool(
            (self.coin_id is None or row["coin_id"] == self.coin_id)
            and (self.model_id is None or row["model_id"] == self.model_id)
            and row["probability"] >= self.min_probability
            and (self.in_scope is None or row["in_scope"] == self.in_scope)
        )


class Audience:
    """Who listens, by wish, and the wishes by coin: a wish is looked at once, however many share it."""

    def __init__(self) -> None:
        self._listeners: dict[Wish, set[FrameSink]] = {}
        self._by_coin: dict[str | None, set[Wish]] = {}

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def add(self, wish: Wish, sink: FrameSink) -> None:
        """Let a client listen."""
        self._listeners.setdefault(wish, set()).add(sink)
        self._by_coin.setdefault(wish.coin_id, set()).add(wish)

    def remove(self, wish: Wish, sink: FrameSink) -> None:
        """Let a client listen no more."""
        listeners = self._listeners.get(wish, set())
        listeners.discard(sink)
        if not listeners and self._listeners.pop(wish, None) is not None:
            self._by_coin[wish.coin_id].discard(wish)
            if not self._by_coin[wish.coin_id]:
                del self._by_coin[wish.coin_id]

    def tell(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write predictions to everybody who wants them: each is framed once, and each client written to once."""
        parts: dict[Wish, list[bytes]] = {}
        everything = self._by_coin.get(None, set())
        for row in rows:
            frame = None
            for wish in everything | self._by_coin.get(row["coin_id"], set()):
                if wish.fits(row):
                    frame = frame or text_frame(message_of(row))
                    parts.setdefault(wish, []).append(frame)
        for wish, frames in parts.items():
            data = b"".join(frames)
            for sink in [sink for sink in self._listeners[wish] if not _take(sink, data)]:
                self.remove(wish, sink)
                sink.send_away(_TOO_SLOW, "too slow; come back with a narrower filter")


class Broadcast:
    """Hands each stored prediction to the clients that want it; it listens while there are any."""

    def __init__(self, source: PredictionStream) -> None:
        self._source = source
        self._audience = Audience()
        self._following: asyncio.Task[None] | None = None
        self._heard = asyncio.Event()
        self._clients = 0

    def route(self) -> WebSocketRoute:
        """Return the route; it is no part of the OpenAPI document, which has no words for it."""
        return WebSocketRoute(PATH, self.serve)

    async def serve(self, socket: WebSocket) -> None:
        """Serve one client until it leaves; what is stored once it is connected, it hears."""
        self._clients += 1
        try:
            if self._following is None:
                self._heard.clear()
                self._following = asyncio.create_task(self._follow())
            with contextlib.suppress(TimeoutError):  # the database may be away: it will be heard later
                await asyncio.wait_for(self._heard.wait(), _MOST_START_S)
            await self._stream(socket)
        finally:
            self._clients -= 1
            if not self._clients and self._following is not None:
                self._following.cancel()
                self._following = None

    async def _stream(self, socket: WebSocket) -> None:
        await socket.accept()
        try:
            wish = Wish.model_validate(dict(socket.query_params))
        except ValidationError as error:
            first = error.errors()[0]
            await socket.close(_WRONG, f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:100])
            return
        sink: FrameSink | None = socket.scope.get("extensions", {}).get(EXTENSION)
        if sink is None:
            await socket.close(_NO_FRAMES, "this server was not started by kurswerk serve")
            return
        self._audience.add(wish, sink)
        try:
            await _drain(socket)
        finally:
            self._audience.remove(wish, sink)

    async def _follow(self) -> None:
        while True:
            try:
                async for rows in self._source.stored(lambda: bool(self._audience)):
                    self._heard.set()
                    self._audience.tell(rows)
            except DatabaseUnavailableError as error:
                log.warning("predictions are not streamed", reason=str(error))
            await asyncio.sleep(_PAUSE_S)


def message_of(row: Mapping[str, Any]) -> bytes:
    """Return the message of a prediction, its values as ``GET /api/predictions`` gives them.

    Examples
    --------
    >>> moment = datetime(2024, 1, 1, tzinfo=UTC)
    >>> row = {"id": 1, "coin_id": "A", "timestamp": moment, "model_id": 7, "model_name": "m", "prediction": 1}
    >>> message_of(row | {"probability": 0.75, "in_scope": True, "created_at": moment})[:60]
    b'{"id":1,"coin_id":"A","timestamp":"2024-01-01T00:00:00Z","mo'
    """
    return (
        f'{{"id":{row["id"]},"coin_id":{encode_basestring(row["coin_id"])},"timestamp":"{_text(row["timestamp"])}",'
        f'"model_id":{row["model_id"]},"model_name":{encode_basestring(row["model_name"])},'
        f'"prediction":{row["prediction"]},"probability":{row["probability"]!r},'
        f'"in_scope":{"true" if row["in_scope"] else "false"},"created_at":"{_text(row["created_at"])}"}}'
    ).encode()


@lru_cache(maxsize=4096)
def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _take(sink: FrameSink, frames: bytes) -> bool:
    """Write to a client unless it is too far behind."""
    if sink.waiting_bytes() > MOST_WAITING_BYTES:
        return False
    sink.write_frames(frames)
    return True


async def _drain(socket: WebSocket) -> None:
    """Wait until the client leaves; what it says is not listened to."""
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.receive_text()
