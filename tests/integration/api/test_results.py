"""Test results, comparisons, jobs, market data and health over HTTP."""

import pytest

from integration.api.api_service import PERIOD, SPEC, error_of
from integration.storage.coins import run
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import format_timestamp
from kurswerk.observability import Check, HealthReport


@pytest.fixture
def two_models(service):
    return service.ready_model("a"), service.ready_model("b")


def test_test_results_are_listed_and_shown(client, service, two_models):
    a, b = two_models
    first, second = service.test_result(a), service.test_result(b)
    page = client.get("/api/test-results").json()
    assert [row["id"] for row in page["test_results"]] == [second, first]
    only_a = client.get("/api/test-results", params={"model_id": a}).json()
    assert ([row["id"] for row in only_a["test_results"]], only_a["total"]) == ([first], 1)
    row = client.get(f"/api/test-results/{first}").json()
    assert (row["f1_score"], row["precision_score"], row["tp"], row["has_overlap"]) == (0.5, 0.6, 10, True)
    assert list(row["feature_importance"]) == ["volume_sol", "price_change_5"]
    error_of(client.get("/api/test-results/999"), 404, "not_found")


def test_comparisons_are_listed_and_shown(client, service, two_models):
    a, b = two_models
    number = service.comparison(a, b)
    for query in ({}, {"model_id": a}, {"model_id": b}):
        page = client.get("/api/comparisons", params=query).json()
        assert [row["id"] for row in page["comparisons"]] == [number]
    assert client.get("/api/comparisons", params={"model_id": 99}).json()["comparisons"] == []
    row = client.get(f"/api/comparisons/{number}").json()
    assert (row["a_f1"], row["b_f1"], row["winner_id"]) == (0.5, 0.1, a)
    error_of(client.get("/api/comparisons/999"), 404, "not_found")


def test_queue_and_jobs_are_the_same(client, service, two_models):
    service.jobs.order("CERTIFY", {"model_id": two_models[0]}, priority=7)
    number = service.jobs.order("TEST", {"model_id": two_models[1]})
    for name in ("queue", "jobs"):
        page = client.get(f"/api/{name}").json()
        assert [job["id"] for job in page["jobs"]] == [number, number - 1]
        assert client.get(f"/api/{name}", params={"sort": "priority"}).json()["jobs"][0]["priority"] == 7
        assert client.get(f"/api/{name}", params={"job_type": "TEST"}).json()["total"] == 1
        assert client.get(f"/api/{name}", params={"status": "RUNNING"}).json()["total"] == 0
        assert client.get(f"/api/{name}/{number}").json()["job_type"] == "TEST"
        error_of(client.get(f"/api/{name}/999"), 404, "not_found")


def test_a_completed_job_carries_its_result(client, service, two_models):
    a, b = two_models
    number = service.jobs.order("COMPARE", {"model_a_id": a, "model_b_id": b})
    comparison = service.comparison(a, b)
    run(
        service.database,
        f"UPDATE ml_jobs SET status = 'COMPLETED', progress = 1, result_comparison_id = {comparison},"
        f" result_model_id = {a} WHERE id = {number}",
    )
    job = client.get(f"/api/queue/{number}").json()
    assert job["result_comparison"]["winner_id"] == a
    assert job["result_model"]["name"] == "a"
    assert job["result_test"] is None
    client.delete(f"/api/models/{a}")
    assert client.get(f"/api/queue/{number}").json()["result_model"] is None


def test_a_job_is_cancelled_and_tried_again(client, service, two_models):
    number = service.jobs.order("TEST", {"model_id": two_models[0]})
    error_of(client.post(f"/api/jobs/{number}/retry"), 409, "conflict")
    assert client.post(f"/api/queue/{number}/cancel").json()["status"] == "CANCELLED"
    error_of(client.post(f"/api/jobs/{number}/cancel"), 409, "conflict")
    assert client.post(f"/api/jobs/{number}/retry").json()["status"] == "PENDING"
    error_of(client.post("/api/jobs/999/cancel"), 404, "not_found")
    error_of(client.post("/api/jobs/999/retry"), 404, "not_found")


def test_a_jobs_log_is_read_line_by_line(client, service, two_models):
    number = service.jobs.order("TEST", {"model_id": two_models[0]})
    path = f"/api/jobs/{number}/log"
    assert client.get(path).json() == {"lines": [], "next_after": 0}
    client.post(f"/api/jobs/{number}/cancel")
    client.post(f"/api/jobs/{number}/retry")
    found = client.get(path).json()
    assert [(line["attempt"], line["level"], line["message"]) for line in found["lines"]] == [
        (0, "warning", "cancelled before it was finished"),
        (0, "info", "ordered to run again"),
    ]
    first, second = found["lines"]
    assert first["created_at"].endswith("Z")
    assert found["next_after"] == second["id"] > first["id"]
    assert client.get(f"/api/queue/{number}/log", params={"after": first["id"]}).json()["lines"] == [second]
    assert client.get(path, params={"limit": 1}).json() == {"lines": [first], "next_after": first["id"]}
    nothing = client.get(path, params={"after": second["id"]}).json()
    assert nothing == {"lines": [], "next_after": second["id"]}
    error_of(client.get("/api/jobs/999/log"), 404, "not_found")
    error_of(client.get(path, params={"limit": 1001}), 422, "invalid_fields")
    error_of(client.get(path, params={"offset": 1}), 422, "unknown_name")


def test_a_cancelled_training_gives_its_name_back(client, service):
    service.fill_market()
    number = client.post("/api/models/create", json=SPEC).json()["job_id"]
    assert client.post(f"/api/jobs/{number}/cancel").status_code == 200
    assert client.get("/api/models").json()["models"] == []
    assert client.post("/api/models/create", json=SPEC).status_code == 201


def test_market_data_are_described(client, service):
    empty = client.get("/api/data-availability").json()
    assert empty == {"first_timestamp": None, "last_timestamp": None, "rows": 0, "coins": 0}
    assert [phase["id"] for phase in client.get("/api/phases").json()] == [1, 2, 3, 99, 100]
    market = service.fill_market()
    with service.client() as anew:  # the first client's answer is kept for ten seconds
        found = anew.get("/api/data-availability").json()
    assert found == {
        "first_timestamp": format_timestamp(market.timestamps.min()),
        "last_timestamp": format_timestamp(market.timestamps.max()),
        "rows": 1200,
        "coins": 2,
    }


@pytest.mark.parametrize("path", ["/health", "/api/health"])
def test_health_shows_what_is_wrong(client, service, path):
    assert client.get(path).json()["status"] == "healthy"
    service.health = HealthReport(
        {"disk": Check("failed", Message("health.disk", gigabytes=0), {"free_bytes": 0})}, 2.0
    )
    with service.client(require_keys=True) as anew:
        answer = anew.get(path)
        assert answer.status_code == 503
        assert answer.json()["checks"] == {"disk": {"status": "failed", "message": "0.0 GB free", "free_bytes": 0}}
        assert (anew.get("/ready").status_code, anew.get("/ready").json()) == (503, {"ready": False})


@pytest.mark.parametrize("path", ["/metrics", "/api/metrics"])
def test_metrics_are_text(reader, path):
    answer = reader.get(path)
    assert (answer.status_code, answer.text) == (200, "ml_db_connected 1.0\n")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


def test_orders_of_tests_take_naive_times_as_utc(client, service, two_models):
    service.fill_market()
    naive = {name: text.removesuffix("Z") for name, text in PERIOD.items()}
    answer = client.post(f"/api/models/{two_models[0]}/test", json=naive)
    request = client.get(answer.headers["location"]).json()["request"]
    assert {name: request[name] for name in PERIOD} == PERIOD
