"""What is removed after a while, and what stays."""

import threading
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from kurswerk.core.errors import StorageError
from kurswerk.market import MARKETS
from kurswerk.storage.jobs import FolderJobFiles
from kurswerk.storage.operations import Retention, clean_up, clean_up_regularly
from kurswerk.storage.operations import _retention as retention
from kurswerk.storage.predictions import PostgresPredictionStore, create_partitions
from kurswerk.storage.registry import PostgresModelStore
from kurswerk.storage.server import Database
from served_models import register

FILLED = """
INSERT INTO prediction_counts (slot, minute, model_id, predictions, alerts)
SELECT slot, date_trunc('minute', now()) - k * interval '7 hours', model, k + slot, slot
FROM generate_series(0, 29) k, generate_series(0, 1) slot, unnest(ARRAY{models}) model;
INSERT INTO alert_rules (id, name, model_ids, channel, cooldown_seconds)
VALUES (1, 'short', '{{}}', 'database', 0), (2, 'long', '{{}}', 'database', 3456000);
INSERT INTO alert_deliveries (rule_id, coin_id, "timestamp", model_ids, probability, status, created_at)
SELECT rule, status || days, now(), '{{}}', 0.5, status, now() - days * interval '1 day'
FROM unnest(ARRAY[1, 2]) rule, unnest(ARRAY['PENDING', 'SENT', 'FAILED']) status, unnest(ARRAY[29, 31, 41]) days;
INSERT INTO coin_states (coin_id, definition, "timestamp", state, saved_at)
SELECT 'c' || days, '', now(), '', now() - days * interval '1 day' FROM unnest(ARRAY[29, 31]) days;
INSERT INTO prediction_backlog (model_id, coin_id, "timestamp", partition, first_prediction_id)
SELECT model, 'owed' || model, now(), 0, 1 FROM unnest(ARRAY{models}) model;
INSERT INTO predictions (id, coin_id, "timestamp", model_id, prediction, probability)
VALUES (7, 'predicted', now(), {active}, 0, 0.1);
INSERT INTO coin_revisions (coin_id, first_prediction_id, kind, timestamps, created_at)
SELECT coin, 9, 'late', ARRAY[now()], now() - hours * interval '1 hour'
FROM unnest(ARRAY['predicted', 'gone', 'owed{active}', 'owed{deleted}', 'fresh']) coin,
    unnest(ARRAY[0, 3]) hours WHERE (hours = 0) = (coin = 'fresh')"""


def column(database: Database, query: str) -> list[object]:
    with database.connection() as connection:
        return [row[0] for row in connection.execute(query.encode())]


def test_what_nobody_needs_is_removed_and_sums_stay(database: Database):
    active, passive, deleted = ids = [
        register(database, "a"),
        register(database, "p", active=False),
        register(database, "d"),
    ]
    PostgresModelStore(database).delete(deleted)
    with database.connection() as connection:
        create_partitions(connection, np.array([time.time_ns() // 1000]))
        connection.execute(FILLED.format(models=ids, active=active, deleted=deleted).encode())
    log = PostgresPredictionStore(database)
    before = log.stats()
    by_model = (
        "SELECT sum(predictions) || ' ' || sum(alerts) FROM prediction_counts GROUP BY model_id ORDER BY model_id"
    )
    sums = column(database, by_model)

    done = clean_up(database)

    assert (log.stats(), column(database, by_model)) == (before, sums)
    assert before["total_predictions"] == 3 * (29 * 30 + 30)
    old = "FROM prediction_counts WHERE minute < date_trunc('day', now(), 'UTC') - interval '2 days'"
    assert column(database, f"SELECT slot {old} AND slot >= 0") == []
    days = column(database, f"SELECT count(DISTINCT minute) {old}")[0]
    assert column(database, f"SELECT count(*) {old}") == [3 * int(str(days))]
    assert column(database, "SELECT count(*) > 0 FROM prediction_counts WHERE slot >= 0") == [True]
    kept = [*(f"{s}29" for s in ("FAILED", "PENDING", "SENT")), "PENDING31", "PENDING41"]
    in_rule = "SELECT coin_id FROM alert_deliveries WHERE rule_id = {} ORDER BY coin_id"
    assert column(database, in_rule.format(1)) == sorted(kept)
    assert column(database, in_rule.format(2)) == sorted([*kept, "FAILED31", "SENT31"])
    assert column(database, "SELECT coin_id FROM coin_states") == ["c29"]
    assert column(database, "SELECT model_id FROM prediction_backlog") == [active]
    revised = column(database, "SELECT coin_id FROM coin_revisions ORDER BY 1")
    assert revised == ["fresh", f"owed{active}", "predicted"]
    assert done == {
        "prediction_counts": done["prediction_counts"],
        "alert_deliveries": 6,
        "coin_states": 1,
        "prediction_backlog": 2,
        "coin_revisions": 2,
        "candles_states": 0,
        "candles_revisions": 0,
        "historical_stock_data_states": 0,
        "historical_stock_data_revisions": 0,
    }
    # A second time there is nothing left to do, and what comes for a day that is folded joins it.
    assert set(clean_up(database).values()) == {0}
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO prediction_counts SELECT 3, now() - interval '5 days', model_id, 5, 1 FROM prediction_counts"
            " GROUP BY model_id"
        )
    clean_up(database)
    assert log.stats()["total_predictions"] == before["total_predictions"] + 15
    assert passive not in column(database, "SELECT model_id FROM prediction_backlog")


def test_one_process_at_a_time(database: Database):
    with database.connection() as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [0x4B5774])
        assert clean_up(Database(database.url)) == {}
    assert len(clean_up(database)) == 3 + 2 * len([market for market in MARKETS.values() if not market.on_demand])


AGED = """
INSERT INTO prediction_alerts (prediction_id, "timestamp", coin_id, model_id, probability, threshold, created_at)
SELECT days, now(), 'c', {model}, 0.9, 0.7, now() - days * interval '1 day' FROM generate_series(1, 20) days;
INSERT INTO ml_jobs (id, job_type, status, created_at, completed_at, result)
SELECT days, 'FEATURES', (ARRAY['COMPLETED', 'FAILED', 'CANCELLED', 'PENDING', 'PENDING'])[1 + days % 5],
    now() - days * interval '1 day', now() - days * interval '1 day', jsonb_build_object('path', 'exports/' || days)
FROM generate_series(1, 20) days;
INSERT INTO ml_job_log (job_id, attempt, level, message) SELECT id, 0, 'info', 'a' FROM ml_jobs;
INSERT INTO coin_feed (partition, coin_id, "timestamp", created_at)
SELECT 0, 'c', now(), now() - days * interval '1 day' FROM generate_series(1, 20) days"""


@pytest.fixture
def aged(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A record of each of the last twenty days in many tables; few are removed at once."""
    monkeypatch.setattr(retention, "_ROWS_AT_ONCE", 3)
    model = register(database, "m", active=False)
    with database.connection() as connection:
        for statement in AGED.format(model=model).split(";"):
            connection.execute(statement.encode())
    return database


def test_each_setting_removes_what_is_older(aged: Database, tmp_path: Path):
    """Of jobs those alone that have ended, with their log and their files."""
    (tmp_path / "exports").mkdir()
    for day in range(1, 21):
        (tmp_path / "exports" / str(day)).write_text("")
    kept = Retention(alerts_days=12, jobs_days=15, job_log_days=5, feed_days=18)
    done = clean_up(aged, kept, remove_file=FolderJobFiles(tmp_path).remove)
    ended = [day for day in range(1, 21) if day % 5 < 3]
    old = [day for day in ended if day >= 15]
    assert (done["prediction_alerts"], done["coin_feed"], done["ml_jobs"]) == (9, 3, len(old))
    assert done["ml_job_log"] == sum(day >= 5 for day in ended)
    assert column(aged, "SELECT prediction_id FROM prediction_alerts ORDER BY 1") == list(range(1, 12))
    left = [day for day in range(1, 21) if day not in old]
    assert column(aged, "SELECT id FROM ml_jobs ORDER BY 1") == left
    assert sorted(int(path.name) for path in (tmp_path / "exports").iterdir()) == left
    assert column(aged, "SELECT job_id FROM ml_job_log ORDER BY 1") == [d for d in left if d < 5 or d not in ended]
    assert set(clean_up(aged, kept).values()) == {0}


def test_nothing_of_that_is_removed_where_nothing_is_set(aged: Database):
    done = clean_up(aged, Retention(deliveries_days=None, states_days=None))
    assert set(done.values()) == {0}
    assert "coin_feed" not in done
    assert "alert_deliveries" not in done


def test_revisions_stay_while_an_archive_holds_predictions(database: Database):
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO coin_revisions (coin_id, first_prediction_id, kind, timestamps, created_at)"
            " VALUES ('c', 1, 'late', ARRAY[now()], now() - interval '1 day')"
        )
    assert clean_up(database, Retention(keep_revisions=True))["coin_revisions"] == 0
    assert clean_up(database)["coin_revisions"] == 1


def test_a_step_that_fails_keeps_no_other_from_its_work():
    stop, done = threading.Event(), []

    def fails() -> Mapping[str, int]:
        raise StorageError("database.statement_refused", reason="none")

    def works() -> Mapping[str, int]:
        done.append(1)
        if len(done) == 2:
            stop.set()
        return {}

    clean_up_regularly([fails, works], stop, interval_s=0.001)
    assert done == [1, 1]
