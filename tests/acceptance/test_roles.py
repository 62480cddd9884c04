"""The parts of the service as containers run them: each with health, metrics and a clean end of its own."""

import json
import socket
import subprocess
import sys

import httpx
import pytest

from kurswerk.storage.server import EmbeddedPostgres
from running_service import data_directory, environment, run, served
from waiting import until

# What a container sets; the ports are free ones.
CONTAINER = {"KURSWERK_HTTP_HOST": "0.0.0.0", "KURSWERK_STOP_DATABASE": "true", "KURSWERK_LOG_FORMAT": "json"}


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def health(data_dir, port, *words):
    """Run the command that a container engine runs."""
    return run(data_dir, "health", *words, KURSWERK_HEALTH_PORT=port)


@pytest.fixture(scope="module")
def data_dir():
    with data_directory() as folder:
        yield folder


@pytest.fixture
def new_data_dir():
    """A directory that no other test makes keys in."""
    with data_directory() as folder:
        yield folder


def test_a_first_start_without_a_key_serves_explains_and_takes_the_first_key_at_once(new_data_dir):
    data_dir, port = new_data_dir, free_port()
    with served(data_dir, "serve", "--only", "api,worker", KURSWERK_HEALTH_PORT=port, **CONTAINER) as service:
        (warning,) = service.lines(level="warning")
        assert "there is no API key yet" in warning["event"]
        assert "kurswerk keys create NAME --scope admin" in warning["event"]
        until(lambda: httpx.get(f"{service.url}/ready", timeout=60).status_code == 200)
        assert httpx.get(f"{service.url}/api/models", timeout=60).status_code == 401
        key = run(data_dir, "keys", "create", "first", "--scope", "admin").stdout.strip()
        answer = httpx.get(f"{service.url}/api/models", headers={"X-API-Key": key}, timeout=60)
        assert answer.json()["models"] == []
        done = health(data_dir, port, "--json")
        assert (done.returncode, json.loads(done.stdout)["db_connected"]) == (0, True), done.stderr
        assert "ml_db_connected 1.0" in httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text
        service.stop()
    # The database ended with the service, as everything in a container does.
    assert not EmbeddedPostgres(data_dir).status().running
    gone = health(data_dir, port)
    assert (gone.returncode, gone.stdout) == (1, "")
    assert "no service answers at" in gone.stderr


@pytest.mark.parametrize("role", ["worker", "predictor"])
def test_a_role_without_an_api_has_health_and_metrics_of_its_own(data_dir, role):
    port = free_port()
    token = data_dir / "token"
    token.write_text("for-prometheus\n")
    settings = {
        "KURSWERK_HTTP_METRICS_TOKEN_FILE": str(token),
        "KURSWERK_HEALTH_PORT": port,
        "MODEL_STORAGE_PATH": "/m",
    }
    with served(data_dir, "serve", "--only", role, **settings) as service:
        assert service.url == ""
        assert f"http://127.0.0.1:{port}/health" in service.printed
        assert health(data_dir, port).returncode == 0
        until(lambda: json.loads(health(data_dir, port, "--json").stdout)["checks"][f"{role}s"]["alive"], what=role)
        metrics = f"http://127.0.0.1:{port}/metrics"
        assert httpx.get(metrics, timeout=60).status_code == 401
        answer = httpx.get(metrics, headers={"Authorization": "Bearer for-prometheus"}, timeout=60)
        assert "ml_service_uptime_seconds" in answer.text
        (ignored,) = service.lines(variable="MODEL_STORAGE_PATH")
        assert "no effect" in ignored["event"]


def test_keys_of_the_environment_are_there_from_the_start_and_a_wrong_one_is_refused_by_name(data_dir):
    key = "kw_" + "0" * 40
    with served(data_dir, "serve", "--only", "api", KURSWERK_API_KEYS=f"n8n:train:{key}", **CONTAINER) as service:
        assert service.lines(level="warning") == []
        assert httpx.get(f"{service.url}/api/models", headers={"X-API-Key": key}, timeout=60).status_code == 200
        assert key not in service.log.read_text()
    command = [sys.executable, "-m", "kurswerk", "serve", "--only", "api"]
    settings = environment(data_dir, KURSWERK_API_KEYS="n8n:train:secret", KURSWERK_HTTP_HOST="0.0.0.0")
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert "the API key 'n8n' must be kw_" in done.stderr
    assert "secret" not in done.stderr
