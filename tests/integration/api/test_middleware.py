"""The middleware: request ids, hosts, keys, limits, sizes, and responses to errors."""

import socket
from contextlib import closing
from dataclasses import replace

import pytest

from captured_logs import logged_by
from integration.api.api_service import SPEC, error_of
from kurswerk.api import ApiOptions, create_app, errors
from kurswerk.core.errors import ConstraintError, DatabaseUnavailableError, InvalidInputError, StorageError
from waiting import until

SECURITY = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "private, no-cache",
}


class Broken:
    """A catalog whose lists raise the error it is given."""

    def __init__(self, error):
        self.error = error

    def models(self, page, filters):
        raise self.error


@pytest.mark.parametrize("path", ["/api/models", "/api/models/9", "/nowhere", "/health"])
def test_every_answer_has_its_headers(reader, path):
    for _ in range(2):  # the second may come from the cache
        answer = reader.get(path, headers={"X-Request-ID": "me-1"})
        assert {name: answer.headers[name] for name in SECURITY} == SECURITY
        assert answer.headers["x-request-id"] == "me-1"


@pytest.mark.parametrize("given", ["", "a" * 65, "two words", "new\tline", "ä".encode().decode("latin-1")])
def test_a_request_id_that_could_harm_a_log_is_replaced(reader, given):
    answer = reader.get("/api/models", headers={"X-Request-ID": given.encode("latin-1")})
    assert answer.headers["x-request-id"] != given
    assert len(answer.headers["x-request-id"]) == 32


def test_unknown_paths_methods_and_parameters_are_refused(reader):
    error_of(reader.get("/nowhere"), 404, "not_found")
    answer = reader.put("/api/models")
    error_of(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET"
    assert reader.put("/api/models/1").headers["allow"] == "DELETE, GET, PATCH"
    assert reader.post("/openapi.json").status_code == 405
    error_of(reader.get("/api/models/compare"), 405, "method_not_allowed")
    error = error_of(reader.get("/api/models", params={"limt": 5}), 422, "unknown_name")
    assert "did you mean 'limit'" in error["message"]
    error_of(reader.get("/api/models/1", params={"limit": 5}), 422, "unknown_name")
    error_of(reader.get("/health", params={"verbose": 1}), 422, "unknown_name")


def test_a_body_that_is_no_json_is_refused(reader):
    post = "/api/models/create"
    json = {"Content-Type": "application/json"}
    error_of(reader.post(post, content=b'{"name": ', headers=json), 400, "invalid_json")
    error_of(reader.post(post, content=b"\xff\xfe", headers=json), 400, "invalid_json")
    error_of(reader.post(post, content=b"[" * 100_000, headers=json), 400, "invalid_request")
    error_of(reader.post(post, content=b"[1]", headers=json), 422, "invalid_fields")
    error_of(reader.post(post, content=b"{}", headers={"Content-Type": "text/plain"}), 422, "invalid_fields")
    error_of(reader.post(post), 422, "invalid_fields")


def test_what_was_sent_is_not_repeated_in_field_errors(reader):
    answer = reader.post("/api/models/create", json=SPEC | {"cv_splits": "hunter2"})
    error_of(answer, 422, "invalid_fields")
    assert "hunter2" not in answer.text


def test_large_bodies_are_refused_however_they_come(reader):
    large = b'{"name": "' + b"x" * (1 << 20) + b'"}'
    headers = {"Content-Type": "application/json"}
    error_of(reader.post("/api/models/create", content=large, headers=headers), 413, "body_too_large")
    chunks = (large[i : i + 65_536] for i in range(0, len(large), 65_536))
    error_of(reader.post("/api/models/create", content=chunks, headers=headers), 413, "body_too_large")
    small = b'{"name": "' + b"x" * ((1 << 20) - 12) + b'"}'
    error_of(reader.post("/api/models/create", content=small, headers=headers), 422, "invalid_fields")


def test_errors_of_the_database_reveal_nothing_to_strangers(service):
    secrets = "no connection to database market on 10.0.0.7 as kurs"
    for error, status, code in (
        (DatabaseUnavailableError(secrets), 503, "database_unavailable"),
        (StorageError(secrets), 500, "internal_error"),
        (ZeroDivisionError(secrets), 500, "internal_error"),
        (
            ConstraintError("database.row_refused", reason=secrets, constraint="ml_models_mcc_check"),
            409,
            "constraint_violated",
        ),
    ):
        with logged_by(errors) as logs, service.client(replace(service.ports, catalog=Broken(error))) as client:
            answer = client.get("/api/models")
            error_of(answer, status, code)
            assert "10.0.0.7" not in answer.text
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert ("retry-after" in answer.headers) == (status == 503)
            assert client.get("/health").status_code == 200  # it goes on
        logged = [line for line in logs if line["event"] == "request failed"]
        assert [line["exc_info"] for line in logged] == ([error] if status >= 500 else [])


def test_metrics_count_templates_not_paths(client, service):
    for path in ("/api/models/1", "/api/models/2", "/nowhere", "/api/phases", "/api/phases"):
        client.get(path)
    client.request("TRACE", "/api/models")
    until(lambda: len(service.requests) == 6)  # the last is counted when its answer is on its way
    assert service.requests == [
        ("GET", "/api/models/{model_id}", 404),
        ("GET", "/api/models/{model_id}", 404),
        ("GET", "unmatched", 404),
        ("GET", "/api/phases", 200),
        ("GET", "/api/phases", 200),
        ("OTHER", "/api/models", 405),
    ]


def test_only_named_hosts_are_answered(service):
    with service.client(allowed_hosts=("127.0.0.1", "[::1]", "Kurs.example")) as client:
        assert client.get("/api/models").status_code == 200
        for host in ("kurs.example:8000", "KURS.EXAMPLE", "[::1]:8000"):
            assert client.get("/api/models", headers={"Host": host}).status_code == 200
        for host in ("evil.example", "127.0.0.1.evil.example", "", "[::2]"):
            error_of(client.get("/api/models", headers={"Host": host}), 400, "invalid_request")


def test_pages_of_other_sites_cannot_change_anything(reader):
    for origin in ("https://evil.example", "null", "http://[", reader.base_url.host):
        answer = reader.post("/api/jobs/1/cancel", headers={"Origin": origin})
        error_of(answer, 403, "foreign_origin")
    own = f"http://{reader.base_url.netloc.decode()}"
    error_of(reader.post("/api/jobs/1/cancel", headers={"Origin": own}), 404, "not_found")
    assert "access-control-allow-origin" not in reader.get("/api/models", headers={"Origin": "http://x"}).headers


def test_calls_are_limited_per_client(service):
    with service.client(read_limit="3/year", write_limit="1/year") as client:
        assert [client.get("/api/phases").status_code for _ in range(4)] == [200, 200, 200, 429]
        answer = client.get("/api/phases")
        error_of(answer, 429, "rate_limited")
        assert 1 <= int(answer.headers["retry-after"]) <= 366 * 86_400
        assert [client.post("/api/jobs/1/cancel").status_code for _ in range(2)] == [404, 429]


def test_no_limit_is_no_limit(service):
    with service.client(read_limit=None) as client:
        assert {client.get("/api/phases").status_code for _ in range(20)} == {200}


def test_calls_are_counted_here_while_redis_is_away(service):
    with closing(socket.create_server(("127.0.0.1", 0))) as closed:
        port = closed.getsockname()[1]
    url = f"async+redis://:hunter2@127.0.0.1:{port}"
    with service.client(read_limit="2/year", limit_storage=url) as client:
        assert [client.get("/api/phases").status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize(
    "options", [{"read_limit": "many"}, {"limit_storage": "async+nothing://me:hunter2@host"}, {"limit_storage": "?"}]
)
def test_limits_that_cannot_be_read_are_refused_at_the_start(service, options):
    with pytest.raises(InvalidInputError, match="rate limits") as caught:
        create_app(service.ports, ApiOptions(**options))
    assert "hunter2" not in str(caught.value)
