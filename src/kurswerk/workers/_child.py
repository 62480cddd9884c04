"""What happens inside a job process."""

import contextlib
import ctypes
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from kurswerk.core.errors import DatabaseUnavailableError, KurswerkError
from kurswerk.core.messages import Message
from kurswerk.jobs import Ending, Job, JobLock, JobService, unexpected_error
from kurswerk.observability import get_logger, log_context
from kurswerk.workers._messages import Assignment, Line, Report, Setup, decode, encode
from kurswerk.workers._process import DATABASE_LOST

log = get_logger(__name__)

_LEAST_S_BETWEEN_REPORTS = 0.5
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class JobAccess:
    """What a job process works with: the jobs, and the lock that keeps one from running twice at once."""

    jobs: JobService
    lock: JobLock


def serve_jobs(connect: Callable[[Setup], JobAccess]) -> None:
    """Run the jobs that arrive on standard input until it ends; never returns.

    Parameters
    ----------
    connect
        Opens what jobs work with; called once for each job.

    Notes
    -----
    The process lives no longer than its worker and, while it runs a job, than the connection that holds the job's lock.
    Standard output belongs to the worker; whatever libraries print goes to standard error.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the worker decides when to stop
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _die_with_parent()
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    messages: queue.SimpleQueue[Line] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(sys.stdin.buffer, messages), daemon=True).start()
    setup = messages.get()
    if not isinstance(setup, Setup):
        raise TypeError(f"the first line is to be a Setup, not {setup!r}")
    while True:
        message = messages.get()
        if isinstance(message, Assignment):
            output.write(encode(_carry_out(message, connect(setup), output)))


def _die_with_parent() -> None:
    """Ask Linux to kill us when the worker ends; elsewhere the end of standard input does it, a little later."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _receive(source: BinaryIO, messages: "queue.SimpleQueue[Line]") -> None:
    for line in source:
        messages.put(decode(line))
    os._exit(0)  # the worker is gone


def _carry_out(assignment: Assignment, access: JobAccess, output: BinaryIO) -> Ending:
    try:
        with access.lock.hold(assignment.job_id, on_lost=_exit_without_database) as free:
            if not free:
                return Ending("interrupted", Message("job.interrupted_by_other"))
            job = access.jobs.store.get(assignment.job_id)
            if (job.status, job.attempt) != ("RUNNING", assignment.attempt):
                return Ending("interrupted", Message("job.interrupted_meanwhile"))
            with log_context(job_id=job.id, request_id=job.request_id):
                return _run(access.jobs, job, output)
    except DatabaseUnavailableError as error:
        return Ending("interrupted", error.message)


def _exit_without_database() -> None:
    # The lock went with the connection, so that another process may run the job by now.
    os._exit(DATABASE_LOST)


def _run(jobs: JobService, job: Job, output: BinaryIO) -> Ending:
    began = time.monotonic()
    log.info("job begins", job_type=job.job_type, attempt=job.attempt)
    try:
        jobs.run(job, _Reporter(output))
    except DatabaseUnavailableError:
        raise
    except KurswerkError as error:
        log.warning("job failed", reason=str(error))
        return Ending("failed", error.message)
    except MemoryError:
        return Ending("failed", Message("job.out_of_memory"))
    except Exception as error:  # a fault of ours: it must end the job, not the process
        log.exception("job failed")
        return Ending("failed", unexpected_error(error))
    log.info("job done", seconds=round(time.monotonic() - began, 3))
    return Ending("completed")


class _Reporter:
    """Sends progress to the worker, at most twice a second."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._last = -_LEAST_S_BETWEEN_REPORTS

    def __call__(self, fraction: float, message: Message, /) -> None:
        now = time.monotonic()
        if now - self._last >= _LEAST_S_BETWEEN_REPORTS:
            self._last = now
            self._output.write(encode(Report(fraction, message)))
