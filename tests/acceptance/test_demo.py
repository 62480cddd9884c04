"""``make demo`` as on a fresh machine: by itself where nobody looks on, then again on a terminal until Ctrl-C."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg

from kurswerk.storage.server import EmbeddedPostgres
from running_service import MOST_STOP_S, data_directory, environment, run
from waiting import until

SMALL = ("demo", "--coins", "12", "--hours", "3", "--seed", "7720")
# Of a shell in which no virtual environment is active.
BARE_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
# Kernels are compiled first, on a busy machine.
MOST_WAIT_S = 900.0


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, words: tuple[str, ...], folder: Path, **settings: str) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kurswerk", *words],
            cwd=folder,
            env=environment(folder, TERM="xterm-256color", **settings),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.raw = ""

    @property
    def shown(self) -> str:
        """What was written so far, without colours and movements."""
        return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", self.raw)

    def until(self, condition: Callable[[str], object], seconds: float) -> None:
        """Read what is shown until a condition holds of it."""
        deadline = time.monotonic() + seconds
        while not condition(self.shown):
            assert time.monotonic() < deadline, self.shown[-3000:]
            if select.select([self._ours], [], [], 0.1)[0]:
                try:
                    self.raw += os.read(self._ours, 1 << 16).decode(errors="replace")
                except OSError:  # nobody writes any more
                    assert condition(self.shown), self.shown[-3000:]

    def close(self) -> None:
        """Let nothing be left of it."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


def stored(folder: Path) -> tuple[int, int, int]:
    """Return how many predictions, and models of the demo, there are, and how many of them are active."""
    with psycopg.connect(EmbeddedPostgres(folder).start()) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM predictions), count(*), count(*) FILTER (WHERE is_active)"
            " FROM ml_models WHERE NOT is_deleted"
        ).fetchone()
    assert row is not None
    return row


def finds_kurswerk(way: str) -> bool:
    """Whether a shell that does not know the program knows it after this command."""
    words = ("bash", "-c", f"! command -v kurswerk && {way} && kurswerk --version")
    return subprocess.run(words, env={"PATH": BARE_PATH}, capture_output=True, check=False).returncode == 0


def test_the_demo_ends_by_itself_and_runs_again_on_a_terminal_until_ctrl_c():
    with data_directory() as folder:
        done = run(folder, *SMALL, "--output", str(folder), "--seconds", "3", "--json")
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        live = document["live"]
        assert document["certified"] == [True, True]
        assert Path(document["report"]).is_file()
        assert live["predictions"] == 2 * live["rows"] > 0
        assert 0 < live["p50_ms"] <= live["p99_ms"]
        assert all(f"{name:9} {url}" in done.stderr for name, url in live["addresses"].items())
        assert stored(folder) == (live["predictions"], 2, 0)

        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            terminal = Terminal((*SMALL, "--speed", "50"), folder, KURSWERK_HTTP_PORT=port, PATH=BARE_PATH)
            try:
                terminal.until(lambda text: re.search(r"predictions [1-9]", text), MOST_WAIT_S)
                url = re.findall(r"(http://[\d.:]+)/docs", terminal.shown)[-1]
                assert not url.endswith(f":{port}")
                until(lambda: httpx.get(f"{url}/health", timeout=120).status_code == 200)
                assert httpx.get(f"{url}/api/predictions?limit=1", timeout=120).json()["predictions"]
                os.killpg(terminal.process.pid, signal.SIGINT)
                terminal.until(lambda text: "kurswerk db stop" in text, MOST_STOP_S)
                assert terminal.process.wait(MOST_STOP_S) == 0
            finally:
                terminal.close()
        after = terminal.raw.rpartition("\x1b[?1049l")[2]
        assert re.search(r"live +[\d,]+ rows traded live, [\d,]+ predictions", after)
        assert "Traceback" not in terminal.shown
        way = re.search(r"source ('[^']+'|\S+)", after)
        assert way, after
        assert finds_kurswerk(way[0])
        predictions, models, active = stored(folder)
        assert predictions > live["predictions"]
        assert (models, active) == (2, 0)
