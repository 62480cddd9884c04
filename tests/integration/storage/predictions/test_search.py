"""Searches among very many predictions."""

import httpx
import numpy as np
import pytest

from integration.api.api_service import Service, error_of
from kurswerk.core.errors import TooBroadError
from kurswerk.serving import PredictionFilter
from kurswerk.storage.predictions import PostgresPredictionStore, create_partitions
from kurswerk.storage.predictions import _store as searching
from kurswerk.storage.server import Database
from served_models import START_US, register

MANY = """
INSERT INTO predictions (id, coin_id, "timestamp", model_id, prediction, probability)
SELECT k, 'c' || k % 10, timestamptz '2024-01-01Z' + k * interval '1 second', {}, 0, 0.25
FROM generate_series(1, 100000) k"""
NEVER = PredictionFilter(min_probability=0.99)


@pytest.fixture
def store(database: Database) -> PostgresPredictionStore:
    model_id = register(database, "m", active=False)
    with database.connection() as connection:
        create_partitions(connection, np.array([START_US, START_US + 100_000_000_000]))
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(MANY.format(model_id).encode())
    return PostgresPredictionStore(database)


def test_a_search_that_takes_too_long_is_given_up(
    database: Database, store: PostgresPredictionStore, monkeypatch: pytest.MonkeyPatch
):
    assert searching._PATIENCE_MS == 5000
    assert store.find(NEVER) == []
    several = PredictionFilter(coin_ids=frozenset({"c3", "c7", "gone", "x\0"}))
    assert [row["coin_id"] for row in store.find(several, 4)] == ["c7", "c3"] * 2
    monkeypatch.setattr(searching, "_PATIENCE_MS", 1)
    with pytest.raises(TooBroadError, match="narrow the search by coin_id, model_id or a later since"):
        store.find(NEVER)
    pooled = Service(Database(database.url, pool_size=1))
    with pooled.client() as client:
        for _ in range(2):  # its connection serves others as before
            refused: httpx.Response = client.get("/api/predictions", params={"min_probability": 0.99})
            assert "after 0.001 s" in error_of(refused, 400, "too_broad")["message"]
            assert client.get("/api/stats").status_code == 200
        error_of(client.get("/api/predictions", params={"offset": 100_001}), 422, "invalid_fields")
    with pooled.database.connection() as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("0",)
    pooled.database.close()
