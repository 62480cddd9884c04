"""The predictor as a part of the service: it predicts, counts, sends alerts, and stops."""

import asyncio
import threading
from functools import partial
from pathlib import Path

from feed_lanes import COINS, expected, stored
from kurswerk.alerts import DeliveryLoop
from kurswerk.bootstrap import predictor_part
from kurswerk.bootstrap.predictor_part import part
from kurswerk.bootstrap.service import Service
from kurswerk.bootstrap.setting_groups import AlertSettings, PredictorSettings
from kurswerk.bootstrap.settings import Settings
from kurswerk.observability import Metrics, ServiceState
from kurswerk.storage.predictions import PostgresAlertStore
from kurswerk.storage.server import Database
from served_models import coin_rows, register, write_rows


def test_it_starts_no_lane_when_it_is_stopped_while_kernels_are_compiled(
    database: Database, tmp_path: Path, monkeypatch
):
    async def stopped_meanwhile(stop: asyncio.Event) -> None:
        stop.set()

    def run(*_: object) -> None:
        raise AssertionError("a lane compiles by itself, and nothing can interrupt that")

    monkeypatch.setattr(predictor_part, "compile_elsewhere", stopped_meanwhile)
    monkeypatch.setattr(predictor_part.Predictor, "run", run)
    before = threading.active_count()
    predictor = part(Service(Settings(data_dir=tmp_path, database_url=database.url), database, Metrics()))
    asyncio.run(predictor.run(asyncio.Event()))
    assert threading.active_count() == before


def test_it_predicts_counts_and_sends(database: Database, tmp_path: Path):
    ids = [register(database, "w", threshold=0.0)]
    alerts = PostgresAlertStore(database)
    alerts.create_rule({"name": "all", "model_ids": ids, "channel": "database"})
    with database.connection() as connection:  # what nobody needs any more
        connection.execute(
            "INSERT INTO coin_states VALUES ('gone', '', now(), '', now() - interval '31 days'),"
            " ('here', '', now(), '', now())"
        )
    metrics = Metrics()
    settings = Settings(
        data_dir=tmp_path, database_url=database.url, predictor=PredictorSettings(lanes=2, store_features="alerts")
    )
    predictor = part(Service(settings, database, metrics))
    assert predictor.addresses == {"predictor": "every new row, 2 lanes"}

    def states() -> set[str]:
        with database.connection() as connection:
            return {row[0] for row in connection.execute("SELECT coin_id FROM coin_states")}

    def exposition() -> str:
        return metrics.text(ServiceState(1.0, db_connected=True)).decode()

    def reported() -> bool:  # the lanes report their state once a second
        return "ml_models_loaded 1.0" in exposition() and "ml_coins_tracked 0.0" not in exposition()

    async def serve() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(predictor.run(stop))
        await predictor.ready.wait()
        write_rows(database, coin_rows(COINS, 0, 5))
        async with asyncio.timeout(600):
            while len(stored(database)) < 5 * len(COINS) or any(
                row["status"] == "PENDING" for row in alerts.deliveries(1000)
            ):
                await asyncio.sleep(0.1)
            while "gone" in states() or not reported():
                await asyncio.sleep(0.1)
        stop.set()
        await running

    asyncio.run(serve())
    assert stored(database) == expected(database, ids)
    assert "here" in states()
    assert "gone" not in states()
    text = exposition()
    rows = 5 * len(COINS)
    assert f'ml_predictions_by_model_total{{model_id="{ids[0]}",model_name="w"}} {rows}.0' in text
    assert f"ml_predictions_total {rows}.0" in text
    assert f'ml_alerts_triggered_total{{model_id="{ids[0]}"}} {rows}.0' in text
    # A lane that gave partitions back to the other one has dropped their coins.
    assert 0 < float(text.split("ml_coins_tracked ")[-1].split()[0]) <= len(COINS)
    assert "ml_models_loaded 1.0" in text
    assert 0 < float(text.split("ml_commit_to_prediction_seconds_count ")[1].split()[0]) <= rows


def test_it_keeps_the_webhook_of_the_settings(database: Database, tmp_path: Path):
    for url, shown, active in (
        ("http://old.test/a", "http://old.test/…", True),
        ("http://n8n.test/b", "http://n8n.test/…", True),
        (None, "http://n8n.test/…", False),
    ):
        settings = Settings(data_dir=tmp_path, database_url=database.url, alerts=AlertSettings(webhook_url=url))
        part(Service(settings, database, Metrics()))
        (rule,) = PostgresAlertStore(database).rules()
        assert (rule["name"], rule["target"], rule["is_active"]) == ("ALERT_WEBHOOK_URL", shown, active)


def test_an_alert_is_sent_at_once_and_not_at_the_next_look(database: Database, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(predictor_part, "DeliveryLoop", partial(DeliveryLoop, poll_s=300.0))
    ids = [register(database, "w", threshold=0.0)]
    alerts = PostgresAlertStore(database)
    alerts.create_rule({"name": "all", "model_ids": ids, "channel": "database"})
    predictor = part(Service(Settings(data_dir=tmp_path, database_url=database.url), database, Metrics()))

    async def serve() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(predictor.run(stop))
        for step in range(2):
            write_rows(database, coin_rows(COINS, step, step + 1))
            async with asyncio.timeout(600):
                while len(alerts.deliveries(1000)) < (step + 1) * len(COINS) or any(
                    row["status"] == "PENDING" for row in alerts.deliveries(1000)
                ):
                    await asyncio.sleep(0.05)
        stop.set()
        await running

    asyncio.run(serve())
