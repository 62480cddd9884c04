"""Fixtures: the API over a migrated database, and a client of it."""

from collections.abc import Iterator

import httpx
import pytest

from integration.api.api_service import Service
from kurswerk.storage import Database


@pytest.fixture
def service(database: Database) -> Iterator[Service]:
    pooled = Database(database.url, pool_size=8)
    yield Service(pooled)
    pooled.close()


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client
