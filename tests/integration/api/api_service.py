"""The API behind a real server, over a real database that can be filled."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa

from job_orders import NO_FILES
from kurswerk.api import ApiOptions, ApiPorts, create_app
from kurswerk.api.ports import ChangeFeed
from kurswerk.bootstrap.api_services import api_services
from kurswerk.bootstrap.stores import open_stores
from kurswerk.core.messages import Message
from kurswerk.evaluation import Metrics
from kurswerk.features import FeaturePlan
from kurswerk.ingest import arrow_schema
from kurswerk.market import COINS, Panel
from kurswerk.observability import Check, HealthReport
from kurswerk.registry import Comparison, NewModel, TestResult, TrainedVersion
from kurswerk.storage.markets import PostgresMarketStore
from kurswerk.storage.operations import PostgresKeyStore
from kurswerk.storage.registry import PostgresModelStore, PostgresResultStore
from kurswerk.storage.server import Database
from memory_market import a_spec, random_market
from running_app import running
from working_jobs import job_store

SPEC = a_spec().as_json()
MARKET = random_market(coins=2, minutes=600)
PERIOD = {"test_start": "2024-01-01T07:00:00Z", "test_end": "2024-01-01T09:00:00Z"}
METRICS = Metrics(0.9, 0.5, 0.6, 0.7, 0.8, 0.4, 0.1, 0.3, 10, 20, 3, 4, 1.25)
PLAN = FeaturePlan(["volume_sol", "price_change_5"], COINS)
VERSION = TrainedVersion(
    artifact=b"",
    features=tuple(PLAN.names),
    feature_hashes=PLAN.definitions,
    dataset_fingerprint="c" * 64,
    library_versions={"xgboost": "3.2"},
    metrics=METRICS,
    evaluation={"pr_auc": {"value": 0.5}},
    cv_scores={"f1": [0.1, 0.2]},
    cv_overfitting_gap=0.05,
    feature_importance={"price_change_5": 0.25, "volume_sol": 0.75},
)

# The OpenAPI document of the usual ports, by whether keys are required: it takes as long as hundreds of requests.
_DOCUMENTS: dict[bool, dict[str, Any]] = {}


class WatchedChanges:
    """Changes of the database; ``listening`` is set once they are received, and while ``open`` is not set none are."""

    def __init__(self, feed: ChangeFeed) -> None:
        self._feed = feed
        self.listening, self.open = threading.Event(), threading.Event()
        self.open.set()

    async def changes(self) -> AsyncIterator[str | None]:
        """Pass on what is received."""
        while not self.open.is_set():
            await asyncio.sleep(0.01)
        async for table in self._feed.changes():
            yield table
            self.listening.set()


@dataclass
class Service:
    """What a test of the API works with; ``requests`` holds what was reported to the metrics."""

    database: Database
    data_dir: Path = NO_FILES
    health: HealthReport = field(
        default_factory=lambda: HealthReport(
            {"database": Check("ok", Message("health.database_answered", milliseconds=1))}, 1.0
        )
    )
    requests: list[tuple[str, str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        database = self.database
        self.results = PostgresResultStore(database)
        ports = api_services(
            open_stores(database),
            self.data_dir,
            health=lambda: self.health,
            metrics_text=lambda: b"ml_db_connected 1.0\n",
            on_request=lambda method, template, status, _seconds: self.requests.append((method, template, status)),
        )
        self.changes = WatchedChanges(ports.changes)
        self.ports = replace(ports, changes=self.changes)
        self.models = PostgresModelStore(database)
        self.jobs = job_store(database)
        self.market = PostgresMarketStore(database, COINS)
        self.keys = PostgresKeyStore(database)

    @contextmanager
    def client(self, ports: ApiPorts | None = None, **options: Any) -> Iterator[httpx.Client]:
        """Serve the API once it is notified of changes; kernels may be compiled before it answers."""
        self.changes.listening.clear()
        app = create_app(ports or self.ports, ApiOptions(**options))
        if ports is None:
            keys = bool(options.get("require_keys"))
            if keys not in _DOCUMENTS:
                _DOCUMENTS[keys] = app.openapi()
            app.openapi_schema = _DOCUMENTS[keys]
        with running(app) as url, httpx.Client(base_url=url, timeout=300) as client:
            assert self.changes.listening.wait(60)
            yield client

    def fill_market(self) -> Panel:
        """Put ten hours of two coins into the database."""
        names = list(MARKET.columns)
        schema = arrow_schema(names, COINS)
        keys = pa.array(np.asarray(MARKET.instruments, dtype=object)[MARKET.codes])
        moments = pa.array(MARKET.timestamps).cast(schema.field(1).type)
        columns = [pa.array(MARKET.column(name)) for name in names]
        self.market.upsert([pa.record_batch([keys, moments, *columns], schema=schema)])
        return MARKET

    def ready_model(self, name: str, f1: float = 0.5, **changes: Any) -> int:
        """Register a model as training leaves it; its artifact is only bytes."""
        model_id = self.models.create(NewModel(a_spec(name=name, **changes).as_json()))
        artifact = f"onnx of {name}".encode()
        self.models.complete(model_id, replace(VERSION, artifact=artifact, metrics=replace(METRICS, f1=f1)))
        return model_id

    def test_result(self, model_id: int) -> int:
        """Store a test of a model."""
        record = self.models.get(model_id)
        return self.results.save_test(
            TestResult(
                model_id=model_id,
                test_start=record.train_start,
                test_end=record.train_end,
                metrics=METRICS,
                num_samples=37,
                num_positive=14,
                num_negative=23,
                has_overlap=True,
                overlap_note="all of it",
                train_accuracy=0.95,
                accuracy_degradation=0.05,
                is_overfitted=False,
                feature_importance={"price_change_5": 0.25, "volume_sol": 0.75},
                evaluation={"brier": 0.1},
            )
        )

    def comparison(self, a: int, b: int) -> int:
        """Store a comparison of two models, which the first one wins."""
        record = self.models.get(a)
        return self.results.save_comparison(
            Comparison(
                model_a_id=a,
                model_b_id=b,
                test_a_id=self.test_result(a),
                test_b_id=self.test_result(b),
                test_start=record.train_start,
                test_end=record.train_end,
                num_samples=37,
                a_metrics=METRICS,
                b_metrics=replace(METRICS, f1=0.1),
                winner_id=a,
                significance={"more_than_luck": True},
            )
        )


def error_of(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Return the error of an answer, after a look at its form."""
    assert response.status_code == status, response.text
    assert set(response.json()) == {"error"}
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"code", "message", "details", "timestamp", "request_id"}
    assert error["code"] == code, error
    assert error["request_id"] == response.headers["x-request-id"]
    return error
