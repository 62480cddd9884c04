"""Health and metrics of a process without the API, behind a real server."""

import json

import httpx
import pytest

from kurswerk.core.messages import Message
from kurswerk.observability import Check, HealthEndpoint, HealthReport
from running_app import running


class Reports:
    """What a service reports; its database may be gone."""

    def __init__(self) -> None:
        self.status = "ok"

    def health(self) -> HealthReport:
        return HealthReport({"database": Check(self.status, Message("health.no_worker"))}, 60.0)


@pytest.fixture
def reports():
    return Reports()


def asked(reports, *calls, token=None, headers=None):
    endpoint = HealthEndpoint(reports.health, lambda: b"ml_errors_total 1\n", token)
    with running(endpoint, lifespan="off") as url:
        return [httpx.request(method, url + path, headers=headers) for method, path in calls]


def test_it_answers_as_the_api_does(reports):
    health, same, ready, metrics, head = asked(
        reports, ("GET", "/health"), ("GET", "/api/health"), ("GET", "/ready"), ("GET", "/metrics"), ("HEAD", "/health")
    )
    assert health.json() == same.json() == json.loads(json.dumps(reports.health().as_json()))
    assert (health.status_code, ready.json(), head.content) == (200, {"ready": True}, b"")
    assert metrics.text == "ml_errors_total 1\n"
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")


def test_a_service_that_cannot_serve_is_a_503(reports):
    reports.status = "failed"
    health, ready = asked(reports, ("GET", "/health"), ("GET", "/ready"))
    assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
    assert (ready.status_code, ready.json()) == (503, {"ready": False})


def test_nothing_else_is_there(reports):
    other, posted = asked(reports, ("GET", "/api/models"), ("POST", "/health"))
    assert (other.status_code, posted.status_code) == (404, 405)


@pytest.mark.parametrize(
    ("shown", "status"), [(None, 401), ("Bearer wrong", 401), ("Basic secret", 401), ("Bearer secret", 200)]
)
def test_metrics_may_need_a_token_and_health_does_not(reports, shown, status):
    headers = {"Authorization": shown} if shown else None
    metrics, health = asked(reports, ("GET", "/metrics"), ("GET", "/health"), token="secret", headers=headers)
    assert (metrics.status_code, health.status_code) == (status, 200)
    assert metrics.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
