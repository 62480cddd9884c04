"""Asking a service how it is."""

import json
import socket

import pytest

from kurswerk.bootstrap.health_probe import health_url, probe
from kurswerk.bootstrap.settings import Settings
from kurswerk.core.errors import InvalidInputError, KurswerkError
from running_app import running


def answering(status: int, body: bytes):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return running(app, lifespan="off")


@pytest.mark.parametrize(("status", "able"), [(200, True), (503, False)])
def test_the_report_and_whether_the_service_can_serve(status, able):
    with answering(status, json.dumps({"status": "degraded"}).encode()) as url:
        assert probe(f"{url}/health") == (able, {"status": "degraded"})


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b"\xff"])
def test_something_else_on_the_port_is_no_service(body):
    with answering(200, body) as url, pytest.raises(KurswerkError, match="does not answer as a service of Kurswerk"):
        probe(f"{url}/health")


def test_where_nobody_listens_there_is_no_service():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(KurswerkError, match=f"no service answers at http://127.0.0.1:{port}/health"):
        probe(f"http://127.0.0.1:{port}/health")


def test_the_address_is_that_of_the_health_port_or_of_the_api():
    settings = Settings().replace_in("http", host="0.0.0.0", port=9000)
    assert health_url(settings) == "http://127.0.0.1:9000/health"
    assert health_url(settings.replace_in("health", port=9001)) == "http://127.0.0.1:9001/health"
    with pytest.raises(InvalidInputError, match="KURSWERK_HEALTH_PORT"):
        health_url(settings.replace_in("http", port=0))
