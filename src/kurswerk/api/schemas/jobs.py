"""Jobs."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, Field, StringConstraints, create_model

from kurswerk.api.schemas._base import (
    LARGEST_ID,
    Json,
    MessageRead,
    PageQuery,
    PageResponse,
    RequestModel,
    ResponseModel,
    UtcTime,
)
from kurswerk.api.schemas.models import ModelRead
from kurswerk.api.schemas.results import ComparisonRead, IdQuery, TestRead
from kurswerk.jobs import DEFAULT_PRIORITY, LARGEST_PRIORITY, JobKind

# The register of kinds decides which there are; the OpenAPI document lists them.
JobType = Annotated[str, Field(examples=["TRAIN"])]
# As the middleware takes X-Request-ID.
RequestId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
JobStatus = Literal["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"]


class JobOrdered(ResponseModel):
    """A job that was accepted; `GET /api/jobs/{job_id}` shows how far it is."""

    job_id: int = Field(examples=[42])
    message: str = Field(examples=["training of 'up 2 % within the hour' is queued"])
    status: JobStatus = "PENDING"


class JobCreate(RequestModel):
    """A job to order; `type` decides what `request` has to be."""

    type: str
    request: Any = Field(description="What to do.")
    priority: int = Field(
        DEFAULT_PRIORITY, ge=0, le=LARGEST_PRIORITY, description="A job with a higher priority runs first."
    )
    request_id: RequestId | None = Field(
        None, description="Under which the job remembers who ordered it; null is the X-Request-ID of the call."
    )


def job_body(kinds: Iterable[JobKind[Any]]) -> Any:
    """Return what a request for a job looks like: one model per registered kind of job, distinguished by ``type``."""
    models = tuple(_job_of(kind) for kind in kinds)
    return Annotated[Union[models], Field(discriminator="type")]  # noqa: UP007  # of as many as are registered


def _job_of(kind: JobKind[Any]) -> type[JobCreate]:
    fields: dict[str, Any] = {
        "type": (Literal[kind.name], Field(description="The kind of job.")),
        "request": (kind.request, Field(description="What to do.")),
    }
    name = f"JobCreate{kind.name.capitalize()}"
    return create_model(name, __base__=JobCreate, __doc__=f"A job of kind {kind.name}.", **fields)


class JobQuery(PageQuery):
    """Which jobs, in which order."""

    sort: Literal["id", "created_at", "priority"] = Field("id", description="What to sort by.")
    status: JobStatus | None = Field(None, description="Only those in this state.")
    job_type: JobType | None = Field(None, description="Only those of this type.")
    model_id: IdQuery | None = Field(None, description="Only the training of this model.")


class JobSummary(ResponseModel):
    """A job as lists show it."""

    id: int = Field(examples=[42])
    job_type: JobType
    status: JobStatus
    priority: int = Field(description="Higher runs first.")
    progress: float = Field(description="Share done, in [0, 1].", examples=[0.4])
    progress_msg: str | None = Field(description="What is happening.", examples=["fold 3 of 5"])
    progress_detail: MessageRead | None = Field(None, description="Code and parameters of `progress_msg`.")
    error_msg: str | None = Field(description="Why it failed, was cancelled, or runs again.")
    error_detail: MessageRead | None = Field(None, description="Code and parameters of `error_msg`.")
    request: Json | None = Field(description="What was ordered.")
    result: Json | None = Field(description="What came of it, as its kind describes it; null until it is COMPLETED.")
    result_model_id: int | None
    result_test_id: int | None
    result_comparison_id: int | None
    worker_id: str | None
    attempt: int = Field(description="Which run this is; 0 before the first.")
    request_id: str | None = Field(description="X-Request-ID of the call that ordered it.")
    created_at: UtcTime
    started_at: UtcTime | None
    completed_at: UtcTime | None


class JobRead(JobSummary):
    """A job with what came of it, once it is COMPLETED."""

    result_model: ModelRead | None = None
    result_test: TestRead | None = None
    result_comparison: ComparisonRead | None = None


class JobLogQuery(BaseModel):
    """Which lines of a job's log."""

    after: int = Field(
        0, ge=0, le=LARGEST_ID, description="Only lines after the one with this id; 0 is from the first."
    )
    limit: int = Field(100, ge=1, le=1000, description="How many at most, the oldest of them.")


class JobLineRead(ResponseModel):
    """One line of a job's log."""

    id: int = Field(description="Grows from line to line; lines of other jobs lie between.", examples=[1207])
    created_at: UtcTime
    attempt: int = Field(description="Which run it is of; 0 before the first.", examples=[1])
    level: Literal["info", "warning", "error"]
    message: str = Field(examples=["fold 3 of 5"])
    detail: MessageRead | None = Field(None, description="Code and parameters of `message`.")


class JobLogRead(ResponseModel):
    """Lines of a job's log, in the order in which they were written."""

    lines: list[JobLineRead]
    next_after: int = Field(description="What to give as `after` to get what follows.", examples=[1207])


class JobPage(PageResponse):
    """One page of jobs."""

    jobs: list[JobSummary]
