"""What is seen of a row from outside: by the database's listener, a WebSocket client and a receiver of webhooks."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
from websockets.sync.client import connect

from kurswerk.storage.server import Database

Key = tuple[str, int]


@dataclass
class Seen:
    """Moments (seconds since 1970) at which something was seen of a row."""

    sent: float = 0.0
    committed: float = 0.0
    key: Key = ("", 0)
    fed: float | None = None
    stored: float | None = None
    messages: list[float] = field(default_factory=list)
    webhook: float | None = None
    begun: float | None = None
    features_s: float = 0.0
    models_s: float = 0.0


class Watch:
    """Collects what listeners see of the row that is on its way."""

    def __init__(self, models: int) -> None:
        self.models = models
        self.row = Seen()
        self.done = threading.Event()

    def expect(self, key: Key) -> Seen:
        """Expect a new row."""
        self.row = Seen(key=key)
        self.done.clear()
        return self.row

    def notified(self, channel: str) -> None:
        """See a notification of the database."""
        if channel == "kurswerk_feed" and self.row.fed is None:
            self.row.fed = time.time()
        if channel == "kurswerk_predictions" and self.row.stored is None:
            self.row.stored = time.time()

    def received(self, message: Mapping[str, Any]) -> None:
        """See a message of the WebSocket."""
        if key_of(message) == self.row.key:
            self.row.messages.append(time.time())
            self._look()

    def posted(self, message: Mapping[str, Any]) -> None:
        """See a webhook."""
        if key_of(message) == self.row.key:
            self.row.webhook = time.time()
            self._look()

    def _look(self) -> None:
        if len(self.row.messages) == self.models and self.row.webhook is not None:
            self.done.set()


def key_of(message: Mapping[str, Any]) -> Key:
    """Return whose row a message is about."""
    return message["coin_id"], round(datetime.fromisoformat(message["timestamp"]).timestamp() * 1e6)


@contextmanager
def listeners(database: Database, url: str, watch: Watch) -> Iterator[str]:
    """Listen to the database, the WebSocket and a port for webhooks; give the address of that."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            watch.posted(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    socket = connect(f"{url.replace('http', 'ws')}/ws/predictions")
    listening = psycopg.connect(database.url, autocommit=True)
    listening.execute("LISTEN kurswerk_feed")
    listening.execute("LISTEN kurswerk_predictions")

    def follow_database() -> None:
        with suppress(psycopg.OperationalError):  # it ends with the server
            for one in listening.notifies():
                watch.notified(one.channel)

    def follow_socket() -> None:
        for message in socket:
            watch.received(json.loads(message))

    for work in (receiver.serve_forever, follow_database, follow_socket):
        threading.Thread(target=work, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{receiver.server_port}/"
    finally:
        receiver.shutdown()
        socket.close()
