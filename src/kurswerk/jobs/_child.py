"""What happens inside a job process."""

import contextlib
import ctypes
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import BinaryIO

import psycopg

from kurswerk.core.errors import DatabaseUnavailableError, KurswerkError
from kurswerk.jobs._messages import Assignment, Ending, Message, Report, Setup, decode, encode
from kurswerk.jobs._process import DATABASE_LOST
from kurswerk.jobs._store import ProcrastinateJobStore
from kurswerk.observability import get_logger, log_context
from kurswerk.storage import CoinMetricsStore, Database, PostgresModelStore, PostgresResultStore
from kurswerk.training import OrderDesk, run_job

log = get_logger(__name__)

# Advisory locks of jobs: this, plus the job's number.
LOCK_SPACE = 0x4B4A_0000_0000_0000
_LOCK_PATIENCE_S = 10.0
_LOCK_PAUSE_S = 0.1
_LOCK_CHECK_S = 1.0
_LEAST_S_BETWEEN_REPORTS = 0.5
_PR_SET_PDEATHSIG = 1


def serve_jobs() -> None:
    """Run the jobs that arrive on standard input until it ends; never returns.

    The process lives no longer than its worker and, while it runs a job, than the connection that holds the job's lock.
    Standard output belongs to the worker; whatever libraries print goes to standard error.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the worker decides when to stop
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _die_with_parent()
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    orders: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_hear, args=(sys.stdin.buffer, orders), daemon=True).start()
    setup = orders.get()
    if not isinstance(setup, Setup):
        raise TypeError(f"the first line is to be a Setup, not {setup!r}")
    while True:
        order = orders.get()
        if isinstance(order, Assignment):
            output.write(encode(_carry_out(order, setup, output)))


def _die_with_parent() -> None:
    """Ask Linux to kill us when the worker ends; elsewhere the end of standard input does it, a little later."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _hear(source: BinaryIO, orders: "queue.SimpleQueue[Message]") -> None:
    for line in source:
        orders.put(decode(line))
    os._exit(0)  # the worker is gone


def _carry_out(order: Assignment, setup: Setup, output: BinaryIO) -> Ending:
    database = Database(setup.database_url)
    desk = OrderDesk(
        market=CoinMetricsStore(database),
        models=PostgresModelStore(database),
        results=PostgresResultStore(database),
        jobs=ProcrastinateJobStore(database),
        memory_budget_bytes=setup.memory_budget_bytes,
    )
    try:
        with _locked(database, order.job_id) as free:
            if not free:
                return Ending("interrupted", "another process is still at this job")
            job = desk.jobs.get(order.job_id)
            if (job.status, job.attempt) != ("RUNNING", order.attempt):
                return Ending("interrupted", "the job was cancelled or begun again meanwhile")
            with log_context(job_id=job.id, request_id=job.request_id):
                return _run(desk, job_id=order.job_id, output=output)
    except DatabaseUnavailableError as error:
        return Ending("interrupted", str(error))


def _run(desk: OrderDesk, *, job_id: int, output: BinaryIO) -> Ending:
    job = desk.jobs.get(job_id)
    began = time.monotonic()
    log.info("job begins", job_type=job.job_type, attempt=job.attempt)
    try:
        run_job(job, desk, _Reporter(output))
    except DatabaseUnavailableError:
        raise
    except KurswerkError as error:
        log.warning("job failed", reason=str(error))
        return Ending("failed", str(error))
    except MemoryError:
        return Ending("failed", "out of memory; choose fewer coins, an earlier end or fewer features")
    except Exception as error:  # a fault of ours: it must end the job, not the process
        log.exception("job failed")
        return Ending("failed", f"{type(error).__name__}: {error}")
    log.info("job done", seconds=round(time.monotonic() - began, 3))
    return Ending("completed")


class _Reporter:
    """Sends progress to the worker, at most twice a second."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._last = -_LEAST_S_BETWEEN_REPORTS

    def __call__(self, fraction: float, message: str, /) -> None:
        now = time.monotonic()
        if now - self._last >= _LEAST_S_BETWEEN_REPORTS:
            self._last = now
            self._output.write(encode(Report(fraction, message)))


@contextlib.contextmanager
def _locked(database: Database, job_id: int) -> Iterator[bool]:
    """Hold a job's lock; the block is told whether it was free. If the connection is lost meanwhile, the process ends.

    The lock lives with its connection: while the server knows us, nobody else can run the job, and when it does not, we
    stop working on it.
    """
    with database.connection() as connection:
        connection.autocommit = True
        held = _acquire(connection, LOCK_SPACE + job_id)
        done = threading.Event()
        if held:
            threading.Thread(target=_guard, args=(connection, done), daemon=True).start()
        try:
            yield held
        finally:
            done.set()


def _acquire(connection: "psycopg.Connection[tuple[object, ...]]", key: int) -> bool:
    deadline = time.monotonic() + _LOCK_PATIENCE_S
    while True:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", [key]).fetchone()
        if row and row[0]:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOCK_PAUSE_S)


def _guard(connection: "psycopg.Connection[tuple[object, ...]]", done: threading.Event) -> None:
    while not done.wait(_LOCK_CHECK_S):
        try:
            connection.execute("SELECT 1")
        except psycopg.Error:
            if not done.is_set():
                os._exit(DATABASE_LOST)
