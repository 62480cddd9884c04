"""Columns that active models need and the database lacks: in health, metrics and with the models."""

import pytest

from kurswerk.bootstrap.health import health_service
from kurswerk.bootstrap.service import Service
from kurswerk.bootstrap.settings import Settings
from kurswerk.market import COINS
from kurswerk.observability import Metrics
from kurswerk.serving import MissingColumn
from kurswerk.storage.markets import absent_columns, missing_columns
from kurswerk.storage.registry import PostgresActivationStore, PostgresModelStore
from kurswerk.storage.server import Database
from served_models import register

VOLUMES = ("price_close", "volume_ratio_10")


def run(database: Database, statement: str) -> None:
    with database.connection() as connection:
        connection.execute(statement.encode())


def test_what_is_missing_is_named_with_the_models_that_need_it(database, tmp_path):
    health = health_service(Service(Settings(data_dir=tmp_path), database, Metrics()), timeout_s=60)
    needs, other = register(database, "volumes", VOLUMES), register(database, "prices", ["price_close"])
    scoped = register(database, "scoped", ["price_close"], scope={"phases": [1]})
    rates = register(database, "rates", ["sol_price_change_pct"])
    register(database, "off", VOLUMES, active=False)
    assert missing_columns(database) == []
    check = health.health().checks["inputs"]
    assert check.status == "ok"
    assert "ml_missing_input_columns{" not in health.metrics_text().decode()
    run(database, "ALTER TABLE coin_metrics DROP COLUMN volume_sol, DROP COLUMN phase_id_at_time, DROP COLUMN num_buys")
    run(database, "ALTER TABLE exchange_rates RENAME COLUMN sol_price_usd TO sol")
    assert missing_columns(database) == [
        MissingColumn("coins", "coin_metrics", "phase_id_at_time", (scoped,)),
        MissingColumn("coins", "coin_metrics", "volume_sol", (needs,)),
        MissingColumn("coins", "exchange_rates", "sol_price_usd", (rates,)),
    ]
    check = health.health().checks["inputs"]
    assert check.status == "degraded"
    assert "coin_metrics.volume_sol" in str(check.message)
    assert "add the column again" in str(check.message)
    assert check.details["missing_columns"][1]["column"] == "volume_sol"
    assert 'ml_missing_input_columns{column="volume_sol",market="coins"} 1.0' in health.metrics_text().decode()
    store, models = PostgresActivationStore(database), PostgresModelStore(database)
    assert {row["id"]: row["missing_columns"] for row in store.active()}[needs] == ["volume_sol"]
    assert {row["id"]: row["missing_columns"] for row in store.active()}[other] == []
    assert store.missing_columns(models.get("off")) == ["coin_metrics.volume_sol"]
    assert store.missing_columns(models.get(rates)) == ["exchange_rates.sol_price_usd"]
    assert store.missing_columns(models.get(other)) == []


@pytest.mark.parametrize("statement", ["RENAME COLUMN mint TO coin", "RENAME TO elsewhere"])
def test_without_its_key_a_market_stands_still(database, tmp_path, statement):
    model = register(database, "w", ["price_close"])
    run(database, f"ALTER TABLE coin_metrics {statement}")
    first = missing_columns(database)[0]
    assert first == MissingColumn("coins", "coin_metrics", "mint", (model,), is_key=True)
    check = (
        health_service(Service(Settings(data_dir=tmp_path), database, Metrics()), timeout_s=60)
        .health()
        .checks["inputs"]
    )
    assert check.status == "degraded"
    assert "predicts no rows" in str(check.message)
    assert list(absent_columns(database, COINS, ["price_close"])) == (["price_close"] if "TO else" in statement else [])
