"""Clients that ask a server as fast as it answers, and how long each answer took."""

import asyncio
import time
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Load:
    """What many requests to one address came to."""

    requests_per_s: float
    p50_ms: float
    p95_ms: float


class _Client(asyncio.Protocol):
    """One connection; sends the next request when the answer is complete.

    It reads no more of an answer than its length, so that the client takes as little of the processor as it can.
    """

    def __init__(self, request: bytes, until_s: float, done: asyncio.Future[None]) -> None:
        self._request, self._until_s, self._done = request, until_s, done
        self._missing = 0
        self._buffer = b""
        self._sent_s = 0.0
        self.seconds: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP  # nosec B101
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        if self._missing == 0:
            self._buffer += data
            head, found, body = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 200"):
                self._fail(RuntimeError(f"the server answered {head[:60]!r}"))
                return
            self._missing = _length(head) - len(body)
            self._buffer = b""
        else:
            self._missing -= len(data)
        if self._missing == 0:
            now = time.perf_counter()
            self.seconds.append(now - self._sent_s)
            if now < self._until_s:
                self._ask()
            else:
                self._transport.close()
                self._done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or RuntimeError("the server closed the connection"))

    def close(self) -> None:
        """Close the connection if it is still open."""
        self._done.cancel()
        self._transport.abort()

    def _ask(self) -> None:
        self._sent_s = time.perf_counter()
        self._transport.write(self._request)

    def _fail(self, error: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(error)


def load(port: int, path: str, *, clients: int = 32, seconds: float = 3.0) -> Load:
    """Ask a server on this machine with several clients at once, each waiting for its answer.

    Raises
    ------
    RuntimeError
        If an answer is not 200.
    """
    return asyncio.run(_load(port, path, clients, seconds))


async def _load(port: int, path: str, clients: int, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    started = time.perf_counter()
    everyone: list[_Client] = []
    ends: list[asyncio.Future[None]] = []
    for _ in range(clients):
        end: asyncio.Future[None] = loop.create_future()
        client = _Client(request, started + seconds, end)
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]  # bound now
        everyone.append(client)
        ends.append(end)
    try:
        await asyncio.gather(*ends)
    finally:
        for client in everyone:
            client.close()
        await asyncio.sleep(0)
    took = np.concatenate([client.seconds for client in everyone])
    p50, p95 = np.percentile(took, [50, 95]) * 1000
    return Load(len(took) / (time.perf_counter() - started), float(p50), float(p95))


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    raise RuntimeError("the answer has no Content-Length")
