"""Fixtures: stores over one database, and a registered model."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from kurswerk.registry import NewModel
from kurswerk.storage.jobs import PostgresJobStore
from kurswerk.storage.registry import PostgresModelStore
from kurswerk.storage.server import Database
from memory_market import a_spec
from working_jobs import job_store


@pytest.fixture
def jobs(database: Database) -> PostgresJobStore:
    return job_store(database)


@pytest.fixture
def models(database: Database) -> PostgresModelStore:
    return PostgresModelStore(database)


@pytest.fixture
def training(jobs: PostgresJobStore, models: PostgresModelStore) -> tuple[int, int]:
    """An ordered training: its job and its model."""
    spec = a_spec().as_json()
    with jobs.transaction():
        model_id = models.create(NewModel(spec))
        return jobs.order("TRAIN", spec, model_id=model_id), model_id


@pytest.fixture
def plan_of_list(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], str]:
    """Return a function that calls another one and returns how the server carries out its one paged query."""

    def plan_of(call: Callable[[], object]) -> str:
        plans: list[str] = []
        execute = psycopg.Cursor.execute

        def explaining(self: Any, query: Any, params: Any = None, **options: Any) -> Any:
            text = query.as_string(self) if isinstance(query, psycopg.sql.Composable) else str(query)
            if "LIMIT" in text:
                with psycopg.Cursor(self.connection) as cursor:
                    execute(cursor, f"EXPLAIN {text}", params)
                    plans.append("\n".join(row[0] for row in cursor.fetchall()))
            return execute(self, query, params, **options)

        with monkeypatch.context() as patch:
            patch.setattr(psycopg.Cursor, "execute", explaining)
            call()
        assert len(plans) == 1
        return plans[0]

    return plan_of
