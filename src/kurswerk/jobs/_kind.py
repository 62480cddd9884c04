"""Kinds of job: what a kind declares, and the register of those that an installation has."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from kurswerk.core.errors import SpecError, UnknownNameError
from kurswerk.core.messages import Message
from kurswerk.jobs._job import Job, JobResult
from kurswerk.jobs.ports import Progress

Request = TypeVar("Request", bound=BaseModel)


class JobHooks(Generic[Request]):
    """What else happens when a job changes its status, each in the transaction that changes it. By default nothing."""

    def ordered(self, request: Request, /) -> int | None:  # noqa: ARG002 - for kinds that have a use for it
        """Prepare a job that is ordered; return the model it is about, if it has one from the start."""
        return None

    def failed(self, job: Job, reason: Message, /) -> None:
        """Clean up after a job that failed for good."""

    def cancelled(self, job: Job, reason: Message, /) -> None:
        """Clean up after a job that was cancelled."""

    def retried(self, job: Job, /) -> None:
        """Prepare a failed or cancelled job to run again; ConflictError if it cannot."""


@dataclass(frozen=True)
class JobKind(Generic[Request]):
    """One kind of job; whoever registers it in `bootstrap` makes it orderable over REST and runnable by workers.

    Attributes
    ----------
    name
        Its name in ``ml_jobs.job_type`` and in the REST API.
    title
        Title on the dashboard. A placeholder is a field of the request; one that begins with ``model_`` shows the name
        of that model.
    request
        What can be ordered.
    check
        Refuses what cannot succeed, before anything is written; returns the request as it is to be stored.
    run
        Does the work and returns what stores its result. That is called in the transaction that completes the job, so
        that a run that was begun again elsewhere stores nothing.
    result
        What ``ml_jobs.result`` holds once the job is COMPLETED.
    hooks
        What else happens when the job is ordered, fails, is cancelled or tried again.
    read
        Reads a stored request, where earlier versions stored what is refused today; None reads it as an order.
    write
        Returns a request as the JSON to store, where that is not all of its fields.
    label
        What lists of kinds call it; its name where it has none.
    order_page
        Page of the dashboard on which such an order is filled in, and can be changed after a failure.
    """

    name: str
    title: str
    request: type[Request]
    check: Callable[[Request], Request]
    run: Callable[[Job, Request, Progress], Callable[[], JobResult]]
    result: type[BaseModel]
    hooks: JobHooks[Request] = field(default_factory=JobHooks)
    read: Callable[[Mapping[str, Any]], Request] | None = None
    write: Callable[[Request], dict[str, Any]] | None = None
    order_page: str | None = None
    label: str = ""

    def parse(self, document: Mapping[str, Any] | BaseModel) -> Request:
        """Validate a request.

        Raises
        ------
        SpecError
            All that is wrong, one clause per field.
        """
        if isinstance(document, self.request):
            return document
        try:
            return self.request.model_validate(document)
        except ValidationError as error:
            clauses = (
                f"{'.'.join(map(str, item['loc'])) or 'request'}: {item['msg']}"
                for item in error.errors(include_url=False)
            )
            raise SpecError("job.request_invalid", kind=self.name, faults="; ".join(clauses)) from error

    def document(self, request: Request) -> dict[str, Any]:
        """Return a request as the JSON that `stored` reads back."""
        return request.model_dump(mode="json") if self.write is None else self.write(request)

    def stored(self, document: Mapping[str, Any]) -> Request:
        """Read a request that was checked when it was ordered."""
        return self.parse(document) if self.read is None else self.read(document)


class JobKinds:
    """The register of an installation's kinds of job, by name."""

    def __init__(self, *kinds: JobKind[Any]) -> None:
        self._kinds = {kind.name: kind for kind in kinds}

    def __iter__(self) -> Iterator[JobKind[Any]]:
        return iter(self._kinds.values())

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all kinds."""
        return tuple(self._kinds)

    def named(self, name: str) -> JobKind[Any]:
        """Return a kind.

        Raises
        ------
        UnknownNameError
            Naming the nearest kind.
        """
        found = self._kinds.get(name)
        if found is None:
            raise UnknownNameError("job.unknown_type", name=name, known=self._kinds)
        return found

    def find(self, name: str) -> JobKind[Any] | None:
        """Return a kind, None for one that this version does not know, as of a job that a newer one ordered."""
        return self._kinds.get(name)

    def hooks_of(self, job: Job) -> JobHooks[Any]:
        """Return the hooks of a job's kind; those of an unknown kind do nothing."""
        kind = self.find(job.job_type)
        return JobHooks() if kind is None else kind.hooks
