"""A `JobStore` in memory, for tests of use cases; the PostgreSQL one has tests of its own."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from kurswerk.core.errors import ConflictError, NotFoundError
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import to_datetime
from kurswerk.jobs import DEFAULT_PRIORITY, Job, JobLine, JobResult


class MemoryJobs:
    """Jobs in a dictionary; nothing runs them."""

    def __init__(self) -> None:
        self.jobs: dict[int, Job] = {}
        self.lines: dict[int, list[JobLine]] = {}

    def transaction(self) -> AbstractContextManager[object]:
        return nullcontext()

    def order(
        self,
        job_type: str,
        request: Mapping[str, Any],
        *,
        model_id: int | None = None,
        priority: int = DEFAULT_PRIORITY,
        request_id: str | None = None,
    ) -> int:
        number = len(self.jobs) + 1
        self.jobs[number] = Job(
            id=number,
            job_type=job_type,
            status="PENDING",
            priority=priority,
            progress=0.0,
            progress_msg=None,
            error_msg=None,
            request=request,
            result=None,
            result_model_id=model_id,
            result_test_id=None,
            result_comparison_id=None,
            worker_id=None,
            attempt=0,
            request_id=request_id,
            created_at=to_datetime(0),
            started_at=None,
            completed_at=None,
        )
        return number

    def start(self, job_id: int) -> Job:
        """Begin a run, as a worker does."""
        job = self.get(job_id)
        self.jobs[job_id] = replace(job, status="RUNNING", attempt=job.attempt + 1)
        return self.jobs[job_id]

    def get(self, job_id: int) -> Job:
        if job_id not in self.jobs:
            raise NotFoundError("job.not_found", id=job_id)
        return self.jobs[job_id]

    def find(self, *, job_type: str | None = None, **_: Any) -> list[Job]:
        return [job for job in reversed(self.jobs.values()) if job_type in {None, job.job_type}]

    def add_line(self, job_id: int, message: str | Message, *, level: str = "info", at_us: int = 0) -> None:
        """Add a line to a job's log, as a worker does."""
        lines = self.lines.setdefault(job_id, [])
        attempt, detail = self.get(job_id).attempt, message if isinstance(message, Message) else None
        lines.append(JobLine(len(lines) + 1, to_datetime(at_us), attempt, level, str(message), detail))

    def log(self, job_id: int, *, after: int = 0, limit: int = 100, newest_first: bool = False) -> list[JobLine]:
        self.get(job_id)
        found = [line for line in self.lines.get(job_id, []) if line.id > after]
        return (found[::-1] if newest_first else found)[:limit]

    def cancel(self, job_id: int) -> Job:
        self.jobs[job_id] = replace(self.get(job_id), status="CANCELLED")
        return self.jobs[job_id]

    def retry(self, job_id: int) -> Job:
        self.jobs[job_id] = replace(self.get(job_id), status="PENDING")
        return self.jobs[job_id]

    def complete(self, job: Job, save: Callable[[], JobResult]) -> None:
        now = self.get(job.id)
        if (now.status, now.attempt) != ("RUNNING", job.attempt):
            raise ConflictError("job.run_superseded", attempt=job.attempt, id=job.id)
        result = save()
        self.jobs[job.id] = replace(
            now,
            status="COMPLETED",
            progress=1.0,
            result=result.document.model_dump(mode="json"),
            result_test_id=result.test_id,
            result_comparison_id=result.comparison_id,
        )
