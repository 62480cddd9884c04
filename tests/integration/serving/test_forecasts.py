"""Forecasts live: stored with their predictions, replayed, archived and removed with them."""

import numpy as np
import pytest

from feed_lanes import COINS, a_lane, drain, expected, stored
from kurswerk.archive import PredictionArchive
from kurswerk.core.errors import ConstraintError
from kurswerk.features import FeaturePlan
from kurswerk.labels import LabelSpec, compute_labels
from kurswerk.market import COINS as MARKET
from kurswerk.market import market_named
from kurswerk.models import Forecasts, OnnxModel, as_model_input
from kurswerk.oversight import live_performance, mature
from kurswerk.registry import load_model
from kurswerk.serving import PredictionFilter, predict_instrument, replay
from kurswerk.storage.markets import PostgresMarketStore
from kurswerk.storage.outcomes import PostgresOutcomeLog, PostgresOutcomeStore
from kurswerk.storage.predictions import PostgresPredictionStore, PredictionRetention, retain_predictions
from kurswerk.storage.registry import PostgresModelStore
from served_models import COLUMNS, START_US, STEP_US, coin_rows, register, register_forecast, write_rows

FORECASTS = """
SELECT p.coin_id, (extract(epoch FROM p."timestamp") * 1000000)::bigint, p.model_id, f.forecast::float8,
    f.low::float8, f.high::float8, p.prediction
FROM predictions p
JOIN forecasts f ON f.prediction_id = p.id AND f."timestamp" = p."timestamp" AND f.model_id = p.model_id"""


@pytest.fixture
def world(database, session):
    """A classifier and a forecast model that have predicted ten rows of each coin."""
    models = register(database, "class"), register_forecast(database, "return")
    lane = a_lane(database, session)
    write_rows(database, coin_rows(COINS, 0, 10))
    drain(lane)
    return models


def forecasts(database):
    with database.connection() as connection:
        return {tuple(row[:3]): row[3:] for row in connection.execute(FORECASTS).fetchall()}


def in_batch(database, model_id):
    models = PostgresModelStore(database)
    record = models.get(model_id)
    panel = PostgresMarketStore(database, market_named()).load_panel(COLUMNS)
    found = load_model(record, models).forecast(as_model_input(FeaturePlan(record.features, MARKET).compute(panel)))
    names = np.repeat(panel.instruments, np.diff(panel.offsets))
    return {
        (str(name), us, model_id): (float(f), float(low), float(high), int(f >= 0))
        for name, us, f, low, high in zip(names, panel.timestamps.tolist(), *found[1:], strict=True)
    }


def test_every_forecast_is_stored_beside_its_prediction_with_the_bits_of_batch(database, world):
    assert stored(database) == expected(database, list(world))
    assert forecasts(database) == in_batch(database, world[1])
    assert len(forecasts(database)) == 10 * len(COINS)


def test_a_batch_whose_forecasts_cannot_be_stored_leaves_no_prediction(database, session):
    register_forecast(database, "return")
    lane = a_lane(database, session)
    with database.connection() as connection:
        connection.execute("ALTER TABLE forecasts ADD CONSTRAINT none CHECK (false)")
    write_rows(database, coin_rows(COINS, 0, 2))
    with pytest.raises(ConstraintError):
        drain(lane)
    assert stored(database) == {}
    with database.connection() as connection:
        connection.execute("ALTER TABLE forecasts DROP CONSTRAINT none")
    assert drain(lane) == 2 * len(COINS)
    assert len(forecasts(database)) == len(stored(database)) == 2 * len(COINS)


def test_lists_and_single_predictions_show_forecasts_of_forecast_models_alone(database, world):
    log = PostgresPredictionStore(database)
    for row in (*log.find(PredictionFilter(coin_id=COINS[0])), *log.latest(COINS[0]), log.get(1)):
        assert (row["forecast"] is not None) == (row["model_id"] == world[1])
        assert "is_forecast" not in row
        if row["forecast"] is not None:
            assert row["low"] < row["forecast"] < row["high"]
            assert row["prediction"] == int(row["forecast"] >= 0)


def test_a_replay_compares_the_forecast_bit_by_bit(database, world):
    log, models = PostgresPredictionStore(database), PostgresModelStore(database)
    markets = {"coins": PostgresMarketStore(database, MARKET)}
    number = next(row["id"] for row in log.find(PredictionFilter(model_id=world[1])))
    found = replay(number, log, markets, models)
    assert found.equal
    assert np.float32(found.forecast) == np.float32(found.stored_forecast)
    with database.connection() as connection:
        connection.execute("UPDATE forecasts SET high = high + 1 WHERE prediction_id = %s", [number])
    assert not replay(number, log, markets, models).equal
    other = next(row["id"] for row in log.find(PredictionFilter(model_id=world[0])))
    assert (replay(other, log, markets, models).forecast, replay(other, log, markets, models).equal) == (None, True)


def test_one_row_is_forecast_on_demand_as_it_was_live(database, world):
    models = PostgresModelStore(database)
    records = [models.get(number) for number in world]
    found = predict_instrument(COINS[0], records, {"coins": PostgresMarketStore(database, MARKET)}, models)
    live = {row["model_id"]: row for row in PostgresPredictionStore(database).latest(COINS[0])}
    for one in found.predictions:
        names = ("forecast", "low", "high")
        assert [getattr(one, name) for name in names] == [live[one.model_id][name] for name in names]


def test_retention_archives_forecasts_with_their_predictions(database, world, tmp_path):
    archive = PredictionArchive(tmp_path)
    before = forecasts(database)
    log = PostgresPredictionStore(database, archive)
    listed = log.find(PredictionFilter(), 1000)
    assert retain_predictions(database, PredictionRetention(days=1, archive=archive))["archived"] == len(listed)
    with database.connection() as connection:
        assert connection.execute("SELECT count(*) FROM forecasts").fetchone() == (0,)
        left = connection.execute("SELECT relname FROM pg_class WHERE relname ^@ 'forecasts_detached'").fetchall()
        assert left == []
    assert log.find(PredictionFilter(), 1000) == listed
    number = next(row["id"] for row in listed if row["model_id"] == world[1])
    stored_one = log.stored_prediction(number)
    key = (stored_one.coin_id, stored_one.timestamp_us, stored_one.model_id)
    assert stored_one.forecast == before[key][:3]


def test_partitions_of_both_tables_are_the_same(database, world):
    query = """SELECT pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = %s::regclass ORDER BY 1"""
    with database.connection() as connection:
        both = [connection.execute(query, [name]).fetchall() for name in ("predictions", "forecasts")]
    assert both[0] == both[1] != []


def test_predictions_of_one_model_are_removed_with_their_forecasts(database, world):
    retain_predictions(database, PredictionRetention(model_days={world[1]: 1}))
    assert forecasts(database) == {}
    assert {model for _, _, model in stored(database)} == {world[0]}


def test_a_forecast_that_is_no_number_suspends_its_model_alone(database, world, session, monkeypatch):
    def nothing(runtime, X):
        return Forecasts(*(np.full(len(X), value, dtype=np.float32) for value in (0.5, np.nan, np.nan, np.nan)))

    monkeypatch.setattr(OnnxModel, "forecast", nothing)
    lane = a_lane(database, session)
    write_rows(database, coin_rows(COINS, 10, 12))
    drain(lane)
    assert [served.model.id for served in lane.active.faulty] == [world[1]]
    assert {model for _, us, model in stored(database) if us >= START_US + 10 * STEP_US} == {world[0]}
    monkeypatch.undo()
    for served in lane.active.faulty:
        served.retry_at = 0.0
    write_rows(database, coin_rows(COINS, 12, 13))
    drain(lane)
    assert lane.backfill() == 2 * len(COINS)
    assert forecasts(database) == in_batch(database, world[1])


def test_outcomes_of_forecasts_hold_the_return_and_give_error_and_coverage(database, world, session):
    model = world[1]
    lane = a_lane(database, session)
    write_rows(database, coin_rows(COINS, 10, 40))
    drain(lane)
    outcomes = PostgresOutcomeStore(database)
    while mature(outcomes, "coins", delay_s=0).judged:
        pass
    label = LabelSpec("price_close", minutes=1, is_return=True)
    panel = PostgresMarketStore(database, MARKET).load_panel(["price_close"])
    names = np.repeat(panel.instruments, np.diff(panel.offsets))
    returns = compute_labels(panel, label).returns
    keys = zip(names, panel.timestamps.tolist(), strict=True)
    right = {(str(name), us): float(np.float32(one)) for (name, us), one in zip(keys, returns, strict=True)}
    query = """
        SELECT coin_id, (extract(epoch FROM "timestamp") * 1000000)::bigint, actual_return::float8, label
        FROM outcomes WHERE model_id = %s AND reason IS NULL"""
    with database.connection() as connection:
        found = connection.execute(query, [model]).fetchall()
        others = connection.execute("SELECT count(actual_return) FROM outcomes WHERE model_id = %s", [world[0]])
        assert others.fetchone() == (0,)
    assert len(found) == 28 * len(COINS)
    for coin, us, actual, positive in found:
        assert actual == right[coin, us]
        assert positive == int(actual > 0)
    made = forecasts(database)
    pairs = [(actual, made[coin, us, model]) for coin, us, actual, _ in found]
    performance = live_performance(PostgresOutcomeLog(database), model, label)
    measured = performance.forecast
    assert measured.known == performance.counts.known == len(pairs)
    assert measured.mae == pytest.approx(np.mean([abs(actual - one[0]) for actual, one in pairs]))
    assert measured.bias == pytest.approx(np.mean([one[0] - actual for actual, one in pairs]), abs=1e-6)
    assert measured.interval_coverage == pytest.approx(np.mean([one[1] <= actual <= one[2] for actual, one in pairs]))
    threshold = LabelSpec("price_close", ">", 1.0)
    assert live_performance(PostgresOutcomeLog(database), world[0], threshold).forecast is None
    write_rows(database, {key: [value * 1.5 for value in row] for key, row in coin_rows(COINS[:1], 20, 21).items()})
    drain(lane)
    while mature(outcomes, "coins", delay_s=0).corrected:
        pass
    with database.connection() as connection:
        again = {tuple(row[:2]): row[2] for row in connection.execute(query, [model]).fetchall()}
    assert sum(again[coin, us] != actual for coin, us, actual, _ in found) >= 2


def test_a_partition_that_an_earlier_version_made_gets_its_forecasts(database, session):
    with database.connection() as connection:
        connection.execute(
            "CREATE TABLE predictions_20240101_x PARTITION OF predictions"
            " FOR VALUES FROM ('2024-01-01 00:00+00') TO ('2024-01-02 00:00+00')"
        )
    register_forecast(database, "return")
    write_rows(database, coin_rows(COINS, 0, 2))
    assert drain(a_lane(database, session)) == 2 * len(COINS)
    assert len(forecasts(database)) == 2 * len(COINS)
