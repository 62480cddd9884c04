"""The API over a real, migrated database, behind a real server."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from kurswerk.api import ApiOptions, Services, create_app
from kurswerk.jobs import ProcrastinateJobStore
from kurswerk.observability import Check, HealthReport
from kurswerk.storage import (
    CoinMetricsStore,
    Database,
    PostgresCatalog,
    PostgresChangeFeed,
    PostgresKeyStore,
    PostgresModelStore,
    PostgresResultStore,
)
from kurswerk.training import OrderDesk
from running_app import running


@dataclass
class Service:
    """What a test of the API works with; ``requests`` holds what the metrics were told."""

    database: Database
    services: Services
    health: HealthReport
    requests: list[tuple[str, str, int]] = field(default_factory=list)

    @contextmanager
    def client(self, **options: Any) -> Iterator[httpx.Client]:
        """Serve the API with these options."""
        with running(create_app(self.services, ApiOptions(**options))) as url, httpx.Client(base_url=url) as client:
            yield client


@pytest.fixture
def service(database: Database) -> Iterator[Service]:
    pooled = Database(database.url, pool_size=8)
    requests: list[tuple[str, str, int]] = []
    state = Service(pooled, None, HealthReport({"database": Check("ok", "answers")}, 1.0), requests)
    state.services = Services(
        catalog=PostgresCatalog(pooled),
        desk=OrderDesk(
            market=CoinMetricsStore(pooled),
            models=PostgresModelStore(pooled),
            results=PostgresResultStore(pooled),
            jobs=ProcrastinateJobStore(pooled),
        ),
        keys=PostgresKeyStore(pooled),
        changes=PostgresChangeFeed(pooled),
        health=lambda: state.health,
        metrics_text=lambda: b"ml_db_connected 1.0\n",
        on_request=lambda method, template, status, _seconds: requests.append((method, template, status)),
    )
    yield state
    pooled.close()


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client
