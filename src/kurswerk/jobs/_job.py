"""What is known of a job."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from kurswerk.core.messages import Message

JOB_STATUSES = ("PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED")
JOB_SORTS = ("id", "created_at", "priority")
# Higher runs first.
DEFAULT_PRIORITY = 5
LARGEST_PRIORITY = 1000
# Names under which the queue knows jobs: whoever enqueues them and whoever fetches them must agree.
QUEUE = "kurswerk"
QUEUE_TASK = "kurswerk.run_job"
_DONE = Message("job.done")
_DONE = Message("job.done")


@dataclass(frozen=True)
class Job:
    """One row of ``ml_jobs``.

    Attributes
    ----------
    job_type
        Name of its kind.
    status
        One of `JOB_STATUSES`; the last three are final.
    priority
        Higher runs first.
    progress, progress_msg
        Share done in [0, 1], and what is happening, in English.
    error_msg
        Why it failed or was cancelled, or why it runs again, in English.
    request
        What was ordered, as JSON that the kind's request model reads.
    result
        What came of it, as JSON that the kind's result model describes; None until it is COMPLETED.
    result_model_id, result_test_id, result_comparison_id
        Rows that came of it; a training has its model from the start.
    worker_id
        The worker that runs it, or ran it last.
    attempt
        Which run this is, counted from 1; 0 before the first.
    request_id
        Of the HTTP request that ordered it.
    created_at, started_at, completed_at
        UTC; ``started_at`` is of the latest run.
    progress_detail, error_detail
        The same as ``progress_msg`` and ``error_msg`` in every language; None where an older version stored the text
        alone, or a newer one a code that this one does not know.
    """

    id: int
    job_type: str
    status: str
    priority: int
    progress: float
    progress_msg: str | None
    error_msg: str | None
    request: Mapping[str, Any]
    result: Mapping[str, Any] | None
    result_model_id: int | None
    result_test_id: int | None
    result_comparison_id: int | None
    worker_id: str | None
    attempt: int
    request_id: str | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    progress_detail: Message | None = None
    error_detail: Message | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self.status in {"COMPLETED", "FAILED", "CANCELLED"}


@dataclass(frozen=True)
class JobResult:
    """What came of a job.

    Attributes
    ----------
    document
        Kept as JSON in ``ml_jobs.result``.
    test_id, comparison_id
        Rows that older clients find through columns of their own.
    """

    document: BaseModel
    test_id: int | None = None
    comparison_id: int | None = None


class FileResult(BaseModel):
    """A file that came of a job; results of kinds that write one derive from it.

    Attributes
    ----------
    path
        Relative to the data folder.
    bytes, sha256
        Of the file.
    """

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class JobLine:
    """One line of a job's log.

    Attributes
    ----------
    id
        Grows from line to line; lines of other jobs lie between.
    created_at
        UTC.
    attempt
        The run it is of; 0 before the first.
    level
        ``info``, ``warning`` or ``error``.
    message
        What happened, in English, without secrets.
    detail
        The same in every language; None as in `Job`.
    """

    id: int
    created_at: datetime
    attempt: int
    level: str
    message: str
    detail: Message | None = None


@dataclass(frozen=True)
class Ending:
    """How a run ended.

    Attributes
    ----------
    outcome
        ``completed``: the result is stored and the job completed. ``failed``: it would fail again, for ``reason``.
        ``interrupted``: something from outside ended it, it may run again. ``died``: its process is gone, it may run
        again, but not without end.
    """

    outcome: Literal["completed", "failed", "interrupted", "died"]
    reason: Message = _DONE


def unexpected_error(error: BaseException) -> Message:
    """Return what a job failed of that nobody foresaw.

    Examples
    --------
    >>> str(unexpected_error(ZeroDivisionError("by zero"))), str(unexpected_error(KeyboardInterrupt()))
    ('ZeroDivisionError: by zero', 'KeyboardInterrupt')
    """
    name = type(error).__name__
    return (
        Message("job.unexpected_error", type=name, reason=error) if str(error) else Message("job.unexpected", type=name)
    )


@dataclass(frozen=True)
class WorkerStatus:
    """A worker as the queue knows it; one that stopped in good order is not listed, a dead one for a minute.

    Attributes
    ----------
    id
        The queue's number of it.
    seconds_since_heartbeat
        Workers send a heartbeat every 5 s.
    running
        Jobs it has at the moment.
    """

    id: int
    seconds_since_heartbeat: float
    running: int
