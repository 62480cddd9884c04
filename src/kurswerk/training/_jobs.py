"""What is known of a job."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

JOB_TYPES = ("TRAIN", "TEST", "COMPARE", "CERTIFY")
JOB_STATUSES = ("PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED")
JOB_SORTS = ("id", "created_at", "priority")
# Higher runs first.
DEFAULT_PRIORITY = 5
LARGEST_PRIORITY = 1000


@dataclass(frozen=True)
class Job:
    """One row of ``ml_jobs``.

    Attributes
    ----------
    job_type
        One of `JOB_TYPES`.
    status
        One of `JOB_STATUSES`; the last three are final.
    priority
        Higher runs first.
    progress, progress_msg
        Share done in [0, 1], and what is happening.
    error_msg
        Why it failed or was cancelled, or why it runs again.
    request
        What was ordered, as JSON: a model's specification, or the models, the period and the coins.
    result_model_id, result_test_id, result_comparison_id
        What came of it; a training has its model from the start.
    worker_id
        The worker that runs it, or ran it last.
    attempt
        Which run this is, counted from 1; 0 before the first.
    request_id
        Of the HTTP request that ordered it.
    created_at, started_at, completed_at
        UTC; ``started_at`` is of the latest run.
    """

    id: int
    job_type: str
    status: str
    priority: int
    progress: float
    progress_msg: str | None
    error_msg: str | None
    request: Mapping[str, Any]
    result_model_id: int | None
    result_test_id: int | None
    result_comparison_id: int | None
    worker_id: str | None
    attempt: int
    request_id: str | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self.status in {"COMPLETED", "FAILED", "CANCELLED"}


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
        What happened, without secrets.
    """

    id: int
    created_at: datetime
    attempt: int
    level: str
    message: str
