"""Ordering jobs and carrying them out, whatever their kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from kurswerk.jobs._job import DEFAULT_PRIORITY, Job
from kurswerk.jobs._kind import JobKinds
from kurswerk.jobs.ports import JobStore, Progress


@dataclass(frozen=True)
class JobService:
    """Orders jobs of registered kinds and carries them out.

    Attributes
    ----------
    kinds
        The kinds of job that this installation has.
    store
        Keeps the jobs.
    """

    kinds: JobKinds
    store: JobStore

    def order(
        self,
        job_type: str,
        request: Mapping[str, Any] | BaseModel,
        *,
        priority: int = DEFAULT_PRIORITY,
        request_id: str | None = None,
    ) -> Job:
        """Order a job; what cannot succeed is refused before anything is written.

        Raises
        ------
        UnknownNameError
            For an unknown kind of job.
        SpecError
            If the request is not what the kind asks for.
        KurswerkError
            Whatever else the kind's check refuses.
        """
        kind, order = self.kinds.named(job_type), self.check(job_type, request)
        with self.store.transaction():
            model_id = kind.hooks.ordered(order)
            document = kind.document(order)
            job_id = self.store.order(kind.name, document, model_id=model_id, priority=priority, request_id=request_id)
            return self.store.get(job_id)

    def check(self, job_type: str, request: Mapping[str, Any] | BaseModel) -> Any:
        """Refuse a request as `order` does, and return it as it would be stored."""
        kind = self.kinds.named(job_type)
        return kind.check(kind.parse(request))

    def run(self, job: Job, progress: Progress) -> None:
        """Carry out a RUNNING job; its result and its completion commit together.

        A job that is begun again after a crash does no harm: an earlier run has stored nothing.

        Raises
        ------
        ConflictError
            If this run of the job is no longer the current one; nothing is stored.
        UnknownNameError
            If this version does not know the job's kind.
        KurswerkError
            If the work fails for a reason that would be the same next time.
        DatabaseUnavailableError
            If the database is lost; the job may be tried again.
        """
        kind = self.kinds.named(job.job_type)
        save = kind.run(job, kind.stored(job.request), progress)
        self.store.complete(job, save)
