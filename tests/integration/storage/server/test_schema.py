"""What the migrated database looks like, and what its constraints refuse."""

from datetime import datetime
from typing import Any

import numpy as np
import psycopg
import pytest

from kurswerk.core.errors import ConstraintError
from kurswerk.core.timestamps import to_us
from kurswerk.market import COINS, MARKETS
from kurswerk.storage.predictions import create_partitions
from kurswerk.storage.server import Database, schema_status
from kurswerk.storage.server._series_tables import series_tables

MODEL: dict[str, Any] = {
    "name": "m",
    "model_type": "xgboost",
    "target_variable": "price_close",
    "train_start": "2024-01-01",
    "train_end": "2024-02-01",
}
TEST: dict[str, Any] = {"model_id": 1, "test_start": "2024-02-01", "test_end": "2024-03-01"}
COMPARISON: dict[str, Any] = {"model_a_id": 1, "model_b_id": 2, "test_start": "2024-02-01", "test_end": "2024-03-01"}
PREDICTION: dict[str, Any] = {
    "coin_id": "c",
    "timestamp": "2024-03-01",
    "model_id": 1,
    "prediction": 1,
    "probability": 0.5,
}
ALERT: dict[str, Any] = {
    "prediction_id": 1,
    "timestamp": "2024-03-01",
    "coin_id": "c",
    "model_id": 1,
    "probability": 0.9,
    "threshold": 0.7,
}
LINE: dict[str, Any] = {"job_id": 1, "attempt": 0, "level": "info", "message": "starting"}
COIN: dict[str, Any] = {"mint": "c", "timestamp": "2024-03-01"}


def insert(connection: psycopg.Connection[Any], table: str, row: dict[str, Any]) -> None:
    names = ", ".join(f'"{name}"' for name in row)
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join(['%s'] * len(row))})", list(row.values()))  # type: ignore[arg-type]


def seeded(connection: psycopg.Connection[Any]) -> None:
    insert(connection, "ml_models", MODEL)
    insert(connection, "ml_models", {**MODEL, "name": "n"})
    insert(connection, "ml_test_results", TEST)
    insert(connection, "ml_comparisons", {**COMPARISON, "test_a_id": 1, "winner_id": 1})
    insert(connection, "ml_jobs", {"job_type": "TRAIN", "result_model_id": 1})
    insert(connection, "ml_job_log", LINE)
    create_partitions(connection, np.array([to_us(datetime.fromisoformat(PREDICTION["timestamp"]))]))
    insert(connection, "predictions", PREDICTION)
    insert(connection, "prediction_alerts", ALERT)


# Beside those of markets.
OWN_TABLES = {
    "alert_deliveries",
    "alert_rules",
    "api_keys",
    "backup_runs",
    "backup_schedule",
    "coin_streams",
    "collected_coins",
    "collected_trades",
    "collector_gaps",
    "collectors",
    "exchange_rates",
    "joined_changes",
    "joined_seen",
    "missing_columns",
    "ml_artifacts",
    "ml_comparisons",
    "ml_job_log",
    "ml_jobs",
    "ml_models",
    "ml_test_results",
    "model_activations",
    "outcome_backlog",
    "outcome_corrections",
    "outcome_counts",
    "outcome_progress",
    "outcome_revisions",
    "outcomes",
    "pending_rows",
    "prediction_alerts",
    "prediction_backlog",
    "prediction_counts",
    "predictions",
    "procrastinate_events",
    "procrastinate_jobs",
    "procrastinate_periodic_defers",
    "procrastinate_workers",
    "ref_coin_phases",
    "sealed_moments",
    "sealed_values",
    "serving_replicas",
    "stock_classifications",
    "stock_fundamentals",
    "watchlist_instruments",
    "forecasts",
    "watchlists",
}


def test_the_tables_of_the_contract(database: Database):
    status = schema_status(database)
    assert status.up_to_date
    of_markets = {
        name
        for market in MARKETS.values()
        if not market.on_demand
        for name in (market.table, *vars(market.feed).values(), *series_tables(market))
        if name != market.relation or not market.series
    }
    assert {table.name for table in status.tables if table.owned} == of_markets | OWN_TABLES
    assert status.size_bytes > 1_000_000
    with database.connection() as connection:
        rows = connection.execute("SELECT * FROM ref_coin_phases ORDER BY id").fetchall()
        columns = connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'coin_metrics'::regclass AND attnum > 0 ORDER BY attnum"
        ).fetchall()
    assert rows[:3] == [(1, "Baby Zone", 5, 0, 10), (2, "Survival Zone", 30, 10, 60), (3, "Mature Zone", 60, 60, 1440)]
    assert [row[:2] for row in rows[3:]] == [(99, "Finished"), (100, "Graduated")]
    assert [row[0] for row in columns] == ["id", "mint", "timestamp", *COINS.columns]


def test_defaults(database: Database):
    with database.connection() as connection:
        seeded(connection)
        row = connection.execute("SELECT status, is_deleted, is_active, alert_threshold FROM ml_models").fetchone()
        job = connection.execute("SELECT status, progress FROM ml_jobs").fetchone()
    assert row is not None
    assert (*row[:3], float(row[3])) == ("TRAINING", False, False, 0.7)
    assert job == ("PENDING", 0.0)


def test_what_hangs_on_a_model_goes_with_it(database: Database):
    tables = ["ml_test_results", "ml_comparisons", "ml_jobs", "ml_job_log", "predictions", "prediction_alerts"]
    with database.connection() as connection:
        seeded(connection)
        connection.execute("DELETE FROM ml_models WHERE id = 1")
        left = [connection.execute(f"SELECT count(*) FROM {table}").fetchone() for table in tables]  # type: ignore[arg-type]
    assert left == [(0,)] * len(tables)


@pytest.mark.parametrize(
    ("table", "row", "constraint"),
    [
        ("ml_models", {**MODEL, "status": "DONE"}, "ml_models_status_check"),
        ("ml_models", {**MODEL, "name": ""}, "ml_models_name_check"),
        ("ml_models", {**MODEL, "alert_threshold": 1.1}, "ml_models_alert_threshold_check"),
        ("ml_models", {**MODEL, "target_operator": "<>"}, "ml_models_target_operator_check"),
        ("ml_models", {**MODEL, "target_direction": "left"}, "ml_models_target_direction_check"),
        ("ml_models", {**MODEL, "horizon_mode": "near"}, "ml_models_horizon_mode_check"),
        ("ml_models", {**MODEL, "future_minutes": 0}, "ml_models_future_minutes_check"),
        ("ml_models", {**MODEL, "price_change_percent": -1}, "ml_models_price_change_percent_check"),
        ("ml_models", {**MODEL, "train_end": "2024-01-01"}, "ml_models_period_check"),
        ("ml_models", {**MODEL, "mcc": -1.5}, "ml_models_mcc_check"),
        ("ml_models", {**MODEL, "training_f1": 2}, "ml_models_training_f1_check"),
        ("ml_models", {**MODEL, "roc_auc": float("nan")}, "ml_models_roc_auc_check"),
        ("ml_models", {**MODEL, "name": "o", "artifact_sha256": "0" * 64}, "ml_models_artifact_sha256_fkey"),
        ("ml_models", {**MODEL, "name": "m"}, "ml_models_name_key"),
        ("ml_artifacts", {"sha256": "xyz", "data": b"", "size": 0}, "ml_artifacts_sha256_check"),
        ("ml_artifacts", {"sha256": "0" * 64, "data": b"ab", "size": 1}, "ml_artifacts_size_check"),
        ("ml_test_results", {**TEST, "model_id": 9}, "ml_test_results_model_id_fkey"),
        ("ml_test_results", {**TEST, "test_end": "2024-02-01"}, "ml_test_results_period_check"),
        ("ml_test_results", {**TEST, "recall": -0.1}, "ml_test_results_recall_check"),
        ("ml_test_results", {**TEST, "tp": -1}, "ml_test_results_counts_check"),
        ("ml_comparisons", {**COMPARISON, "model_b_id": 1}, "ml_comparisons_models_check"),
        ("ml_comparisons", {**COMPARISON, "winner_id": 9}, "ml_comparisons_winner_check"),
        ("ml_comparisons", {**COMPARISON, "b_f1": 1.1}, "ml_comparisons_b_f1_check"),
        ("ml_jobs", {"job_type": "TEST", "status": "LATE"}, "ml_jobs_status_check"),
        ("ml_jobs", {"job_type": "TEST", "progress": 1.5}, "ml_jobs_progress_check"),
        ("ml_job_log", {**LINE, "job_id": 9}, "ml_job_log_job_id_fkey"),
        ("ml_job_log", {**LINE, "attempt": -1}, "ml_job_log_attempt_check"),
        ("ml_job_log", {**LINE, "level": "loud"}, "ml_job_log_level_check"),
        ("predictions", {**PREDICTION, "coin_id": "d", "prediction": 2}, "predictions_prediction_check"),
        ("predictions", {**PREDICTION, "coin_id": "d", "probability": 1.2}, "predictions_probability_check"),
        # The partition's own constraint is named.
        ("predictions", PREDICTION, "predictions_20240101_20250101_coin_id_timestamp_model_id_key"),
        ("prediction_alerts", {**ALERT, "threshold": -0.2}, "prediction_alerts_threshold_check"),
        ("coin_metrics", {**COIN, "buy_pressure_ratio": 1.5}, "coin_metrics_buy_pressure_ratio_check"),
        ("coin_metrics", {**COIN, "unique_signer_ratio": -1}, "coin_metrics_unique_signer_ratio_check"),
        ("coin_metrics", {"timestamp": "2024-03-01"}, "mint"),
        ("ref_coin_phases", {"id": 7, "name": "x", "interval_seconds": 0}, "ref_coin_phases_interval_check"),
        ("exchange_rates", {"sol_price_usd": 0}, "exchange_rates_positive_check"),
    ],
)
def test_what_the_constraints_refuse(database: Database, table: str, row: dict[str, Any], constraint: str):
    with database.connection() as connection:
        seeded(connection)
    with pytest.raises(ConstraintError) as caught, database.connection() as connection:
        insert(connection, table, row)
    assert caught.value.constraint == constraint


def test_every_foreign_key_has_an_index_that_begins_with_it(database: Database):
    with database.connection() as connection:
        bare = connection.execute(
            "SELECT c.conname FROM pg_constraint c WHERE c.contype = 'f' AND NOT EXISTS ("
            " SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1])"
        ).fetchall()
    assert bare == [("ml_comparisons_winner_id_fkey",)]  # always one of the two models, which have theirs
