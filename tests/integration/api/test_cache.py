"""Cached responses are valid, or are not served."""

import time
from dataclasses import replace

import psycopg
import pytest

from integration.api.api_service import Service
from integration.storage.coins import run


class Counting:
    """A catalog that counts how often it is asked for models."""

    def __init__(self, catalog):
        self._catalog = catalog
        self.asked = 0

    def models(self, page, filters):
        self.asked += 1
        return self._catalog.models(page, filters)

    def __getattr__(self, name):
        return getattr(self._catalog, name)


@pytest.fixture
def counted(service: Service):
    catalog = Counting(service.ports.catalog)
    service.ports = replace(service.ports, catalog=catalog)
    return catalog


@pytest.fixture
def client(service: Service, counted):
    with service.client() as client:
        yield client


def names(client):
    return [model["name"] for model in client.get("/api/models").json()["models"]]


def eventually(found, wanted, seconds=60.0):
    deadline = time.monotonic() + seconds
    while found() != wanted and time.monotonic() < deadline:
        time.sleep(0.01)
    assert found() == wanted


def test_the_same_question_is_answered_once(client, counted):
    client.get("/api/models")
    before = counted.asked
    assert len({client.get("/api/models").content for _ in range(5)}) == 1
    assert counted.asked == before
    client.get("/api/models?limit=5")
    assert counted.asked == before + 1
    client.get("/api/models?limit=5&offset=0")
    assert counted.asked == before + 2


def test_what_another_process_changes_is_seen(client, service, counted):
    number = service.ready_model("from elsewhere")
    eventually(lambda: names(client), ["from elsewhere"])
    run(service.database, f"UPDATE ml_models SET name = 'renamed' WHERE id = {number}")
    eventually(lambda: names(client), ["renamed"])
    run(service.database, f"DELETE FROM ml_models WHERE id = {number}")
    eventually(lambda: names(client), [])


def test_own_changes_are_seen_at_once(client, service, counted):
    number = service.ready_model("before")
    for step in range(20):
        client.patch(f"/api/models/{number}", json={"name": f"name {step}"})
        assert names(client) == [f"name {step}"]


def test_a_change_of_another_table_costs_nothing(service, counted):
    model = service.ready_model("a")
    with service.client() as client:
        client.get("/api/models")
        before = counted.asked
        service.jobs.order("TEST", {"model_id": model})
        eventually(lambda: client.get("/api/jobs").json()["total"], 1)
        client.get("/api/models")
        assert counted.asked == before


def test_nothing_is_kept_while_changes_are_not_notified(client, service, counted):
    client.get("/api/models")
    service.changes.open.clear()
    with psycopg.connect(service.database.url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kurswerk changes'"
            " AND datname = current_database()"
        )
    service.ready_model("unheard")
    eventually(lambda: names(client), ["unheard"])
    before = counted.asked
    client.get("/api/models")
    assert counted.asked == before + 1
    service.changes.listening.clear()
    service.changes.open.set()
    assert service.changes.listening.wait(60)
    client.get("/api/models")
    before = counted.asked
    client.get("/api/models")
    assert counted.asked == before


def test_an_unchanged_answer_is_not_sent_again(client, service):
    first = client.get("/api/models")
    tag = first.headers["etag"]
    for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = client.get("/api/models", headers={"If-None-Match": given})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert "x-request-id" in again.headers
    assert client.get("/api/models", headers={"If-None-Match": '"other"'}).status_code == 200
    service.ready_model("new")
    eventually(lambda: client.get("/api/models", headers={"If-None-Match": tag}).status_code, 200)


def test_errors_are_never_kept(client, service):
    assert client.get("/api/models/1").status_code == 404
    number = service.ready_model("now")
    eventually(lambda: client.get(f"/api/models/{number}").status_code, 200)


def test_a_log_is_read_anew_once_a_worker_has_written_a_line(client, service):
    number = service.jobs.order("TEST", {})
    eventually(lambda: client.get(f"/api/jobs/{number}").status_code, 200)

    def messages():
        return [line["message"] for line in client.get(f"/api/jobs/{number}/log").json()["lines"]]

    assert messages() == messages() == []
    service.jobs.cancel(number)
    eventually(messages, ["cancelled before it was finished"])
