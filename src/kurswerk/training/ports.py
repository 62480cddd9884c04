"""What training needs of the outside."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from kurswerk.market import Panel
from kurswerk.training._jobs import DEFAULT_PRIORITY, Job, JobLine


class MarketStore(Protocol):
    """Reads market data."""

    def columns(self) -> Collection[str]:
        """Return the coin columns that the table has."""
        ...

    def load_panel(
        self,
        columns: Sequence[str],
        *,
        start_us: int | None = None,
        end_us: int | None = None,
        mints: Iterable[str] | None = None,
    ) -> Panel:
        """Return rows from ``start_us`` to ``end_us``, both inclusive."""
        ...


@dataclass(frozen=True)
class Availability:
    """What data there is; times are microseconds UTC, None in an empty table."""

    first_us: int | None
    last_us: int | None
    rows: int
    coins: int


class MarketSurvey(MarketStore, Protocol):
    """Says what market data there is, without reading it all."""

    def has_rows(
        self, *, start_us: int, end_us: int, mints: Sequence[str] | None = None, phases: Sequence[int] | None = None
    ) -> bool:
        """Return whether there is a row in a period, both ends inclusive."""
        ...

    def estimated_rows(self, *, end_us: int, mints: Sequence[str] | None = None) -> int:
        """Return about how many rows there are up to a moment, at once however large the table."""
        ...

    def availability(self) -> Availability:
        """Return what there is altogether; reads much of the table."""
        ...


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

        ``model_id`` is the model that a training will turn READY.
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

    def complete(self, job: Job, *, test_id: int | None = None, comparison_id: int | None = None) -> None:
        """Turn a RUNNING job COMPLETED; ConflictError if this run of it is not the present one any more."""
        ...


class Progress(Protocol):
    """Hears how far the work has come."""

    def __call__(self, fraction: float, message: str, /) -> None:
        """Take a share in [0, 1] and what is happening."""
        ...


def no_progress(fraction: float, message: str) -> None:
    """Ignore progress."""
