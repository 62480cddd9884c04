"""``kurswerk serve`` as an operator runs it: a process of its own, with its own data directory and a free port."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from kurswerk.client import Client
from kurswerk.storage.server import EmbeddedPostgres
from server_folders import server_folder

MOST_START_S = 240
MOST_STOP_S = 15.0


@dataclass
class Served:
    """A running service; ``url`` is empty for one without an API."""

    process: subprocess.Popen[bytes]
    log: Path
    printed: str = ""
    url: str = field(init=False, default="")

    def lines(self, **values: Any) -> list[dict[str, Any]]:
        """Return the log lines so far that hold these values."""
        parsed = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in parsed if values.items() <= line.items()]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal and wait for the end; fails if it was not in good order."""
        self.process.send_signal(number)
        code = self.process.wait(MOST_STOP_S)
        assert code == 0, self.log.read_text()[-3000:]

    def stop_took_s(self) -> float:
        """Return how long its parts took to stop, by its own log: without the signal's way and Python's own end."""
        began, ended = (
            datetime.fromisoformat(line["timestamp"])
            for event in ("stopping", "stopped")
            for line in self.lines(event=event)
        )
        return (ended - began).total_seconds()


@contextmanager
def data_directory() -> Iterator[Path]:
    """Give an empty data directory with a short path, whose embedded server is stopped at the end."""
    folder = server_folder("kurswerk-served-")
    try:
        yield folder
    finally:
        EmbeddedPostgres(folder).stop()
        shutil.rmtree(folder, ignore_errors=True)


def environment(data_dir: Path, **settings: str) -> dict[str, str]:
    """Return the environment of a command on a data directory; no setting of the caller's counts."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("KURSWERK_", "DB_"))}
    return inherited | {"KURSWERK_DATA_DIR": str(data_dir), "KURSWERK_HTTP_PORT": "0"} | settings


def run(data_dir: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "kurswerk", *words],
        env=environment(data_dir, **settings),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@contextmanager
def served(data_dir: Path, *words: str, **settings: str) -> Iterator[Served]:
    """Run a command that serves until the block ends, API and worker by default; it has reported that it is ready."""
    log = data_dir / f"serve-{time.monotonic_ns()}.log"
    with log.open("w") as errors, log.with_suffix(".out").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "kurswerk", *(words or ("serve", "--only", "api,worker"))],
            env=environment(data_dir, **settings),
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
    service = Served(process, log)
    try:
        _await_announcement(service)
        yield service
        if process.poll() is None:
            service.stop()
    finally:
        process.kill()
        process.wait()


def _await_announcement(service: Served) -> None:
    deadline = time.monotonic() + MOST_START_S
    while not (printed := service.log.with_suffix(".out").read_text()):
        ended = service.process.poll() is not None or time.monotonic() > deadline
        assert not ended, service.log.read_text()[-3000:]
        time.sleep(0.02)
    service.printed = printed
    if found := re.search(r"^  api +(http://\S+)$", printed, flags=re.MULTILINE):
        service.url = found[1]


@contextmanager
def connected(service: Served, **options: Any) -> Iterator[Client]:
    """Give a client of a service."""
    with Client(service.url, **options) as client:
        yield client
