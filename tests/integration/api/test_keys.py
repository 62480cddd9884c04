"""API keys in front of the calls."""

import time

import pytest

from integration.api.api_service import error_of

READS = ("/api/models", "/api/jobs", "/api/phases", "/metrics", "/api/models/1/download", "/nowhere")
OPEN = ("/health", "/api/health", "/ready", "/openapi.json", "/docs")


@pytest.fixture
def guarded(service):
    with service.client(require_keys=True) as client:
        yield client


@pytest.fixture(scope="module")
def closed(untouched):
    with untouched.client(require_keys=True) as client:
        yield client


def key(service, *scopes):
    return {"X-API-Key": service.keys.create("a key", scopes)[1]}


@pytest.mark.parametrize("path", READS)
def test_nothing_is_answered_without_a_key(closed, path):
    answer = closed.get(path)
    error_of(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "ApiKey"
    for wrong in ("kw_guess", "", "x" * 5000, "kw_ü".encode().decode("latin-1")):
        error_of(closed.get(path, headers={"X-API-Key": wrong.encode("latin-1")}), 401, "unauthorized")


@pytest.mark.parametrize("path", OPEN)
def test_health_and_documentation_are_open(closed, path):
    assert closed.get(path).status_code == 200
    error_of(closed.post(path), 405, "method_not_allowed")


@pytest.mark.parametrize(
    ("scope", "statuses"),
    [("read", (200, 403, 403)), ("train", (200, 404, 403)), ("admin", (200, 404, 404))],
)
def test_a_scope_includes_the_ones_before_it(guarded, service, scope, statuses):
    headers = key(service, scope)
    for _ in range(2):  # looked up, then remembered
        found = (
            guarded.get("/api/models", headers=headers),
            guarded.post("/api/jobs/1/cancel", headers=headers),
            guarded.delete("/api/models/1", headers=headers),
        )
        assert tuple(answer.status_code for answer in found) == statuses


def test_an_answer_that_is_kept_is_not_given_to_strangers(guarded, service):
    headers = key(service, "read")
    assert guarded.get("/api/models", headers=headers).status_code == 200
    error_of(guarded.get("/api/models"), 401, "unauthorized")


def test_a_revoked_key_is_refused_at_once(guarded, service):
    headers = key(service, "admin")
    assert guarded.get("/api/models", headers=headers).status_code == 200
    service.keys.revoke("a key")
    deadline = time.monotonic() + 60
    while guarded.get("/api/models", headers=headers).status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.01)
    error_of(guarded.get("/api/models", headers=headers), 401, "unauthorized")
    assert time.monotonic() < deadline


def test_each_key_has_a_limit_of_its_own(service):
    one, other = key(service, "read"), key(service, "read")
    with service.client(require_keys=True, read_limit="4/year") as client:

        def statuses(headers):
            return [client.get("/api/models", headers=headers).status_code for _ in range(6)]

        # The first call of a key is counted with the address it comes from: nobody knows it yet.
        assert statuses(one) == [200] * 5 + [429]
        assert statuses(other) == [200] * 5 + [429]
        error_of(client.get("/api/models", headers={"X-API-Key": "kw_guess"}), 401, "unauthorized")
        error_of(client.get("/api/models", headers={"X-API-Key": "kw_guess"}), 401, "unauthorized")
        error_of(client.get("/api/models", headers={"X-API-Key": "kw_guess"}), 429, "rate_limited")


BEARER = {"Authorization": "Bearer for-prometheus"}


@pytest.mark.parametrize("path", ["/metrics", "/api/metrics"])
@pytest.mark.parametrize("keys", [True, False])
def test_metrics_are_open_to_the_token_and_the_token_to_metrics_alone(untouched, path, keys):
    with untouched.client(require_keys=keys, metrics_token="for-prometheus") as client:
        refused = client.get(path)
        error_of(refused, 401, "unauthorized")
        assert refused.headers["www-authenticate"] == "Bearer"
        assert client.get(path, headers={"Authorization": "Bearer guess"}).status_code == 401
        assert client.get(path, headers=BEARER).status_code == 200
        assert client.get("/api/phases", headers=BEARER).status_code == (401 if keys else 200)


def test_metrics_stay_open_to_keys_beside_a_token(service):
    with service.client(require_keys=True, metrics_token="for-prometheus") as client:
        assert client.get("/metrics", headers=key(service, "read")).status_code == 200
        assert client.get("/metrics", headers={"X-API-Key": "kw_guess"}).status_code == 401
