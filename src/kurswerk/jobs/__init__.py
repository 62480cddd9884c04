"""What a job is: kinds of job and their register, status, progress, and what jobs need of the outside."""

from kurswerk.jobs._health import workers_check
from kurswerk.jobs._job import (
    DEFAULT_PRIORITY,
    JOB_SORTS,
    JOB_STATUSES,
    LARGEST_PRIORITY,
    QUEUE,
    QUEUE_TASK,
    Ending,
    FileResult,
    Job,
    JobLine,
    JobResult,
    WorkerStatus,
    unexpected_error,
)
from kurswerk.jobs._kind import JobHooks, JobKind, JobKinds
from kurswerk.jobs._service import JobService
from kurswerk.jobs.ports import JobFiles, JobLock, JobStore, Progress, ProgressListener, Runner, RunStore, no_progress

__all__ = [
    "DEFAULT_PRIORITY",
    "JOB_SORTS",
    "JOB_STATUSES",
    "LARGEST_PRIORITY",
    "QUEUE",
    "QUEUE_TASK",
    "Ending",
    "FileResult",
    "Job",
    "JobFiles",
    "JobHooks",
    "JobKind",
    "JobKinds",
    "JobLine",
    "JobLock",
    "JobResult",
    "JobService",
    "JobStore",
    "Progress",
    "ProgressListener",
    "RunStore",
    "Runner",
    "WorkerStatus",
    "no_progress",
    "unexpected_error",
    "workers_check",
]
