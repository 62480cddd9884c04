"""Predictions broadcast to many WebSocket clients of one process: from the commit to the last byte at each client."""

import asyncio
import multiprocessing
import os
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np
import uvicorn
import uvloop

from benchmarks._coin_rows import START_US, own_database
from benchmarks.api import fill, our_app
from kurswerk.api import FrameProtocol
from kurswerk.market import COINS
from kurswerk.serving.ports import NewPredictions
from kurswerk.storage.feed import PostgresFeedSession
from kurswerk.storage.server import Database

PATH = "/ws/predictions"
_MODELS = 10
_CLIENT_PROCESSES = 2
_MOST_START_S = 60.0
_HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def run(*, clients: int = 2000, rows: int = 60, pause_s: float = 0.25) -> list[dict[str, Any]]:
    """Store the predictions of one row by ten models at a time, with all clients listening to everything.

    Returns
    -------
    list of dict
        Entries with ``name, ours_s, peer, peer_s, ratio, at_least, note``.
    """
    with own_database() as (database, _):
        fill(database, _MODELS)
        took_ms = _measure(database, clients, rows, pause_s)
    p50, p99 = np.percentile(took_ms, [50, 99])
    return [
        {
            "name": "stream, p99",
            "ours_s": p99 / 1000,
            "peer": "60 ms",
            "peer_s": 0.060,
            "ratio": 60 / p99,
            "at_least": 1.0,
            "note": f"{clients:,} WebSocket clients of one process, {rows} commits of {_MODELS} predictions each; from"
            f" before the commit to the last byte at a client: p50 {p50:.1f} ms, most {took_ms.max():.1f} ms",
        }
    ]


def _measure(database: Database, clients: int, rows: int, pause_s: float) -> np.ndarray[Any, Any]:
    """Return milliseconds from before each commit to its last byte, shape (clients, rows)."""
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        port = stack.enter_context(_served(database.url))
        ends = []
        for part in range(_CLIENT_PROCESSES):
            here, there = context.Pipe()
            count = clients // _CLIENT_PROCESSES + (part < clients % _CLIENT_PROCESSES)
            process = context.Process(target=_listen, args=(port, count, rows * _MODELS, there), daemon=True)
            process.start()
            stack.callback(_end, process)
            ends.append(here)
        for end in ends:
            _receive(end)  # all its clients are connected
        sent_ns = _store(database, rows, pause_s)
        received_ns = np.concatenate([_receive(end) for end in ends])
    took_ms: np.ndarray[Any, Any] = (received_ns[:, _MODELS - 1 :: _MODELS] - sent_ns) / 1e6
    return took_ms


def _store(database: Database, rows: int, pause_s: float) -> np.ndarray[Any, Any]:
    """Store predictions as a lane does; return when each commit began."""
    sent_ns = np.empty(rows, dtype=np.int64)
    models = np.arange(1, _MODELS + 1)
    scores = np.linspace(0.1, 0.9, _MODELS, dtype=np.float32)[None, :]
    given = np.ones((1, _MODELS), dtype=np.bool_)
    with closing(PostgresFeedSession(database, COINS)) as session:
        session.lease()
        for k in range(rows):
            time.sleep(pause_s)
            with session.transaction() as work:
                ids = work.reserve(_MODELS)
                moment = np.array([START_US + k * 5_000_000])
                made = NewPredictions(
                    ids, [f"{k:040d}pump"], moment, models, scores, given, np.zeros((1, _MODELS), dtype=np.int64), None
                )
                work.store(made, [])
                sent_ns[k] = time.monotonic_ns()
    return sent_ns


@contextmanager
def _served(url: str) -> Iterator[int]:
    """Serve the API in a process of its own, as ``kurswerk serve`` does, and give the port."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        process = multiprocessing.get_context("spawn").Process(target=_serve, args=(url, listener), daemon=True)
        process.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            _end(process)


def _serve(url: str, listener: socket.socket) -> None:
    _allow_files()
    config = uvicorn.Config(
        partial(our_app, url), factory=True, ws=FrameProtocol, log_level="warning", access_log=False, lifespan="on"
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(uvicorn.Server(config).serve(sockets=[listener]))


def _listen(port: int, clients: int, messages: int, end: Connection) -> None:
    """Open connections, report that, and send when each message had come, shape (clients, messages)."""
    _allow_files()
    os.nice(1)  # a broadcast's clients are other machines; here they must not keep the server waiting
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        end.send(runner.run(_listen_all(port, clients, messages, end)))


async def _listen_all(port: int, clients: int, messages: int, end: Connection) -> np.ndarray[Any, Any]:
    loop = asyncio.get_running_loop()
    everyone = []
    for _ in range(clients):
        transport, client = await loop.create_connection(lambda: _Client(messages), "127.0.0.1", port)
        transport.write(_HANDSHAKE.format(path=PATH, port=port).encode())
        await asyncio.wait_for(client.open, _MOST_START_S)
        everyone.append(client)
    end.send(clients)
    await asyncio.gather(*(client.done for client in everyone))
    return np.array([client.received_ns for client in everyone])


class _Client(asyncio.Protocol):
    """One client: notes when the last byte of each message came."""

    def __init__(self, messages: int) -> None:
        loop = asyncio.get_running_loop()
        self.open: asyncio.Future[None] = loop.create_future()
        self.done: asyncio.Future[None] = loop.create_future()
        self.received_ns: list[int] = []
        self._messages, self._rest = messages, b""

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        data = self._rest + data
        if not self.open.done():
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._rest = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self.open.set_exception(RuntimeError(f"the server answered {head[:60]!r}"))
                return
            self.open.set_result(None)
        self._rest = data[self._count(data, now) :]
        if len(self.received_ns) >= self._messages and not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        for future in (self.open, self.done):
            if not future.done():
                future.set_exception(exc or RuntimeError("the server closed the connection"))

    def _count(self, data: bytes, now: int) -> int:
        """Note the messages that are complete; return where the next one begins."""
        start = 0
        while len(data) >= start + 4:
            size = data[start + 1]
            end = start + 2 + size if size < 126 else start + 4 + int.from_bytes(data[start + 2 : start + 4])
            if end > len(data):
                break
            if data[start] == 0x81:  # a ping is no message
                self.received_ns.append(now)
            start = end
        return start


def _allow_files() -> None:
    """Let this process have as many connections as the system allows it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _receive(end: Connection) -> Any:
    if end.poll(2 * _MOST_START_S):
        with suppress(EOFError):
            return end.recv()
    raise RuntimeError("the clients did not receive everything")


def _end(process: BaseProcess) -> None:
    process.terminate()
    process.join()
