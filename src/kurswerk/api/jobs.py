"""Jobs: what was ordered, how far it is, what came of it."""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import FileResponse

from kurswerk.api._dependencies import Ports, request_id_of
from kurswerk.api._openapi import Responses, errors
from kurswerk.api._response_cache import cached, matches
from kurswerk.api.ports import ApiPorts
from kurswerk.api.schemas._base import LARGEST_ID, page_fields
from kurswerk.api.schemas.jobs import (
    JobLineRead,
    JobLogQuery,
    JobLogRead,
    JobOrdered,
    JobPage,
    JobQuery,
    JobRead,
    JobSummary,
    job_body,
)
from kurswerk.core.errors import ConflictError, NotFoundError
from kurswerk.jobs import LARGEST_PRIORITY, FileResult, Job, JobKind

# Both prefixes name the same: older clients know the first.
queue_router = APIRouter(prefix="/api/queue", tags=["jobs"])
jobs_router = APIRouter(prefix="/api/jobs", tags=["jobs"])

JobId = Annotated[int, Path(ge=1, le=LARGEST_ID, description="A job's id.")]
Priority = Annotated[int, Query(ge=0, le=LARGEST_PRIORITY, description="A job with a higher priority runs first.")]

_FILE: Responses = {
    200: {"description": "The file.", "content": {"application/octet-stream": {}}},
    206: {"description": "The part of it that was asked for.", "content": {"application/octet-stream": {}}},
    304: {"description": "The client has it already."},
    416: {"description": "The file has no such part."},
    **errors(404, 409),
}
_RESULT_TABLES = ("ml_jobs", "ml_models", "ml_test_results", "ml_comparisons")


@queue_router.get("", dependencies=[cached("ml_jobs")], responses=errors())
@jobs_router.get("", dependencies=[cached("ml_jobs")], responses=errors())
def list_jobs(query: Annotated[JobQuery, Query()], ports: Ports) -> JobPage:
    """List jobs, newest first."""
    if query.job_type is not None:
        ports.jobs.kinds.named(query.job_type)
    listing = ports.catalog.jobs(query.page(), query.filters())
    return JobPage(jobs=JobSummary.all_of(listing.rows), **page_fields(query, listing))


@queue_router.get("/{job_id:int}", dependencies=[cached(*_RESULT_TABLES)], responses=errors(404))
@jobs_router.get("/{job_id:int}", dependencies=[cached(*_RESULT_TABLES)], responses=errors(404))
def read_job(job_id: JobId, ports: Ports) -> JobRead:
    """Show how far a job is and, once it is COMPLETED, what came of it."""
    return job_with_result(job_id, ports)


# A line is written in the transaction that changes the job's row.
@queue_router.get("/{job_id:int}/log", dependencies=[cached("ml_jobs")], responses=errors(404))
@jobs_router.get("/{job_id:int}/log", dependencies=[cached("ml_jobs")], responses=errors(404))
def read_job_log(job_id: JobId, query: Annotated[JobLogQuery, Query()], ports: Ports) -> JobLogRead:
    """Show what happened to a job, line by line: each try, what it did, how it ended and why; at most 1,000 a try."""
    found = ports.jobs.store.log(job_id, after=query.after, limit=query.limit)
    lines = [JobLineRead.model_validate({**vars(one), "detail": one.detail and one.detail.as_json()}) for one in found]
    return JobLogRead(lines=lines, next_after=lines[-1].id if lines else query.after)


@queue_router.post("/{job_id:int}/cancel", responses=errors(404, 409))
@jobs_router.post("/{job_id:int}/cancel", responses=errors(404, 409))
def cancel_job(job_id: JobId, ports: Ports) -> JobRead:
    """Cancel a PENDING or RUNNING job; the model of a training that is cancelled is deleted."""
    ports.jobs.store.cancel(job_id)
    return job_with_result(job_id, ports)


@queue_router.post("/{job_id:int}/retry", responses=errors(404, 409))
@jobs_router.post("/{job_id:int}/retry", responses=errors(404, 409))
def retry_job(job_id: JobId, ports: Ports) -> JobRead:
    """Let a FAILED or CANCELLED job run again."""
    ports.jobs.store.retry(job_id)
    return job_with_result(job_id, ports)


@queue_router.get("/{job_id:int}/file", response_class=Response, responses=_FILE)
@jobs_router.get("/{job_id:int}/file", response_class=Response, responses=_FILE)
def download_job_file(job_id: JobId, request: Request, ports: Ports) -> Response:
    """Download the file that a COMPLETED job has written, or with `Range` a part of it; the ETag is its SHA-256."""
    job = ports.jobs.store.get(job_id)
    kind = ports.jobs.kinds.find(job.job_type)
    if kind is None or not issubclass(kind.result, FileResult):
        raise NotFoundError("job.without_file", id=job_id, type=job.job_type)
    if job.result is None:
        raise ConflictError("job.file_not_ready", id=job_id, status=job.status)
    result = FileResult.model_validate(job.result)
    path = ports.job_files.find(result.path)
    if path.stat().st_size != result.bytes:
        raise ConflictError("job.file_changed", path=result.path)
    headers = {"ETag": f'"{result.sha256}"', "X-SHA256": result.sha256}
    if_none_match = request.headers.get("if-none-match")
    if if_none_match is not None and matches(headers["ETag"].encode(), if_none_match.encode()):
        return Response(status_code=304, headers=headers)
    return FileResponse(path, headers=headers, media_type="application/octet-stream", filename=path.name)


def creation_router(kinds: Iterable[JobKind[Any]]) -> APIRouter:
    """Return the calls that order a job of any kind; their body depends on which kinds there are."""
    creation = APIRouter(tags=["jobs"])

    def order_job(job: Any, ports: Ports, request: Request, response: Response) -> JobOrdered:
        """Order a job of any kind; what cannot succeed is refused at once, as by the call for that kind.

        An order that is sent twice is two jobs.
        """
        request_id = job.request_id or request_id_of(request)
        found = ports.jobs.order(job.type, job.request, priority=job.priority, request_id=request_id)
        return ordered(found, f"{found.job_type} is queued", response)

    # FastAPI reads the body's type here; it is known only once the kinds are.
    order_job.__annotations__["job"] = job_body(kinds)
    for path in (queue_router.prefix, jobs_router.prefix):
        creation.post(path, status_code=201, responses=errors(404, 409, 413))(order_job)
    return creation


def job_with_result(job_id: int, ports: ApiPorts) -> JobRead:
    """Return a job with its result, if there is one and it was not deleted since.

    Raises
    ------
    NotFoundError
        If there is no such job.
    """
    row = ports.catalog.job(job_id)
    if row["status"] != "COMPLETED":
        return JobRead.model_validate(row)
    catalog = ports.catalog
    results = {
        "result_model": _found(catalog.model, row["result_model_id"]),
        "result_test": _found(catalog.test, row["result_test_id"]),
        "result_comparison": _found(catalog.comparison, row["result_comparison_id"]),
    }
    return JobRead.model_validate({**row, **results})


def ordered(job: Job, message: str, response: Response) -> JobOrdered:
    """Answer an order that was accepted; ``Location`` is the job's path."""
    response.headers["Location"] = f"/api/queue/{job.id}"
    return JobOrdered(job_id=job.id, message=message)


def _found(read: Callable[[int], Mapping[str, Any]], number: int | None) -> Mapping[str, Any] | None:
    try:
        return None if number is None else read(number)
    except NotFoundError:
        return None
