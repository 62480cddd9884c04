"""The lock that a running job holds: while it is held, nobody else can run the job."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import psycopg

from kurswerk.storage.server import Connection, Database

# Advisory locks of jobs: this, plus the job's id.
LOCK_SPACE = 0x4B4A_0000_0000_0000
_WAIT_S = 10.0
_PAUSE_S = 0.1
_CHECK_S = 1.0


class PostgresJobLock:
    """An advisory lock on a connection of its own; implements `kurswerk.jobs.JobLock`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextlib.contextmanager
    def hold(self, job_id: int, on_lost: Callable[[], object]) -> Iterator[bool]:
        """Hold a job's lock; the block is given whether it was free. ``on_lost`` is called if it is lost meanwhile.

        The lock lives with its connection: while the server knows it, nobody else can run the job.
        """
        with self._database.connection() as connection:
            connection.autocommit = True
            held = _acquire(connection, LOCK_SPACE + job_id)
            done = threading.Event()
            if held:
                threading.Thread(target=_watch, args=(connection, done, on_lost), daemon=True).start()
            try:
                yield held
            finally:
                done.set()


def _acquire(connection: Connection, key: int) -> bool:
    deadline = time.monotonic() + _WAIT_S
    while True:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", [key]).fetchone()
        if row and row[0]:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_S)


def _watch(connection: Connection, done: threading.Event, on_lost: Callable[[], object]) -> None:
    while not done.wait(_CHECK_S):
        try:
            connection.execute("SELECT 1")
        except psycopg.Error:
            if not done.is_set():
                on_lost()
            return
