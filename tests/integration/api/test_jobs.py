"""Jobs of any kind are ordered by one call, and the files they write are downloaded."""

import hashlib
from dataclasses import replace

import pytest
from psycopg.types.json import Jsonb
from pydantic import BaseModel

from integration.api.api_service import PERIOD, SPEC, Service, error_of
from integration.storage.coins import run
from kurswerk.jobs import JobKind, JobKinds, JobResult, JobService, no_progress
from kurswerk.storage.jobs import PostgresJobStore
from kurswerk.storage.server import Database

EXPORT = {"features": ["price_close"], "start": "2024-01-01T01:00:00Z", "end": "2024-01-01T02:00:00Z"}


@pytest.fixture
def service(database: Database, tmp_path):
    pooled = Database(database.url, pool_size=8)
    service = Service(pooled, tmp_path)
    service.fill_market()
    yield service
    pooled.close()


def finished(service, job_id):
    """Carry a job out as a worker does."""
    begun = "status = 'RUNNING', attempt = 1, worker_id = 'w', started_at = now(), heartbeat_at = now()"
    run(service.database, f"UPDATE ml_jobs SET {begun} WHERE id = {job_id}")
    jobs = service.ports.jobs
    jobs.run(jobs.store.get(job_id), no_progress)
    return jobs.store.get(job_id)


def set_result(service, job_id, **changes):
    result = {**service.ports.jobs.store.get(job_id).result, **changes}
    with service.database.connection() as connection:
        connection.execute("UPDATE ml_jobs SET result = %s WHERE id = %s", [Jsonb(result), job_id])


@pytest.mark.parametrize("path", ["/api/jobs", "/api/queue"])
def test_a_job_of_every_kind_is_ordered_as_by_its_own_call(client, service, path):
    a, b = service.ready_model("a"), service.ready_model("b")
    pairs = {
        "TRAIN": ("/api/models/create", SPEC, SPEC),
        "TEST": (f"/api/models/{a}/test", PERIOD, PERIOD | {"model_id": a}),
        "COMPARE": ("/api/models/compare", *[PERIOD | {"model_a_id": a, "model_b_id": b}] * 2),
        "CERTIFY": (f"/api/models/{b}/certify", None, {"model_id": b}),
    }
    for kind, (own, body, request) in pairs.items():
        first = client.post(own, json=body, params={"priority": 7}).json()["job_id"]
        client.post(f"/api/jobs/{first}/cancel")  # gives the name of a training back
        answer = client.post(path, json={"type": kind, "request": request, "priority": 7})
        assert answer.status_code == 201, answer.text
        assert answer.json()["message"] == f"{kind} is queued"
        one, other = (client.get(place).json() for place in (f"/api/jobs/{first}", answer.headers["location"]))
        same = ("job_type", "priority", "request")
        assert {name: one[name] for name in same} == {name: other[name] for name in same}
    export = client.post(path, json={"type": "FEATURES", "request": EXPORT})
    assert client.get(export.headers["location"]).json()["priority"] == 5


def test_the_job_remembers_who_ordered_it(client):
    order = {"type": "FEATURES", "request": EXPORT}
    for body, name in ((order, "of-the-call"), (order | {"request_id": "mine:1"}, "mine:1")):
        answer = client.post("/api/jobs", json=body, headers={"X-Request-ID": "of-the-call"})
        assert client.get(answer.headers["location"]).json()["request_id"] == name


def test_refusals_are_those_of_the_kinds_own_call(client, service):
    a = service.ready_model("a")
    trainings = [
        SPEC | change
        for change in ({"features": ["volume_so"]}, {"target_var": "nothing"}, {"mints": ["NOBODY"]}, {"name": "a"})
    ]
    tests = [(number, PERIOD | change) for number, change in ((99, {}), (a, {"mints": ["NOBODY"]}))]
    refused = [(client.post("/api/models/create", json=spec), {"type": "TRAIN", "request": spec}) for spec in trainings]
    refused += [
        (
            client.post(f"/api/models/{number}/test", json=body),
            {"type": "TEST", "request": {"model_id": number, **body}},
        )
        for number, body in tests
    ]
    seen = set()
    for own, order in refused:
        seen.add(own.status_code)
        error = error_of(client.post("/api/jobs", json=order), own.status_code, own.json()["error"]["code"])
        assert (error["message"], error["details"]) == tuple(
            own.json()["error"][name] for name in ("message", "details")
        )
    assert seen == {400, 404, 409, 422}
    assert client.get("/api/jobs").json()["total"] == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"type": "PAINT", "request": {}}, "body"),
        ({"type": "FEATURES"}, "body.FEATURES.request"),
        ({"type": "FEATURES", "request": {"start": "soon", "end": "2024-01-01"}}, "body.FEATURES.request.start"),
        ({"type": "FEATURES", "request": EXPORT | {"colour": 1}}, "body.FEATURES.request.colour"),
        ({"type": "FEATURES", "request": EXPORT, "priority": -1}, "body.FEATURES.priority"),
        ({"type": "FEATURES", "request": EXPORT, "request_id": "a b"}, "body.FEATURES.request_id"),
        ({"type": "FEATURES", "request": EXPORT, "colour": 1}, "body.FEATURES.colour"),
    ],
)
def test_wrong_fields_are_named(client, body, field):
    error = error_of(client.post("/api/jobs", json=body), 422, "invalid_fields")
    assert field in [entry["field"] for entry in error["details"]]
    assert client.get("/api/jobs").json()["total"] == 0


def test_a_kind_that_is_registered_is_ordered_and_described(service):
    class Painting(BaseModel):
        colour: str

    class Painted(BaseModel):
        colour: str

    jobs = service.ports.jobs
    paint = JobKind(
        name="PAINT",
        title="Painting {colour}",
        request=Painting,
        check=lambda request: request,
        run=lambda _job, request, _progress: lambda: JobResult(Painted(colour=request.colour)),
        result=Painted,
    )
    kinds = JobKinds(*jobs.kinds, paint)
    ports = replace(service.ports, jobs=JobService(kinds, PostgresJobStore(service.database, kinds)))
    with service.client(ports) as client:
        order = client.post("/api/jobs", json={"type": "PAINT", "request": {"colour": "red"}})
        assert client.get(order.headers["location"]).json()["request"] == {"colour": "red"}
        document = client.get("/openapi.json").json()
        error_of(client.get(f"/api/jobs/{order.json()['job_id']}/file"), 404, "not_found")
    body = document["paths"]["/api/jobs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["discriminator"]["mapping"]) == {
        "TRAIN",
        "TEST",
        "COMPARE",
        "CERTIFY",
        "FEATURES",
        "BACKTEST",
        "PAINT",
    }
    assert "Painting" in document["components"]["schemas"]


@pytest.fixture
def exported(client, service):
    """An export that is completed: its job and the bytes on the disk."""
    number = client.post("/api/jobs", json={"type": "FEATURES", "request": EXPORT}).json()["job_id"]
    error_of(client.get(f"/api/jobs/{number}/file"), 409, "conflict")
    job = finished(service, number)
    return number, (service.data_dir / job.result["path"]).read_bytes()


def test_a_file_is_downloaded_whole_in_part_or_not_again(client, exported):
    number, data = exported
    url = f"/api/jobs/{number}/file"
    assert client.get(f"/api/queue/{number}/file").content == data
    whole = client.get(url)
    etag = f'"{hashlib.sha256(data).hexdigest()}"'
    assert (whole.status_code, whole.content, whole.headers["etag"]) == (200, data, etag)
    assert whole.headers["content-disposition"] == f'attachment; filename="features-{number}.parquet"'
    assert whole.headers["x-sha256"] == client.get(f"/api/jobs/{number}").json()["result"]["sha256"]
    part = client.get(url, headers={"Range": "bytes=4-99"})
    assert (part.status_code, part.content) == (206, data[4:100])
    assert client.get(url, headers={"Range": f"bytes={len(data)}-"}).status_code == 416
    other = client.get(url, headers={"Range": "bytes=4-99", "If-Range": '"another"'})
    assert (other.status_code, other.content) == (200, data)
    same = client.get(url, headers={"If-None-Match": etag})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)


def test_jobs_without_a_file_are_refused(client, service):
    model = service.ready_model("a")
    number = client.post(f"/api/models/{model}/certify").json()["job_id"]
    assert "writes no file" in error_of(client.get(f"/api/jobs/{number}/file"), 404, "not_found")["message"]
    error_of(client.get("/api/jobs/999/file"), 404, "not_found")


def test_nothing_outside_the_folder_is_sent_whatever_is_stored(client, service, exported):
    number, _ = exported
    (service.data_dir / "secret").write_text("secret")
    (service.data_dir / "exports" / "features" / "link").symlink_to(service.data_dir / "secret")
    for path in ("secret", "../secret", "exports/../secret", "exports/features/link", "/etc/passwd", "", "exports"):
        set_result(service, number, path=path, bytes=6)
        error_of(client.get(f"/api/jobs/{number}/file"), 404, "not_found")


def test_a_file_that_is_gone_or_another_one_is_not_sent(client, service, exported):
    number, data = exported
    path = service.data_dir / service.ports.jobs.store.get(number).result["path"]
    path.write_bytes(data + b"more")
    error_of(client.get(f"/api/jobs/{number}/file"), 409, "conflict")
    path.unlink()
    error_of(client.get(f"/api/jobs/{number}/file"), 404, "not_found")
