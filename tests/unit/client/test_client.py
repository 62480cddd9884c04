"""Both clients: what they send, what they make of answers, and when they try again."""

import asyncio
import hashlib
import inspect
import io
import json
from datetime import UTC, datetime

import httpx
import pytest

from kurswerk.client import AsyncClient, Client, Job, ProgressLine, silent
from kurswerk.client import _calls as calls
from kurswerk.core.errors import JobFailedError, RequestRefusedError, ServiceError, ServiceUnavailableError

JOB = {"id": 7, "job_type": "TRAIN", "status": "RUNNING", "progress": 0.5, "progress_msg": "fold 3 of 5"}
LINE = {"id": 9, "created_at": "2024-01-01T00:00:00Z", "attempt": 1, "level": "info", "message": "fold 3 of 5"}
MODEL = {
    "id": 1,
    "name": "a",
    "model_type": "xgboost",
    "status": "READY",
    "train_start": "2024-01-01T00:00:00Z",
    "train_end": "2024-02-01T00:00:00Z",
    "a_field_of_a_newer_service": 5,
}
TEST = {"id": 3, "model_id": 1, "test_start": "2024-02-01", "test_end": "2024-03-01", "num_samples": 10}
COMPARISON = {**TEST, "id": 4, "model_a_id": 1, "model_b_id": 2, "winner_id": None}
STORED = {
    "id": 5, "coin_id": "A/B", "timestamp": "2024-01-01T00:00:00Z", "created_at": "2024-01-01T00:00:01Z",
    "model_id": 1, "model_name": "a", "prediction": 1, "probability": 0.75, "in_scope": False,
}  # fmt: skip
ON_DEMAND = {
    "coin_id": "A",
    "timestamp": "2024-01-01T00:00:00Z",
    "predictions": [{"model_id": 1, "model_name": "a", "prediction": 1, "probability": 0.75, "in_scope": False}],
}
ORDER = {"job_id": 7, "message": "queued", "status": "PENDING"}
PAGE = {"total": 1, "limit": 100, "offset": 0}
ERROR = {"error": {"code": "conflict", "message": "name taken", "details": [{"field": "name"}], "request_id": "r-1"}}

MEASURED = {"model_id": 7, "threshold": 0.5, "known": 4, "positive": 2, "predicted_positive": 1, "true_positive": 1}
# method of the client → (arguments, what must be sent, answer)
CALLS = {
    "train": (({"name": "a"},), ("POST", "/api/models/create", {"name": "a"}), ORDER),
    "test": (
        (1, "2024-02-01", datetime(2024, 3, 1, tzinfo=UTC)),
        ("POST", "/api/models/1/test", {"test_start": "2024-02-01", "test_end": "2024-03-01T00:00:00+00:00"}),
        ORDER,
    ),
    "compare": (
        (1, 2, "2024-02-01", "2024-03-01"),
        (
            "POST",
            "/api/models/compare",
            {"model_a_id": 1, "model_b_id": 2, "test_start": "2024-02-01", "test_end": "2024-03-01"},
        ),
        ORDER,
    ),
    "order": (
        ("FEATURES", {"features": ["*"]}),
        ("POST", "/api/jobs", {"type": "FEATURES", "request": {"features": ["*"]}}),
        ORDER,
    ),
    "models": ((), ("GET", "/api/models", None), {"models": [MODEL], **PAGE}),
    "model": ((1,), ("GET", "/api/models/1", None), MODEL),
    "update_model": ((1,), ("PATCH", "/api/models/1", {}), MODEL),
    "delete_model": ((1,), ("DELETE", "/api/models/1", None), {}),
    "download": ((1,), ("GET", "/api/models/1/download", None), {}),
    "test_results": ((), ("GET", "/api/test-results", None), {"test_results": [TEST], **PAGE}),
    "test_result": ((3,), ("GET", "/api/test-results/3", None), TEST),
    "comparisons": ((), ("GET", "/api/comparisons", None), {"comparisons": [COMPARISON], **PAGE}),
    "comparison": ((4,), ("GET", "/api/comparisons/4", None), COMPARISON),
    "jobs": ((), ("GET", "/api/jobs", None), {"jobs": [JOB], **PAGE}),
    "job": ((7,), ("GET", "/api/jobs/7", None), JOB),
    "job_log": ((7,), ("GET", "/api/jobs/7/log", None), {"lines": [LINE], "next_after": 9}),
    "cancel": ((7,), ("POST", "/api/jobs/7/cancel", None), {**JOB, "status": "CANCELLED"}),
    "retry": ((7,), ("POST", "/api/jobs/7/retry", None), {**JOB, "status": "PENDING"}),
    "predictions": ((), ("GET", "/api/predictions", None), {"predictions": [STORED], "limit": 100, "offset": 0}),
    "prediction": ((5,), ("GET", "/api/predictions/5", None), STORED),
    "performance": ((7,), ("GET", "/api/models/7/performance", None), MEASURED),
    "latest_predictions": (("A/B",), ("GET", "/api/predictions/latest/A/B", None), {"predictions": [STORED]}),
    "predict": (("A",), ("POST", "/api/predict", {"coin_id": "A"}), ON_DEMAND),
    "phases": (
        (),
        ("GET", "/api/phases", None),
        [{"id": 1, "name": "Baby Zone", "interval_seconds": 5}],
    ),
    "data_availability": ((), ("GET", "/api/data-availability", None), {"rows": 5, "coins": 2}),
    "health": (
        (),
        ("GET", "/api/health", None),
        {"status": "healthy", "uptime_seconds": 1.5, "db_connected": True, "checks": {}},
    ),
}


class Awaited:
    """The asynchronous client as an ordinary one."""

    def __init__(self, **options) -> None:
        self._client = AsyncClient(**options)

    def __getattr__(self, name):
        method = getattr(self._client, name)
        return lambda *words, **named: asyncio.run(method(*words, **named))


@pytest.fixture(params=[Client, Awaited], ids=["Client", "AsyncClient"])
def connect(request, monkeypatch):
    """Connect a client to a function that answers; no pause takes time."""
    monkeypatch.setattr(calls, "_FIRST_PAUSE_S", 0.0)

    def connect(answer, **options):
        return request.param(transport=httpx.MockTransport(answer), **options)

    return connect


def always(status: int, document: object, seen: list | None = None):
    def answer(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        return httpx.Response(status, json=document)

    return answer


@pytest.mark.parametrize("name", CALLS)
def test_every_method_sends_one_request_and_reads_its_answer(connect, name):
    arguments, (method, path, body), document = CALLS[name]
    seen: list[httpx.Request] = []
    result = getattr(connect(always(200, document, seen), api_key="kw_key"), name)(*arguments)
    (request,) = seen
    assert (request.method, request.url.path) == (method, path)
    assert (json.loads(request.content) if request.content else None) == body
    assert request.headers["X-API-Key"] == "kw_key"
    if isinstance(document, dict) and "total" in document:
        assert (len(result), result.total) == (1, 1)
        assert [item.id for item in result] == [next(iter(document.values()))[0]["id"]]


def test_every_method_is_tried_above_and_both_clients_have_the_same():
    public = {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")}
    assert public == set(CALLS) | {"wait", "close", "download_job_file"}
    for name in public:
        assert str(inspect.signature(getattr(Client, name))) == str(inspect.signature(getattr(AsyncClient, name)))


def test_only_what_is_given_becomes_a_query_or_a_change(connect):
    seen: list[httpx.Request] = []
    connect(always(200, {"models": [], **PAGE}, seen)).models(status="READY", limit=5)
    connect(always(200, MODEL, seen)).update_model(1, alert_threshold=0.8)
    connect(always(200, ORDER, seen)).test(1, "2024-01-01", "2024-02-01", mints=["A"])
    (line,) = connect(always(200, {"lines": [LINE], "next_after": 9}, seen)).job_log(7, after=8)
    assert (line.id, line.created_at, line.message) == (9, datetime(2024, 1, 1, tzinfo=UTC), "fold 3 of 5")
    assert dict(seen[3].url.params) == {"after": "8"}
    assert dict(seen[0].url.params) == {"status": "READY", "limit": "5"}
    assert json.loads(seen[1].content) == {"alert_threshold": 0.8}
    assert json.loads(seen[2].content)["mints"] == ["A"]


def test_predictions_are_asked_for_by_scope_and_show_it(connect):
    seen: list[httpx.Request] = []
    page = {"predictions": [STORED], "limit": 100, "offset": 0}
    (row,) = connect(always(200, page, seen)).predictions(
        coin_id="A", in_scope=False, since=datetime(2024, 1, 1, tzinfo=UTC)
    )
    assert (row.in_scope, row.created_at) == (False, datetime(2024, 1, 1, 0, 0, 1, tzinfo=UTC))
    assert dict(seen[0].url.params) == {"coin_id": "A", "in_scope": "false", "since": "2024-01-01T00:00:00+00:00"}
    assert connect(always(200, page, seen)).latest_predictions("A/B") == [row]
    assert seen[1].url.raw_path == b"/api/predictions/latest/A%2FB"
    found = connect(always(200, ON_DEMAND, seen)).predict("A", model_ids=[1], at="2024-01-01")
    assert [one.in_scope for one in found.predictions] == [False]
    assert json.loads(seen[2].content) == {"coin_id": "A", "model_ids": [1], "timestamp": "2024-01-01"}


def test_a_market_is_asked_for_by_name(connect):
    seen: list[httpx.Request] = []
    connect(always(200, ON_DEMAND, seen)).predict("A", market="candles")
    connect(always(200, {"rows": 5, "coins": 2}, seen)).data_availability("candles")
    (model,) = connect(always(200, {"models": [{**MODEL, "market": "candles"}], **PAGE}, seen)).models(market="candles")
    assert [dict(request.url.params) for request in seen] == [{"market": "candles"}] * 3
    assert model.market == "candles"


def test_fields_of_a_newer_service_are_kept(connect):
    model = connect(always(200, MODEL)).model(1)
    assert model.a_field_of_a_newer_service == 5
    assert model.train_start == datetime(2024, 1, 1, tzinfo=UTC)


def test_a_refusal_carries_all_that_the_service_answered(connect):
    with pytest.raises(RequestRefusedError, match="name taken") as caught:
        connect(always(409, ERROR)).train({"name": "a"})
    error = caught.value
    assert (error.status, error.code, error.request_id) == (409, "conflict", "r-1")
    assert error.details == ({"field": "name"},)


@pytest.mark.parametrize("document", ["<html>", {"error": "plain"}, []])
def test_an_error_of_something_else_on_the_way_is_raised_too(connect, document):
    with pytest.raises(RequestRefusedError, match="404 Not Found"):
        connect(always(404, document)).model(1)


@pytest.mark.parametrize("document", [{"name": "a"}, [], "text"])
def test_an_answer_of_something_else_is_no_record(connect, document):
    with pytest.raises(ServiceError, match="does not answer as a Kurswerk service does"):
        connect(always(200, document)).model(1)


@pytest.mark.parametrize("failure", [429, 502, 503, 504, "no answer"])
def test_reading_is_tried_again_and_changing_is_not(connect, failure):
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if len(seen) == 3:
            return httpx.Response(200, json=JOB)
        if failure == "no answer":
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(failure, json=ERROR)

    assert connect(answer).job(7).progress == 0.5
    assert len(seen) == 3
    seen.clear()
    with pytest.raises(ServiceError):
        connect(answer).train({"name": "a"})
    assert len(seen) == 1


def test_at_last_the_error_is_raised(connect):
    seen: list[httpx.Request] = []
    with pytest.raises(RequestRefusedError):
        connect(always(503, ERROR, seen), tries=4).job(7)
    assert len(seen) == 4

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(ServiceUnavailableError, match=r"no answer from http://127.0.0.1:8000.*kurswerk serve"):
        connect(refuse, tries=1).job(7)


def test_a_jobs_file_comes_to_the_disk_whole_or_not_at_all(connect, tmp_path):
    data = bytes(range(256)) * 1000
    sha256 = hashlib.sha256(data).hexdigest()
    target = tmp_path / "a.parquet"

    def answer(request):
        assert request.url.path == "/api/jobs/7/file"
        return httpx.Response(200, content=data, headers={"ETag": f'"{sha256}"'})

    assert connect(answer).download_job_file(Job.model_validate(JOB), target) == target
    assert target.read_bytes() == data
    with pytest.raises(ServiceError, match="is not the one that the job wrote"):
        connect(lambda _: httpx.Response(200, content=b"half", headers={"ETag": f'"{sha256}"'})).download_job_file(
            7, str(target)
        )
    with pytest.raises(RequestRefusedError) as refused:
        connect(always(409, ERROR)).download_job_file(7, target)
    assert (refused.value.status, refused.value.code) == (409, "conflict")

    def unreachable(request):
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(ServiceUnavailableError):
        connect(unreachable).download_job_file(7, target)
    assert target.read_bytes() == data
    assert list(tmp_path.iterdir()) == [target]


def test_an_order_takes_priority_and_request_id(connect):
    seen: list[httpx.Request] = []
    connect(always(201, ORDER, seen)).order("TEST", {"model_id": 1}, priority=9, request_id="r")
    assert json.loads(seen[0].content) == {
        "type": "TEST",
        "request": {"model_id": 1},
        "priority": 9,
        "request_id": "r",
    }


def test_a_report_on_a_service_that_cannot_serve_is_an_answer(connect):
    seen: list[httpx.Request] = []
    document = {"status": "unhealthy", "uptime_seconds": 1.0, "db_connected": False}
    assert connect(always(503, document, seen)).health().status == "unhealthy"
    assert len(seen) == 1


def jobs_that_go_on(*states: dict):
    """Answer with one state after another."""
    left = list(states)
    return lambda request: httpx.Response(200, json={**JOB, **(left.pop(0) if len(left) > 1 else left[0])})


def test_waiting_reports_progress_and_returns_the_job(connect):
    states = ({"progress": 0.1}, {"progress": 0.6}, {"status": "COMPLETED", "progress": 1.0, "result_model_id": 5})
    reported: list[Job] = []
    job = connect(jobs_that_go_on(*states)).wait(7, on_progress=reported.append)
    assert (job.status, job.result_model_id) == ("COMPLETED", 5)
    assert [found.progress for found in reported] == [0.1, 0.6, 1.0]


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED"])
def test_waiting_for_a_job_that_comes_to_nothing_names_the_reason(connect, status):
    client = connect(jobs_that_go_on({"status": status, "error_msg": "no data"}))
    with pytest.raises(JobFailedError, match=f"job 7 is {status}: no data") as caught:
        client.wait(7, on_progress=silent)
    assert (caught.value.job_id, caught.value.status) == (7, status)


def test_waiting_has_an_end_if_one_is_set(connect):
    with pytest.raises(TimeoutError, match=r"job 7 is RUNNING after 0\.1 s"):
        connect(always(200, JOB)).wait(7, timeout_s=0.1)


def test_a_job_goes_by_its_number_its_order_or_itself(connect):
    client = connect(always(200, {**JOB, **ORDER}))
    assert calls.job_number(client.job(7)) == calls.job_number(client.train({})) == calls.job_number(7) == 7


def test_progress_is_one_line_on_a_terminal_and_nothing_elsewhere(monkeypatch):
    stream = io.StringIO()
    show = ProgressLine(stream)
    show(Job(**JOB))
    assert stream.getvalue() == ""
    monkeypatch.setattr(stream, "isatty", lambda: True)
    show(Job(**JOB))
    show(Job(**JOB))
    show(Job(**{**JOB, "status": "COMPLETED", "progress": 1.0, "progress_msg": None}))
    first, second = stream.getvalue().removeprefix("\r").split("\r")
    assert first == "job 7 running  50%  fold 3 of 5"
    assert second.startswith("job 7 completed 100%")
    assert second.endswith(" \n")
