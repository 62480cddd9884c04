"""WebSocket messages written once and sent to many: complete frames, handed to the network as they are.

A message that goes through ASGI is framed, and perhaps compressed, once per client, by a task per client. For two
thousand clients that takes longer than a broadcast may. So uvicorn's protocol offers its applications one thing more:
to write frames that are made already. Behind any other server messages go through ASGI (`TextSink`).
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from starlette.websockets import WebSocket, WebSocketDisconnect
from typing_extensions import override
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

# In ``scope["extensions"]``: a `MessageSink` that writes frames.
EXTENSION = "kurswerk.frames"
# A frame that ends its message, of text; servers do not mask.
_FINAL_TEXT = 0x81
_SHORT, _TWO_BYTES, _EIGHT_BYTES = 126, 126, 127
# What a client that is disconnected has not taken after so long is dropped.
_CLOSE_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class MessageBatch:
    """Text messages in UTF-8, and the same as ``frames`` one after the other."""

    texts: Sequence[bytes]
    frames: bytes


class MessageSink(Protocol):
    """A client's connection."""

    def write(self, batch: MessageBatch) -> None:
        """Send messages without waiting; nothing happens once the connection is closing."""
        ...

    def waiting_bytes(self) -> int:
        """Return how much the client has not taken yet."""
        ...

    def disconnect(self, code: int, reason: str) -> None:
        """Close the connection, however slow the client is to notice."""
        ...


class FrameProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, whose applications may write frames; for ``uvicorn.Config(ws=FrameProtocol)``."""

    @override
    async def run_asgi(self) -> None:
        extensions = cast("dict[str, object]", self.scope["extensions"])
        extensions[EXTENSION] = self
        await super().run_asgi()

    def write(self, batch: MessageBatch) -> None:
        """Hand complete frames to the network; nothing happens once the connection is closing."""
        if self.handshake_complete and not self.close_sent and not self.transport.is_closing():
            self.transport.write(batch.frames)

    def waiting_bytes(self) -> int:
        """Return how much the client has not taken yet."""
        return self.transport.get_write_buffer_size()

    def disconnect(self, code: int, reason: str) -> None:
        """Close the connection, however slow the client is to notice."""
        if not self.close_sent and not self.transport.is_closing():
            self.conn.send_close(code, reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
            self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
            self.close_timer = self.loop.call_later(_CLOSE_TIMEOUT_S, self.transport.abort)


class TextSink:
    """A connection of a server that takes messages one by one, as ASGI defines it; a task sends what waits."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._texts: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._changed = asyncio.Event()
        self._close: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    def write(self, batch: MessageBatch) -> None:
        """Let messages wait for their turn; nothing happens once the connection is closing."""
        if not self._close.done():
            self._texts.extend(batch.texts)
            self._waiting_bytes += sum(map(len, batch.texts))
            self._changed.set()

    def waiting_bytes(self) -> int:
        """Return how much the server has not taken yet."""
        return self._waiting_bytes

    def disconnect(self, code: int, reason: str) -> None:
        """Close the connection, whatever still waits."""
        if not self._close.done():
            self._close.set_result((code, reason))

    async def run(self) -> None:
        """Send what waits until the client leaves or is disconnected."""
        sending = asyncio.create_task(self._send())
        try:
            ends: list[asyncio.Future[Any]] = [sending, self._close]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
        if self._close.done():
            # A server that waits for a client that takes nothing is left to its own time limits.
            with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
                await asyncio.wait_for(self._socket.close(*self._close.result()), _CLOSE_TIMEOUT_S)

    async def _send(self) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # the client has left meanwhile
            while True:
                await self._changed.wait()
                self._changed.clear()
                while self._texts:
                    text = self._texts.popleft()
                    await self._socket.send_text(text.decode())
                    self._waiting_bytes -= len(text)


def text_frame(text: bytes) -> bytes:
    r"""Return a message as the frame that servers send (RFC 6455, section 5.2).

    Examples
    --------
    >>> text_frame(b"hello")
    b'\x81\x05hello'
    >>> text_frame(b"x" * 300)[:4]
    b'\x81~\x01,'
    """
    size = len(text)
    if size < _SHORT:
        return bytes((_FINAL_TEXT, size)) + text
    if size < 1 << 16:
        return bytes((_FINAL_TEXT, _TWO_BYTES)) + size.to_bytes(2) + text
    return bytes((_FINAL_TEXT, _EIGHT_BYTES)) + size.to_bytes(8) + text
