"""Calls counted by a real Redis for all API processes together, and by each process alone while Redis is away."""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from kurswerk.api import ApiOptions, create_app
from running_app import running

pytestmark = pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
MOST_WAIT_S = 60.0


class Redis:
    """A server of this test's own, without memory of the last one."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"async+redis://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return once it answers."""
        words = ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            words, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
        deadline = time.monotonic() + MOST_WAIT_S
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                if connection.recv(16).startswith(b"+PONG"):
                    return
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.02)

    def forget(self) -> None:
        """Let it lose all counts."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=MOST_WAIT_S) as connection:
            connection.sendall(b"FLUSHALL\r\n")
            assert connection.recv(16).startswith(b"+OK")

    def freeze(self) -> None:
        """Let it answer nobody, with its connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """Let it die without a word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def redis(tmp_path) -> Iterator[Redis]:
    server = Redis(tmp_path)
    server.start()
    yield server
    server.kill()


def statuses(*clients: httpx.Client, calls: int) -> list[int]:
    """Ask so often, each client in turn."""
    return [clients[k % len(clients)].get("/api/phases").status_code for k in range(calls)]


def until_shared(*clients: httpx.Client) -> None:
    """Ask each client until one of its calls is counted by Redis, where there is room again.

    Their own counts would have room again only when the window ends, so tests count by the year.
    """
    deadline = time.monotonic() + MOST_WAIT_S
    for client in clients:
        while statuses(client, calls=1) != [200]:
            assert time.monotonic() < deadline, "Redis is back, and nobody counts there"
            time.sleep(0.05)


@contextmanager
def two_processes(service, redis: Redis, limit: str) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """Serve the API twice; the two know of each other only through Redis."""
    options = ApiOptions(read_limit=limit, limit_storage=redis.url)
    with (
        running(create_app(service.ports, options)) as first,
        running(create_app(service.ports, options)) as second,
        httpx.Client(base_url=first, timeout=30) as one,
        httpx.Client(base_url=second, timeout=30) as other,
    ):
        yield one, other


@pytest.fixture
def patient(monkeypatch):
    """Redis answers in time, however slow the machine is."""
    monkeypatch.setattr("kurswerk.api._limits._PATIENCE_S", 30.0)


@pytest.mark.usefixtures("patient")
def test_all_processes_count_together(service, redis):
    with two_processes(service, redis, "5/year") as (one, other):
        assert statuses(one, other, calls=7) == [200] * 5 + [429] * 2
        started = time.monotonic()
        first, second = (int(client.get("/api/phases").headers["retry-after"]) for client in (one, other))
        assert 0 <= first - second <= 1 + time.monotonic() - started  # one clock for both


@pytest.mark.usefixtures("patient")
def test_each_counts_alone_while_redis_is_away_and_together_when_it_is_back(service, redis):
    with two_processes(service, redis, "4/year") as (one, other):
        assert statuses(one, other, calls=2) == [200, 200]
        redis.kill()
        started = time.monotonic()
        assert statuses(one, calls=5) == [200] * 4 + [429]
        assert statuses(other, calls=5) == [200] * 4 + [429]
        assert time.monotonic() - started < 10  # nobody waits for it
        redis.start()
        until_shared(one, other)
        redis.forget()  # calls that it counted and answered too late
        assert statuses(one, other, calls=6) == [200] * 4 + [429] * 2


def test_a_redis_that_hangs_holds_up_a_call_now_and_then(service, redis):
    with two_processes(service, redis, "100/year") as (one, other):
        assert statuses(one, other, calls=2) == [200, 200]
        redis.freeze()
        took = []
        for _ in range(50):
            started = time.monotonic()
            assert statuses(one, calls=1) == [200]
            took.append(time.monotonic() - started)
        assert sum(seconds > 0.2 for seconds in took) < 25
        assert sum(took) < 20  # a call each second may wait a quarter of it
