"""Fixtures: the API over a migrated database, and a client of it."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from database import clone_of
from integration.api.api_service import Service
from kurswerk.storage.server import Database


@pytest.fixture
def service(database: Database) -> Iterator[Service]:
    pooled = Database(database.url, pool_size=8)
    yield Service(pooled)
    pooled.close()


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@pytest.fixture(scope="module")
def untouched(server_url: str, template_name: str) -> Iterator[Service]:
    """A service with a market, for the tests of a module that write nothing."""
    with contextmanager(clone_of)(server_url, template_name) as database:
        pooled = Database(database.url, pool_size=8)
        service = Service(pooled)
        service.fill_market()
        yield service
        pooled.close()


@pytest.fixture(scope="module")
def reader(untouched: Service) -> Iterator[httpx.Client]:
    """A client of it."""
    with untouched.client() as client:
        yield client
