"""What a service meets outside a test: a clock that is set, a slow receiver of alerts, a PostgreSQL that starts."""

import hashlib
import hmac
import os
import random
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest

from kurswerk.storage.server import Database, _binaries

# Debian's and Fedora's package libfaketime; KURSWERK_TEST_LIBFAKETIME names another place.
_PLACES = (
    os.environ.get("KURSWERK_TEST_LIBFAKETIME", ""),
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib64/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
)


# libfaketime refuses every sleep until a moment, which is how Python sleeps: "Invalid argument".
_SLEEP = """
import select, time
time.sleep = lambda seconds: select.select([], [], [], seconds) and None
"""


class SteppedClock:
    """The wall clock of other processes, set while they run; where libfaketime is missing it stays right.

    What counts seconds since the start of the machine is left alone, as a real clock step leaves it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self._python = folder / "python"
        self._python.mkdir()
        (self._python / "sitecustomize.py").write_text(_SLEEP)
        self.library = next((place for place in _PLACES if place and Path(place).is_file()), None)
        self.set(0)

    def set(self, offset_s: int) -> None:
        """Set the clock so many seconds before or after the true time."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{offset_s:+d}\n")
        fresh.chmod(0o644)
        fresh.replace(self._file)

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to go by this clock."""
        if self.library is None:
            return {}
        return {
            "LD_PRELOAD": self.library,
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DISABLE_SHM": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(self._python), os.environ.get("PYTHONPATH")])),
        }

    def rule_postgres(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let servers that this process starts go by this clock."""
        real = subprocess.run

        def run(*arguments: Any, env: dict[str, str] | None = None, **options: Any) -> subprocess.CompletedProcess[Any]:
            return real(*arguments, env=env and env | self.environment, **options)

        names = {name: getattr(subprocess, name) for name in ("DEVNULL", "PIPE", "STDOUT")}
        monkeypatch.setattr(_binaries, "subprocess", SimpleNamespace(run=run, **names))


class Receiver:
    """A webhook that is slow at times, refuses some messages, and takes others without an answer.

    Attributes
    ----------
    received
        Key → how often it came; ``bodies`` holds all bodies that came with it.
    forged
        How many came without the right signature.
    """

    def __init__(self, secret: str, seed: int) -> None:
        self._secret, self._rng, self._lock = secret.encode(), random.Random(seed), threading.Lock()
        self.received: Counter[str] = Counter()
        self.bodies: dict[str, set[bytes]] = {}
        self.forged = 0

    def take(self, headers: Any, body: bytes) -> int | None:
        """Note a message and return the answer's status; None hangs up. Each is refused twice at most."""
        key = headers["X-Kurswerk-Delivery"]
        signed = hmac.new(self._secret, headers["X-Kurswerk-Timestamp"].encode() + b"." + body, hashlib.sha256)
        with self._lock:
            self.received[key] += 1
            self.bodies.setdefault(key, set()).add(body)
            self.forged += f"sha256={signed.hexdigest()}" not in headers["X-Kurswerk-Signature"].split(", ")
            pause = self._rng.choice([0.0] * 9 + [0.5])
            answer = self._rng.choice([204] * 18 + [503, None]) if self.received[key] <= 2 else 204
        time.sleep(pause)
        return answer

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Listen on a free port and give the URL."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.take(self.headers, body)
                if status is not None:
                    self.send_response(status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class names it
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        server.request_queue_size = 128  # as many may come at once
        server.server_bind()
        server.server_activate()
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # killed replicas hang up
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/alerts"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class StartingPostgres:
    """A PostgreSQL that starts: silent for a while, then so many refusals in German, then a database."""

    REFUSAL = b"SFATAL\0VFATAL\0C57P03\0Mdas Datenbanksystem startet\0\0"

    def __init__(self, database: Database, *, silent_s: float = 0.0, refused: int = 0) -> None:
        with database.connection() as connection:
            self._known = connection.info.get_parameters() | {
                "host": connection.info.host,
                "password": connection.info.password,
            }
            self._port = connection.info.port
        self._silent_s, self.to_refuse = silent_s, refused
        self._ended = threading.Event()

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Take a free port and give the URL."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.settimeout(0.1)
            if not self._silent_s:
                listener.listen()
            thread = threading.Thread(target=self._serve, args=[listener])
            thread.start()
            try:
                of = {name: self._known[name] for name in ("user", "password", "dbname") if self._known[name]}
                where = {"host": "127.0.0.1", "port": listener.getsockname()[1], "gssencmode": "disable"}
                yield f"postgresql:///?{urlencode({'sslmode': 'disable', **where, **of})}"
            finally:
                self._ended.set()
                thread.join()

    def _serve(self, listener: socket.socket) -> None:
        self._ended.wait(self._silent_s)
        listener.listen()
        while not self._ended.is_set():
            with suppress(TimeoutError):
                client, _ = listener.accept()
                if self.to_refuse:
                    self.to_refuse -= 1
                    with client:
                        client.recv(1024)
                        client.sendall(b"E" + (len(self.REFUSAL) + 4).to_bytes(4, "big") + self.REFUSAL)
                else:
                    self._forward(client)

    def _forward(self, client: socket.socket) -> None:
        host = self._known["host"]
        if host.startswith("/"):
            inside = socket.socket(socket.AF_UNIX)
            inside.connect(f"{host}/.s.PGSQL.{self._port}")
        else:
            inside = socket.create_connection((host, self._port))
        for source, sink in ((client, inside), (inside, client)):
            threading.Thread(target=_pump, args=[source, sink], daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with source, suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
