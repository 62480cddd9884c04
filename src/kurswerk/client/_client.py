"""The client for ordinary programs."""

import time
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from kurswerk.client import _calls as calls
from kurswerk.client._calls import API_KEY_HEADER, Call, Moment
from kurswerk.client._progress import ProgressLine
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

Answer = TypeVar("Answer")
DEFAULT_URL = "http://127.0.0.1:8000"
FIRST_POLL_S, SLOWEST_POLL_S = 0.2, 2.0


class Client:
    """Talks to a Kurswerk service.

    Every method raises `kurswerk.core.errors.RequestRefusedError` where the service refuses, with its status, code,
    message and request id, and `kurswerk.core.errors.ServiceUnavailableError` where it does not answer.

    Parameters
    ----------
    url
        Where the service listens, as ``kurswerk serve`` prints it.
    api_key
        Needed where the service requires keys.
    timeout_s
        For one answer.
    tries
        How often something is read at most if there is no answer or the service is unavailable; what changes
        something is never sent twice.
    transport
        Another way to the service, for tests.

    Examples
    --------
    >>> def answer(request):
    ...     return httpx.Response(200, json={"rows": 12, "coins": 2})
    >>> with Client(transport=httpx.MockTransport(answer)) as client:
    ...     client.data_availability().coins
    2
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout_s: float = 30.0,
        tries: int = 6,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {API_KEY_HEADER: api_key} if api_key else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout_s, transport=transport)
        self._tries = tries

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def train(self, spec: Mapping[str, Any]) -> Order:
        """Order a training; ``spec`` is what ``kurswerk train`` reads from a file."""
        return self._send(calls.train(spec))

    def test(self, model_id: int, start: Moment, end: Moment, *, mints: list[str] | None = None) -> Order:
        """Order a test on a period, both ends inclusive; ``mints`` None is all coins."""
        return self._send(calls.test(model_id, start, end, mints))

    def compare(
        self, model_a_id: int, model_b_id: int, start: Moment, end: Moment, *, mints: list[str] | None = None
    ) -> Order:
        """Order a comparison of two models on identical rows."""
        return self._send(calls.compare(model_a_id, model_b_id, start, end, mints))

    def order(
        self,
        job_type: str,
        request: Mapping[str, Any],
        *,
        priority: int | None = None,
        request_id: str | None = None,
    ) -> Order:
        """Order a job of any kind, such as ``"FEATURES"``; its result is in `job` once it is completed."""
        return self._send(calls.order(job_type, request, priority, request_id))

    def wait(
        self,
        job: Job | Order | int,
        *,
        timeout_s: float | None = None,
        on_progress: Callable[[Job], None] | None = None,
    ) -> Job:
        """Wait until a job is completed and return it.

        Parameters
        ----------
        job
            A job, its id, or the order that made it.
        timeout_s
            For how long at most; None is without end.
        on_progress
            Called with the job at each poll; by default a line on a terminal shows it.

        Raises
        ------
        JobFailedError
            If the job failed or was cancelled.
        TimeoutError
            If it took too long; the job goes on.
        """
        show = on_progress or ProgressLine()
        number = calls.job_number(job)
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        pause = FIRST_POLL_S
        while not (found := self.job(number)).ended:
            show(found)
            if deadline is not None and time.monotonic() + pause > deadline:
                raise TimeoutError(f"job {number} is {found.status} after {timeout_s:g} s; it goes on")
            time.sleep(pause)
            pause = min(pause * 1.5, SLOWEST_POLL_S)
        show(found)
        if found.status != "COMPLETED":
            raise calls.failure_of(found)
        return found

    def models(
        self,
        *,
        status: str | None = None,
        model_type: str | None = None,
        market: str | None = None,
        name: str | None = None,
        sort: str | None = None,
        order: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Page[Model]:
        """Return models, newest first unless ``sort`` and ``order`` (``asc`` or ``desc``) are given."""
        query = {"status": status, "model_type": model_type, "market": market, "name": name}
        return self._send(calls.models({**query, "sort": sort, "order": order, "limit": limit, "offset": offset}))

    def model(self, model_id: int) -> Model:
        """Return a model with everything that is known of it."""
        return self._send(calls.model(model_id))

    def update_model(
        self,
        model_id: int,
        *,
        name: str | None = None,
        description: str | None = None,
        alert_threshold: float | None = None,
    ) -> Model:
        """Change what may be changed of a model, and return it."""
        changes = {"name": name, "description": description, "alert_threshold": alert_threshold}
        return self._send(calls.update_model(model_id, changes))

    def delete_model(self, model_id: int) -> None:
        """Mark a model deleted; its name is free again."""
        self._send(calls.delete_model(model_id))

    def download(self, model_id: int) -> bytes:
        """Return a model's ONNX file."""
        return self._send(calls.download(model_id))

    def test_results(
        self, *, model_id: int | None = None, limit: int | None = None, offset: int | None = None
    ) -> Page[TestResult]:
        """Return test results, newest first."""
        return self._send(calls.test_results({"model_id": model_id, "limit": limit, "offset": offset}))

    def test_result(self, test_id: int) -> TestResult:
        """Return one test result."""
        return self._send(calls.test_result(test_id))

    def comparisons(
        self, *, model_id: int | None = None, limit: int | None = None, offset: int | None = None
    ) -> Page[Comparison]:
        """Return comparisons, newest first."""
        return self._send(calls.comparisons({"model_id": model_id, "limit": limit, "offset": offset}))

    def comparison(self, comparison_id: int) -> Comparison:
        """Return one comparison."""
        return self._send(calls.comparison(comparison_id))

    def jobs(
        self,
        *,
        status: str | None = None,
        job_type: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Page[Job]:
        """Return jobs, newest first."""
        query = {"status": status, "job_type": job_type, "limit": limit, "offset": offset}
        return self._send(calls.jobs(query))

    def job(self, job: Job | Order | int) -> Job:
        """Return a job as it is now."""
        return self._send(calls.job(calls.job_number(job)))

    def job_log(self, job: Job | Order | int, *, after: int | None = None, limit: int | None = None) -> list[JobLine]:
        """Return the lines of a job's log after the one with an id, 100 of them by default."""
        return self._send(calls.job_log(calls.job_number(job), {"after": after, "limit": limit}))

    def download_job_file(self, job: Job | Order | int, target: str | PathLike[str]) -> Path:
        """Write the file that a completed job made, such as an export of features, and return its path.

        Raises
        ------
        ServiceError
            If what came is not what the job wrote; there is no file then.
        """
        download = calls.FileDownload(calls.job_number(job), Path(target))
        try:
            with self._http.stream("GET", download.path) as response:
                if response.is_error:
                    response.read()
                    raise calls.refusal(response)
                with download:
                    for data in response.iter_bytes():
                        download.write(data)
                    return download.finish(response)
        except httpx.TransportError as error:
            raise calls.unavailable(error, str(self._http.base_url)) from error

    def cancel(self, job: Job | Order | int) -> Job:
        """Cancel a job that waits or runs."""
        return self._send(calls.cancel(calls.job_number(job)))

    def retry(self, job: Job | Order | int) -> Job:
        """Let a job that failed or was cancelled begin again."""
        return self._send(calls.retry(calls.job_number(job)))

    def predictions(
        self,
        *,
        coin_id: str | None = None,
        model_id: int | None = None,
        min_probability: float | None = None,
        since: Moment | None = None,
        in_scope: bool | None = None,
        outcome: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[Prediction]:
        """Return stored predictions, newest first, those of one coin by the time of their rows.

        ``since`` is when they were stored; ``in_scope`` True leaves out rows that the model was not made for;
        ``outcome`` is ``positive``, ``negative``, ``unknown`` or, for those not judged yet, ``pending``.
        """
        query = {"coin_id": coin_id, "model_id": model_id, "min_probability": min_probability, "in_scope": in_scope}
        query["outcome"] = outcome
        return self._send(calls.predictions({**query, "limit": limit, "offset": offset}, since))

    def performance(
        self, model_id: int, *, threshold: float | None = None, since: Moment | None = None, limit: int | None = None
    ) -> Performance:
        """Measure a model's live predictions by what became of them; ``since`` is the moment of the first row."""
        return self._send(calls.performance(model_id, {"threshold": threshold, "limit": limit}, since))

    def prediction(self, prediction_id: int) -> Prediction:
        """Return one stored prediction."""
        return self._send(calls.prediction(prediction_id))

    def latest_predictions(self, coin_id: str) -> list[Prediction]:
        """Return all models' predictions of a coin's newest predicted row."""
        return self._send(calls.latest_predictions(coin_id))

    def predict(
        self,
        coin_id: str,
        *,
        model_ids: Sequence[int] | None = None,
        at: Moment | None = None,
        market: str | None = None,
    ) -> RowPredictions:
        """Predict from a coin's newest row, or its newest at a moment, without storing anything.

        ``model_ids`` None is all active models of the market, coins by default.
        """
        return self._send(calls.predict(coin_id, model_ids, at, market))

    def phases(self) -> list[Phase]:
        """Return the phases in a coin's life."""
        return self._send(calls.phases())

    def data_availability(self, market: str | None = None) -> Availability:
        """Return which data of a market there are; None is coins."""
        return self._send(calls.data_availability(market))

    def health(self) -> Health:
        """Return the health of the service, also when it cannot serve."""
        return self._send(calls.health())

    def _send(self, call: Call[Answer]) -> Answer:
        pauses = call.pauses(self._tries)
        while True:
            pause = next(pauses, None)
            try:
                response = self._http.request(**call.request())
            except httpx.TransportError as error:
                if pause is None:
                    raise calls.unavailable(error, str(self._http.base_url)) from error
            else:
                if pause is None or not call.may_be_tried_again(response):
                    return call.answered(response)
            time.sleep(pause)
