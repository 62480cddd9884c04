"""WebSocket messages written once and sent to many: complete frames, handed to the network as they are.

A message that goes through ASGI is framed, and perhaps compressed, once per client, by a task per client. For two
thousand clients that takes longer than a broadcast may. So uvicorn's protocol offers its applications one thing more:
to write frames that are made already.
"""

from typing import Protocol, cast

from typing_extensions import override
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

# In ``scope["extensions"]``: a `FrameSink`.
EXTENSION = "kurswerk.frames"
# A frame that ends its message, of text; servers do not mask.
_FINAL_TEXT = 0x81
_SHORT, _TWO_BYTES, _EIGHT_BYTES = 126, 126, 127
# What a client that is disconnected has not taken after so long is dropped.
_CLOSE_TIMEOUT_S = 5.0


class FrameSink(Protocol):
    """A client's connection."""

    def write_frames(self, frames: bytes) -> None:
        """Hand complete frames to the network; nothing happens once the connection is closing."""
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

    def write_frames(self, frames: bytes) -> None:
        """Hand complete frames to the network; nothing happens once the connection is closing."""
        if self.handshake_complete and not self.close_sent and not self.transport.is_closing():
            self.transport.write(frames)

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
