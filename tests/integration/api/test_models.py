"""Models over HTTP: order trainings, look at them, change and delete them."""

import hashlib

import pytest

from captured_logs import logged_by
from integration.api.api_service import PERIOD, SPEC, error_of
from integration.storage.coins import run
from kurswerk.api import errors
from kurswerk.registry import NewModel


@pytest.fixture
def stocked(service):
    service.fill_market()
    return service


def new_model(name):
    return NewModel(SPEC | {"name": name})


def create(client, **changes):
    return client.post("/api/models/create", json=SPEC | changes)


def test_an_order_becomes_a_job_and_reserves_the_name(client, stocked):
    answer = client.post(
        "/api/models/create", json=SPEC, params={"priority": 9}, headers={"X-Request-ID": "from-n8n-7"}
    )
    assert answer.status_code == 201
    order = answer.json()
    assert order == {"job_id": order["job_id"], "message": "training of 'small' is queued", "status": "PENDING"}
    assert answer.headers["location"] == f"/api/queue/{order['job_id']}"
    job = client.get(answer.headers["location"]).json()
    assert (job["job_type"], job["status"], job["priority"], job["request_id"]) == ("TRAIN", "PENDING", 9, "from-n8n-7")
    assert job["result_model"] is None
    model = client.get(f"/api/models/{job['result_model_id']}").json()
    assert (model["name"], model["status"], model["spec"]) == ("small", "TRAINING", SPEC)
    error_of(create(client), 409, "conflict")


def test_older_clients_send_fields_inside_params(client, stocked):
    spec = {name: value for name, value in SPEC.items() if name not in {"cv_splits", "use_smote"}}
    answer = client.post("/api/models/create", json=spec | {"params": {"cv_splits": 4, "n_estimators": 7}})
    assert answer.status_code == 201
    request = client.get(answer.headers["location"]).json()["request"]
    assert request["cv_splits"] == 4
    assert request["params"] == {"n_estimators": 7}


def test_a_model_without_artifact_is_trained_again_as_a_new_one(client, stocked):
    model = stocked.models.create(new_model("old"))
    run(
        stocked.database,
        f"UPDATE ml_models SET status = 'NO_ARTIFACT', spec = spec - 'market' WHERE id = {model}",
    )
    assert client.get("/api/models", params={"status": "NO_ARTIFACT"}).json()["models"][0]["id"] == model
    answer = client.post(f"/api/models/{model}/train")
    assert answer.json()["message"] == "training of 'old 2' is queued"
    job = client.get(answer.headers["location"]).json()
    assert job["request"] == SPEC | {"name": "old 2"}
    change = {"name": "newer", "train_end": "2024-01-01T05:00:00Z"}
    job = client.get(client.post(f"/api/models/{model}/train", json=change).headers["location"]).json()
    assert job["request"] == SPEC | change
    error_of(client.post(f"/api/models/{model}/train", json={"name": "newer"}), 409, "conflict")
    error_of(client.post(f"/api/models/{model}/train", json={"train_end": "2020-01-01"}), 422, "invalid_spec")
    run(stocked.database, f"UPDATE ml_models SET spec = '{{}}' WHERE id = {model}")
    error_of(client.post(f"/api/models/{model}/train"), 409, "conflict")
    error_of(client.post("/api/models/99/train"), 404, "not_found")


@pytest.mark.parametrize(
    ("change", "status", "code", "message"),
    [
        ({"model_type": "xgbost"}, 422, "unknown_name", "did you mean 'xgboost'"),
        ({"features": ["price_clse"]}, 422, "unknown_name", "price_close"),
        ({"features": ["sol_price_usd"]}, 422, "unknown_name", "in the market data"),
        ({"train_start": "2024-01-02", "train_end": "2024-01-01"}, 422, "invalid_fields", "must lie before"),
        ({"train_start": "2030-01-01", "train_end": "2030-02-01"}, 400, "no_data", "2024-01-01T00:00:00Z"),
        ({"mints": ["NOBODY"]}, 400, "no_data", "NOBODY"),
        ({"colour": "red"}, 422, "invalid_fields", "body.colour"),
        ({"name": ""}, 422, "invalid_fields", "body.name"),
        ({"name": "a\0b"}, 422, "invalid_fields", "NUL"),
        ({"description": "a\0b"}, 422, "invalid_fields", "body.description"),
        ({"train_start": "yesterday"}, 422, "invalid_fields", "ISO 8601"),
        ({"params": {"depth": 3}}, 422, "unknown_name", "max_depth"),
    ],
)
def test_what_cannot_succeed_is_refused_before_anything_is_written(reader, change, status, code, message):
    error = error_of(create(reader, **change), status, code)
    assert message in error["message"]
    if code == "invalid_fields":
        assert all(set(field) == {"field", "message", "code", "params"} for field in error["details"])
    assert reader.get("/api/jobs").json()["total"] == 0
    assert reader.get("/api/models").json()["total"] == 0


def test_an_empty_market_is_reported_as_empty(client):
    assert "ingest" in error_of(create(client), 400, "no_data")["message"]


def test_a_test_a_comparison_and_a_certificate_are_ordered(client, stocked):
    a, b = stocked.ready_model("a"), stocked.ready_model("b")
    orders = {
        "TEST": client.post(f"/api/models/{a}/test", json=PERIOD | {"mints": ["COIN0"]}),
        "COMPARE": client.post("/api/models/compare", json=PERIOD | {"model_a_id": a, "model_b_id": b}),
        "CERTIFY": client.post(f"/api/models/{b}/certify"),
    }
    for kind, answer in orders.items():
        assert answer.status_code == 201, answer.text
        assert client.get(answer.headers["location"]).json()["job_type"] == kind


def test_orders_about_the_wrong_models_are_refused(client, stocked):
    a = stocked.ready_model("a")
    unready = stocked.models.create(new_model("raw"))
    compare = PERIOD | {"model_a_id": a, "model_b_id": a}
    error_of(client.post("/api/models/compare", json=compare), 422, "invalid_spec")
    error_of(client.post("/api/models/compare", json=compare | {"model_b_id": 99}), 404, "not_found")
    error_of(client.post(f"/api/models/{unready}/test", json=PERIOD), 409, "conflict")
    error_of(client.post(f"/api/models/{unready}/certify"), 409, "conflict")
    reversed_period = {"test_start": PERIOD["test_end"], "test_end": PERIOD["test_start"]}
    error_of(client.post(f"/api/models/{a}/test", json=reversed_period), 422, "invalid_spec")
    error_of(client.post(f"/api/models/{a}/test", json=PERIOD | {"mints": ["NOBODY"]}), 400, "no_data")
    stocked.models.delete(a)
    error_of(client.post(f"/api/models/{a}/test", json=PERIOD), 404, "not_found")
    assert client.get("/api/jobs").json()["total"] == 0


def test_lists_filter_sort_and_page(client, service):
    for number in range(5):
        service.ready_model(f"m{number}", f1=[0.3, 0.9, 0.1, 0.9, 0.5][number])
    service.models.create(new_model("raw"))

    def names(**query):
        answer = client.get("/api/models", params=query)
        assert answer.status_code == 200, answer.text
        return [model["name"] for model in answer.json()["models"]]

    assert names() == ["raw", "m4", "m3", "m2", "m1", "m0"]
    assert names(order="asc", limit=2, offset=1) == ["m1", "m2"]
    assert names(sort="training_f1", status="READY") == ["m3", "m1", "m4", "m0", "m2"]
    assert names(sort="training_f1") == ["m3", "m1", "m4", "m0", "m2", "raw"]
    assert names(sort="training_f1", order="asc") == ["m2", "m0", "m4", "m1", "m3", "raw"]
    assert names(name="m3") == ["m3"]
    assert names(status="TRAINING") == ["raw"]
    assert names(model_type="random_forest") == []
    assert names(is_active=True) == []
    page = client.get("/api/models", params={"limit": 2, "offset": 4}).json()
    assert {name: page[name] for name in ("total", "limit", "offset")} == {"total": 6, "limit": 2, "offset": 4}
    assert client.get("/api/models", params={"offset": 50}).json()["total"] == 6


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 1001}, {"offset": -1}, {"sort": "spec"}, {"order": "up"}, {"status": "DONE"}]
)
def test_lists_refuse_what_they_cannot_do(reader, query):
    error_of(reader.get("/api/models", params=query), 422, "invalid_fields")


def test_a_model_is_shown_with_everything(client, service):
    number = service.ready_model("whole")
    model = client.get(f"/api/models/{number}").json()
    assert model["training_f1"] == 0.5
    assert model["confusion_matrix"] == {"tp": 10, "tn": 20, "fp": 3, "fn": 4}
    assert list(model["feature_importance"]) == ["volume_sol", "price_change_5"]
    assert model["created_at"].endswith("Z")
    assert model["train_start"] == "2024-01-01T00:00:00Z"
    assert "is_deleted" not in model
    error_of(client.get("/api/models/999"), 404, "not_found")
    error_of(client.get(f"/api/models/{2**53}"), 422, "invalid_fields")
    error_of(client.get("/api/models/one"), 404, "not_found")


def test_a_model_is_changed(client, service):
    number = service.ready_model("old")
    service.ready_model("taken")
    change = {"name": "new", "description": "better", "alert_threshold": 0.85}
    model = client.patch(f"/api/models/{number}", json=change).json()
    assert {name: model[name] for name in change} == change
    assert client.patch(f"/api/models/{number}", json={"description": None}).json()["description"] is None
    assert client.patch(f"/api/models/{number}", json={"name": None}).json()["name"] == "new"
    assert client.patch(f"/api/models/{number}", json={}).status_code == 200
    error_of(client.patch(f"/api/models/{number}", json={"name": "taken"}), 409, "conflict")
    error_of(client.patch(f"/api/models/{number}", json={"alert_threshold": 1.5}), 422, "invalid_fields")
    error_of(client.patch(f"/api/models/{number}", json={"status": "READY"}), 422, "invalid_fields")
    error_of(client.patch("/api/models/999", json={"name": "x"}), 404, "not_found")


def test_a_deleted_model_is_gone_and_its_name_free(client, service):
    number = service.ready_model("short-lived")
    assert client.delete(f"/api/models/{number}").status_code == 204
    error_of(client.get(f"/api/models/{number}"), 404, "not_found")
    error_of(client.delete(f"/api/models/{number}"), 404, "not_found")
    assert client.get("/api/models").json()["total"] == 0
    service.ready_model("short-lived")


def test_a_model_is_downloaded_with_proof(client, service):
    number = service.ready_model("to go")
    answer = client.get(f"/api/models/{number}/download")
    assert answer.content == b"onnx of to go"
    assert answer.headers["x-sha256"] == hashlib.sha256(answer.content).hexdigest()
    assert answer.headers["content-disposition"] == f'attachment; filename="kurswerk-model-{number}.onnx"'
    error_of(client.get("/api/models/999/download"), 404, "not_found")
    unready = service.models.create(new_model("raw"))
    error_of(client.get(f"/api/models/{unready}/download"), 409, "conflict")
    run(service.database, "UPDATE ml_artifacts SET data = 'forged', size = 6")
    with logged_by(errors) as logs:
        error = error_of(client.get(f"/api/models/{number}/download"), 500, "artifact_corrupt")
    assert "request_id" in error["message"]
    assert logs[0]["code"] == "artifact_corrupt"
