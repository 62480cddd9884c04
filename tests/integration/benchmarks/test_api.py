"""The benchmarks of the API run against real servers and report what they measured."""

from collections.abc import Iterator

import httpx
import pytest

from benchmarks import api, stream
from integration.api.api_service import Service
from kurswerk.storage.server import Database


@pytest.fixture
def client(database: Database) -> Iterator[httpx.Client]:
    pooled = Database(database.url, pool_size=8)
    with Service(pooled).client() as client:
        yield client
    pooled.close()


def test_the_api_is_set_beside_a_bare_route_in_one_run(monkeypatch):
    monkeypatch.setattr(api, "_WARM_UP_S", 0.0)
    entries = api.run(models=200, seconds=0.2, clients=4)
    assert [entry["name"] for entry in entries] == ["api", "api, p95 beside a training", "api, query"]
    for entry in entries:
        assert entry["ratio"] == pytest.approx(entry["peer_s"] / entry["ours_s"])
        assert set(entry) == {"name", "ours_s", "peer", "peer_s", "ratio", "at_least", "note"}


def test_an_answer_that_is_no_answer_stops_the_measurement(client):
    port = client.base_url.port
    with pytest.raises(RuntimeError, match="404"):
        api.load(port, "/nowhere", clients=2, seconds=0.1)
    assert api.load(port, "/api/models", clients=2, seconds=0.1).requests_per_s > 0


def test_a_broadcast_is_timed_to_its_last_byte_at_every_client():
    (entry,) = stream.run(clients=30, rows=3, pause_s=0.05)
    assert 0 < entry["ours_s"] < 30
    assert entry["ratio"] == pytest.approx(entry["peer_s"] / entry["ours_s"])
    assert entry["note"].startswith("30 WebSocket clients of one process, 3 commits of 10 predictions")
