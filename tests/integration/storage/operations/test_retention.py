"""What is removed after a while, and what stays."""

import time

import numpy as np

from kurswerk.market import MARKETS
from kurswerk.storage.operations import clean_up
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
