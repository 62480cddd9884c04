"""What the dashboard's pages reach, over a real PostgreSQL."""

import asyncio
from pathlib import Path

import pytest

from job_orders import JobEnvironment
from kurswerk.bootstrap.dashboard import dashboard_services, settings_in_force
from kurswerk.bootstrap.settings import read_settings
from kurswerk.bootstrap.stores import open_stores
from kurswerk.core.errors import NotFoundError
from kurswerk.core.messages import Message
from kurswerk.dashboard import DashboardServices, PredictionBatch
from kurswerk.jobs import no_progress
from kurswerk.market import COINS
from kurswerk.storage.markets import PostgresMarketStore
from kurswerk.storage.predictions import PostgresPredictionFeed, SharedPredictionFeed
from kurswerk.storage.registry import PostgresModelStore, PostgresResultStore
from kurswerk.storage.server import Database
from memory_dashboard import Browser, Health
from served_models import register
from working_jobs import job_store


@pytest.fixture
def services(database: Database, tmp_path: Path) -> DashboardServices:
    settings = read_settings({"KURSWERK_DATA_DIR": str(tmp_path)}, tmp_path)
    env = JobEnvironment(
        PostgresMarketStore(database, COINS),
        PostgresModelStore(database),
        PostgresResultStore(database),
        job_store(database),
    )
    feed = SharedPredictionFeed(PostgresPredictionFeed(database))
    return dashboard_services(settings, open_stores(database), feed, env.service, Health, list)


def test_a_market_is_simulated_and_files_are_brought_in(services: DashboardServices):
    assert services.coverage(COINS) == []
    assert services.ingestion.quarantined(10) == []
    services.ingestion.simulate(2, 1.0, 7, no_progress)
    assert len(services.coverage(COINS)) == 2
    head = "mint,timestamp,open,high,low,close,volume"
    rows = f"{head}\nX,2024-01-01T00:00:00Z,1,2,0.5,1.5,10\nX,2024-01-01T00:01:00Z,1,0.1,5,1,1\n"
    summary = services.ingestion.ingest("../candles.csv", rows.encode(), COINS)
    assert "2 rows read, 1 accepted, 0 repeated, 1 quarantined" in str(summary)
    refused = services.ingestion.quarantined(10)
    assert [(one.file, one.row, one.detail) for one in refused] == [("candles", 2, Message("row.high_below_low"))]
    assert "X" in {one.mint for one in services.coverage(COINS)}


def test_models_are_switched_and_their_predictions_found(services: DashboardServices, database: Database):
    model = register(database, "served", active=False)
    services.live.activate(model)
    assert services.models.get(model).is_active
    services.live.set_threshold(model, 0.4)
    services.live.reload(model)
    services.live.deactivate(model)
    with pytest.raises(NotFoundError):
        services.live.replay(1)
    record = services.models.get(model)
    assert (record.is_active, record.alert_threshold) == (False, 0.4)
    assert list(services.live.predictions(model_id=model)) == list(services.live.alerts(model_id=model)) == []
    assert [one.predictions for one in services.live.minute_counts(3)] == [0, 0, 0]

    async def first() -> object:
        async for found in services.live.stream():
            return found
        return None

    assert asyncio.run(first()) == PredictionBatch()


def test_keys_are_made_checked_and_revoked(services: DashboardServices):
    key = services.keys.create("flow", ["read", "train"])
    assert services.keys.scopes_of(key) == {"read", "train"}
    (record,) = services.keys.all()
    services.keys.revoke(record.id)
    assert services.keys.scopes_of(key) is None
    with pytest.raises(NotFoundError):
        services.keys.revoke(record.id + 1)


def test_every_page_opens_on_a_real_database(services: DashboardServices, database: Database):
    services.ingestion.simulate(2, 1.0, 7, no_progress)
    register(database, "served")
    browser = Browser(services)
    coin = services.market.instruments()[0]
    for path in (
        "",
        "/data",
        f"/data/{coin}",
        "/models",
        "/models/1",
        "/new",
        "/test",
        "/compare",
        "/jobs",
        "/live",
        "/system",
    ):
        text = browser.open(path)
        assert "Something went wrong" not in text, path
        assert "That did not work" not in text, path


def test_secrets_are_masked(services: DashboardServices):
    assert services.settings["database_url"] == "–"
    found = settings_in_force({"hook": {"webhook_token": "abc", "url": "postgresql://me:secret@host/db"}})
    assert found == {"hook.webhook_token": "•••", "hook.url": "postgresql://me:•••@host/db"}
