"""``WS /ws/predictions``: one JSON message per stored prediction, to everybody who asked for it."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from kurswerk.api.ports import PredictionStream
from kurswerk.api.schemas._base import Answer, UtcTime
from kurswerk.api.schemas.predictions import CoinName, Id
from kurswerk.core.errors import DatabaseUnavailableError
from kurswerk.observability import get_logger

log = get_logger(__name__)

PATH = "/ws/predictions"
# A client that is so many messages behind is sent away; it may come back, and the others have not waited.
_MOST_WAITING = 2000
_PAUSE_S = 1.0
_WRONG, _TOO_SLOW = 1008, 1013


class StreamedPrediction(Answer):
    """A message."""

    id: int
    coin_id: str
    timestamp: UtcTime
    model_id: int
    model_name: str
    prediction: int
    probability: float
    created_at: UtcTime


class Wish(BaseModel):
    """Which predictions a client wants."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=(), frozen=True)

    coin_id: CoinName | None = None
    model_id: Id | None = None
    min_probability: float = Field(0.0, ge=0, le=1)

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Whether it wants this one."""
        return bool(
            (self.coin_id is None or row["coin_id"] == self.coin_id)
            and (self.model_id is None or row["model_id"] == self.model_id)
            and row["probability"] >= self.min_probability
        )


class _Listener:
    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.waiting: asyncio.Queue[str | None] = asyncio.Queue(_MOST_WAITING + 1)

    def tell(self, message: str) -> bool:
        """Queue a message; False if the client is too far behind, which ends it."""
        if self.waiting.qsize() >= _MOST_WAITING:
            while not self.waiting.empty():
                self.waiting.get_nowait()
            self.waiting.put_nowait(None)
            return False
        self.waiting.put_nowait(message)
        return True


class Broadcast:
    """Hands each stored prediction to the clients that want it; it listens while there are any."""

    def __init__(self, source: PredictionStream) -> None:
        self._source = source
        self._listeners: set[_Listener] = set()
        self._following: asyncio.Task[None] | None = None
        self._heard = asyncio.Event()

    def route(self) -> WebSocketRoute:
        """Return the route; it is no part of the OpenAPI document, which has no words for it."""
        return WebSocketRoute(PATH, self.serve)

    def publish(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Queue predictions for everybody who wants them; each is written as JSON once."""
        for row in rows:
            interested = [listener for listener in self._listeners if listener.wish.fits(row)]
            if interested:
                message = StreamedPrediction.model_validate(row).model_dump_json()
                self._listeners -= {listener for listener in interested if not listener.tell(message)}

    async def serve(self, socket: WebSocket) -> None:
        """Serve one client until it leaves."""
        await socket.accept()
        try:
            wish = Wish.model_validate(dict(socket.query_params))
        except ValidationError as error:
            first = error.errors()[0]
            await socket.close(_WRONG, f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:100])
            return
        listener = _Listener(wish)
        self._listeners.add(listener)
        if self._following is None or self._following.done():
            self._heard.clear()
            self._following = asyncio.create_task(self._follow())
        await self._heard.wait()
        tasks = [asyncio.create_task(self._send(socket, listener)), asyncio.create_task(_drain(socket))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._listeners.discard(listener)
            if not self._listeners and self._following is not None:
                self._following.cancel()
                self._following = None

    async def _send(self, socket: WebSocket, listener: _Listener) -> None:
        while (message := await listener.waiting.get()) is not None:
            await socket.send_text(message)
        await socket.close(_TOO_SLOW, "too slow; come back with a narrower filter")

    async def _follow(self) -> None:
        while True:
            try:
                async for rows in self._source.stored(lambda: bool(self._listeners)):
                    self._heard.set()
                    self.publish(rows)
            except DatabaseUnavailableError as error:
                log.warning("predictions are not streamed", reason=str(error))
            await asyncio.sleep(_PAUSE_S)


async def _drain(socket: WebSocket) -> None:
    """Wait until the client leaves; what it says is not listened to."""
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.receive_text()
