"""What jobs need of the outside: stores, locks, and a place where work runs."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from kurswerk.core.messages import Message
from kurswerk.jobs._job import DEFAULT_PRIORITY, Ending, Job, JobLine, JobResult

ProgressListener = Callable[[float, Message], Awaitable[None]]
"""Is given what a run reports: a share in [0, 1] and what is happening."""


class Progress(Protocol):
    """Takes how far the work has come."""

    def __call__(self, fraction: float, message: Message, /) -> None:
        """Take a share in [0, 1] and what is happening."""
        ...


def no_progress(fraction: float, message: Message) -> None:
    """Ignore progress."""


class JobStore(Protocol):
    """Keeps jobs: what was ordered, how far it is, what came of it."""

    def transaction(self) -> AbstractContextManager[object]:
        """Join all that the stores of one database do inside the block into one transaction."""
        ...

    def order(
        self,
        job_type: str,
        request: Mapping[str, Any],
        *,
        model_id: int | None = None,
        priority: int = DEFAULT_PRIORITY,
        request_id: str | None = None,
    ) -> int:
        """Insert a PENDING job and put it in the queue, both or neither; return its id.

        ``model_id`` is the model that the job is about from the start.
        """
        ...

    def get(self, job_id: int) -> Job:
        """Return a job; NotFoundError if there is none with this id."""
        ...

    def find(
        self,
        *,
        status: str | None = None,
        job_type: str | None = None,
        limit: int = 100,
        offset: int = 0,
        sort: str = "id",
        descending: bool = True,
    ) -> Sequence[Job]:
        """Return jobs, newest first unless sorted otherwise."""
        ...

    def log(self, job_id: int, *, after: int = 0, limit: int = 100, newest_first: bool = False) -> Sequence[JobLine]:
        """Return the lines of a job's log after the one with an id, at most so many; NotFoundError for no job."""
        ...

    def cancel(self, job_id: int) -> Job:
        """Turn a PENDING or RUNNING job CANCELLED; ConflictError for one that is finished."""
        ...

    def retry(self, job_id: int) -> Job:
        """Turn a FAILED or CANCELLED job PENDING again; ConflictError for any other."""
        ...

    def complete(self, job: Job, save: Callable[[], JobResult]) -> None:
        """Turn a RUNNING job COMPLETED and call ``save``, which stores its result, in one transaction.

        ConflictError, and nothing stored, if this run of the job is no longer the current one.
        """
        ...


class RunStore(Protocol):
    """Keeps the runs of jobs, for workers. A run that is no longer the current one of its job changes nothing."""

    def check(self) -> object:
        """Return if the database answers; DatabaseUnavailableError otherwise."""
        ...

    def transaction(self) -> AbstractContextManager[object]:
        """Join what is done inside the block into one transaction."""
        ...

    def start(self, job_id: int, entry_id: int, worker_id: str) -> Job | None:
        """Begin a run of a PENDING job; None if the job no longer waits, or not under this queue entry."""
        ...

    def report(self, job: Job, fraction: float, message: Message) -> None:
        """Store how far a run is; counts as a heartbeat."""
        ...

    def beat(self, attempts: Mapping[int, int]) -> set[int]:
        """Store a heartbeat of several runs, by job their attempt; return the jobs whose run is the current one."""
        ...

    def fail(self, job: Job, reason: Message) -> bool:
        """End a run and its job as FAILED; return whether the run was the current one."""
        ...

    def put_back(self, job: Job, reason: Message, *, counted: bool, delay_s: int = 0) -> bool:
        """End a run and enqueue its job again, or fail it after its last try; return as `fail` does."""
        ...

    def sweep(self, stalled_after_s: float) -> list[Job]:
        """Enqueue stalled jobs again, whose last heartbeat is older, and return them; repair the queue."""
        ...


class JobFiles(Protocol):
    """Keeps the files that jobs write. Paths are relative and never lead out of the folder that is meant for them."""

    def part(self, path: str) -> Path:
        """Return where a file is written until it is finished; its folder is there."""
        ...

    def finish(self, path: str) -> None:
        """Put a file that is written in its place, at once; one that was there is replaced."""
        ...

    def discard(self, path: str) -> None:
        """Remove what is written of a file that is not finished, if anything is."""
        ...

    def find(self, path: str) -> Path:
        """Return where a finished file lies; NotFoundError if there is none."""
        ...


class JobLock(Protocol):
    """Keeps a job from running twice at once."""

    def hold(self, job_id: int, on_lost: Callable[[], object]) -> AbstractContextManager[bool]:
        """Hold a job's lock; the block is given whether it was free. ``on_lost`` is called if it is lost meanwhile."""
        ...


class Runner(Protocol):
    """Where the work of one job at a time runs: a process of the worker's machine, or a node of a cluster."""

    async def start(self) -> None:
        """Get ready, so that the next job need not wait; does nothing where it is ready."""
        ...

    async def run(self, job: Job, listener: ProgressListener) -> Ending:
        """Have a job run and return how it ended; a caller that is cancelled stops the work."""
        ...

    async def kill(self) -> None:
        """Stop at once, whatever runs."""
        ...
