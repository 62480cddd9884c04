"""The calls of the REST API as values, shared by both clients: what to send, and how to read the answer."""

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, BinaryIO, Generic, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from kurswerk.client._records import (
    Availability,
    Comparison,
    Health,
    Job,
    JobLine,
    Model,
    Order,
    Page,
    Performance,
    Phase,
    Prediction,
    RowPredictions,
    TestResult,
)
from kurswerk.core.errors import JobFailedError, RequestRefusedError, ServiceError, ServiceUnavailableError
from kurswerk.core.messages import Message

Answer = TypeVar("Answer")
Record = TypeVar("Record", bound=BaseModel)
Moment = str | date | datetime
"""A point in time: ISO 8601 text, a date or a datetime; UTC unless it has an offset."""

API_KEY_HEADER = "X-API-Key"
_RETRIED_STATUSES = frozenset({429, 502, 503, 504})
_FIRST_PAUSE_S = 0.25
_MOST_PAUSE_S = 4.0


@dataclass(frozen=True)
class Call(Generic[Answer]):
    """One call; ``read`` turns a good answer into what the caller gets."""

    method: str
    path: str
    read: Callable[[httpx.Response], Answer]
    body: Mapping[str, Any] | None = None
    query: Mapping[str, Any] = field(default_factory=dict)
    # A report on a service that cannot serve is an answer, not an error.
    good: frozenset[int] = frozenset()

    def request(self) -> dict[str, Any]:
        """Return the arguments for httpx's ``request``."""
        query = {name: value for name, value in self.query.items() if value is not None}
        return {"method": self.method, "url": self.path, "json": self.body, "params": query}

    def answered(self, response: httpx.Response) -> Answer:
        """Return what the service answered.

        Raises
        ------
        RequestRefusedError
            If it answered with an error.
        ServiceError
            If it is no Kurswerk service.
        """
        if response.status_code >= 400 and response.status_code not in self.good:
            raise refusal(response)
        try:
            return self.read(response)
        except (ValueError, KeyError, TypeError) as error:  # ValidationError and JSON errors are ValueErrors
            raise ServiceError("client.unexpected_answer", url=response.url, reason=_short(error)) from error

    def pauses(self, tries: int) -> Iterator[float]:
        """Yield the seconds to wait before each further try; only reading may be tried again."""
        for number in range(tries - 1 if self.method == "GET" else 0):
            # Waits of all clients that a restart met at once are spread.
            yield min(_FIRST_PAUSE_S * 2**number, _MOST_PAUSE_S) * random.uniform(0.75, 1.25)  # noqa: S311 - no secret  # nosec B311

    def may_be_tried_again(self, response: httpx.Response) -> bool:
        """Whether the same request may succeed in a moment, by the status of the answer."""
        return response.status_code in _RETRIED_STATUSES and response.status_code not in self.good


def unavailable(error: httpx.TransportError, base_url: str) -> ServiceUnavailableError:
    """Return our error for a request that got no answer."""
    return ServiceUnavailableError("client.no_answer", url=base_url, reason=error)


def failure_of(job: Job) -> JobFailedError:
    """Return the error for a job that failed or was cancelled, with its reason."""
    if not job.error_msg:
        return JobFailedError("client.job_ended", job_id=job.id, status=job.status)
    message = Message.from_json(job.error_detail.model_dump()) if job.error_detail else None
    reason = message if message is not None and message.is_known else job.error_msg
    return JobFailedError("client.job_ended_for_reason", job_id=job.id, status=job.status, reason=reason)


def job_number(job: Job | Order | int) -> int:
    """Return a job's id."""
    return job if isinstance(job, int) else job.job_id if isinstance(job, Order) else job.id


def train(spec: Mapping[str, Any]) -> Call[Order]:
    return Call("POST", "/api/models/create", _one(Order), spec)


def test(model_id: int, start: Moment, end: Moment, mints: list[str] | None) -> Call[Order]:
    return Call("POST", f"/api/models/{model_id}/test", _one(Order), _period(start, end, mints))


def compare(a: int, b: int, start: Moment, end: Moment, mints: list[str] | None) -> Call[Order]:
    body = {"model_a_id": a, "model_b_id": b, **_period(start, end, mints)}
    return Call("POST", "/api/models/compare", _one(Order), body)


def models(query: Mapping[str, Any]) -> Call[Page[Model]]:
    return Call("GET", "/api/models", _page(Model, "models"), query=query)


def model(model_id: int) -> Call[Model]:
    return Call("GET", f"/api/models/{model_id}", _one(Model))


def update_model(model_id: int, changes: Mapping[str, Any]) -> Call[Model]:
    given = {name: value for name, value in changes.items() if value is not None}
    return Call("PATCH", f"/api/models/{model_id}", _one(Model), given)


def delete_model(model_id: int) -> Call[None]:
    return Call("DELETE", f"/api/models/{model_id}", lambda _response: None)


def download(model_id: int) -> Call[bytes]:
    return Call("GET", f"/api/models/{model_id}/download", lambda response: response.content)


def test_results(query: Mapping[str, Any]) -> Call[Page[TestResult]]:
    return Call("GET", "/api/test-results", _page(TestResult, "test_results"), query=query)


def test_result(test_id: int) -> Call[TestResult]:
    return Call("GET", f"/api/test-results/{test_id}", _one(TestResult))


def comparisons(query: Mapping[str, Any]) -> Call[Page[Comparison]]:
    return Call("GET", "/api/comparisons", _page(Comparison, "comparisons"), query=query)


def comparison(comparison_id: int) -> Call[Comparison]:
    return Call("GET", f"/api/comparisons/{comparison_id}", _one(Comparison))


def jobs(query: Mapping[str, Any]) -> Call[Page[Job]]:
    return Call("GET", "/api/jobs", _page(Job, "jobs"), query=query)


def job(number: int) -> Call[Job]:
    return Call("GET", f"/api/jobs/{number}", _one(Job))


def order(job_type: str, request: Mapping[str, Any], priority: int | None, request_id: str | None) -> Call[Order]:
    given = {"priority": priority, "request_id": request_id}
    body = {"type": job_type, "request": request, **{name: value for name, value in given.items() if value is not None}}
    return Call("POST", "/api/jobs", _one(Order), body)


class FileDownload:
    """A job's file on its way to the disk; it appears there whole or not at all."""

    def __init__(self, number: int, target: Path) -> None:
        self.path = f"/api/jobs/{number}/file"
        self._target = target
        self._part = target.with_name(f"{target.name}.part")
        self._digest = hashlib.sha256()
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        self._file = self._part.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
        self._part.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Take what has come."""
        self._digest.update(data)
        if self._file is not None:
            self._file.write(data)

    def finish(self, response: httpx.Response) -> Path:
        """Put the file in its place.

        Raises
        ------
        ServiceError
            If its SHA-256 is not the one that the service states.
        """
        if response.headers.get("etag", "").strip('"') != self._digest.hexdigest():
            raise ServiceError("client.file_differs", url=response.url)
        if self._file is not None:
            self._file.close()
        self._part.replace(self._target)
        return self._target


def job_log(number: int, query: Mapping[str, Any]) -> Call[list[JobLine]]:
    def read(response: httpx.Response) -> list[JobLine]:
        return [JobLine.model_validate(row) for row in response.json()["lines"]]

    return Call("GET", f"/api/jobs/{number}/log", read, query=query)


def cancel(number: int) -> Call[Job]:
    return Call("POST", f"/api/jobs/{number}/cancel", _one(Job))


def retry(number: int) -> Call[Job]:
    return Call("POST", f"/api/jobs/{number}/retry", _one(Job))


def predictions(query: Mapping[str, Any], since: Moment | None) -> Call[list[Prediction]]:
    given = {**query, "since": None if since is None else _iso(since)}
    return Call("GET", "/api/predictions", _predictions, query=given)


def prediction(prediction_id: int) -> Call[Prediction]:
    return Call("GET", f"/api/predictions/{prediction_id}", _one(Prediction))


def latest_predictions(coin_id: str) -> Call[list[Prediction]]:
    return Call("GET", f"/api/predictions/latest/{quote(coin_id, safe='')}", _predictions)


def predict(
    coin_id: str, model_ids: Sequence[int] | None, at: Moment | None, market: str | None
) -> Call[RowPredictions]:
    body = {"coin_id": coin_id, "model_ids": model_ids, "timestamp": None if at is None else _iso(at)}
    given = {name: value for name, value in body.items() if value is not None}
    return Call("POST", "/api/predict", _one(RowPredictions), given, query={"market": market})


def performance(model_id: int, query: Mapping[str, Any], since: Moment | None) -> Call[Performance]:
    given = {**query, "since": None if since is None else _iso(since)}
    return Call("GET", f"/api/models/{model_id}/performance", _one(Performance), query=given)


def phases() -> Call[list[Phase]]:
    return Call("GET", "/api/phases", lambda response: [Phase.model_validate(row) for row in response.json()])


def data_availability(market: str | None) -> Call[Availability]:
    return Call("GET", "/api/data-availability", _one(Availability), query={"market": market})


def health() -> Call[Health]:
    return Call("GET", "/api/health", _one(Health), good=frozenset({503}))


def _one(kind: type[Record]) -> Callable[[httpx.Response], Record]:
    return lambda response: kind.model_validate(response.json())


def _predictions(response: httpx.Response) -> list[Prediction]:
    return [Prediction.model_validate(row) for row in response.json()["predictions"]]


def _page(kind: type[Record], name: str) -> Callable[[httpx.Response], Page[Record]]:
    def read(response: httpx.Response) -> Page[Record]:
        document = response.json()
        items = [kind.model_validate(row) for row in document[name]]
        return Page(items, document["total"], document["limit"], document["offset"])

    return read


def _period(start: Moment, end: Moment, mints: list[str] | None) -> dict[str, Any]:
    body: dict[str, Any] = {"test_start": _iso(start), "test_end": _iso(end)}
    return body if mints is None else {**body, "mints": mints}


def _iso(moment: Moment) -> str:
    return moment if isinstance(moment, str) else moment.isoformat()


def refusal(response: httpx.Response) -> RequestRefusedError:
    """Return our error for an error answer that was read."""
    try:
        error = response.json()["error"]
        text, details = error["message"], error.get("details") or ()
        return RequestRefusedError(
            _message_of(details, text),
            text=text,
            status=response.status_code,
            code=error["code"],
            details=[entry for entry in details if entry.get("field")],
            request_id=error.get("request_id") or "",
        )
    except (ValueError, KeyError, TypeError):
        reason = f"{response.status_code} {response.reason_phrase}".strip()
        message = Message("client.error_answer", url=response.url, reason=reason)
        return RequestRefusedError(message, text=str(message), status=response.status_code)


def _message_of(details: Sequence[Mapping[str, Any]], text: str) -> Message:
    """Return code and parameters of the whole error, which stand in the entry that names no field."""
    whole = next((entry for entry in details if not entry.get("field") and "code" in entry), None)
    return Message.from_json(whole) if whole else Message("client.service_message", text=text)


def _short(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the answer'}: {first['msg']}"
    return f"{type(error).__name__} {error}"[:200]
