"""Lanes on a real feed: every row predicted once, with the bits that training would have seen."""

from contextlib import closing

import pytest

from feed_lanes import COINS, a_lane, drain, expected, stored
from kurswerk.market import market_named
from kurswerk.storage.feed import PostgresFeedSession
from served_models import RECURSIVE, START_US, STEP_US, WINDOWED, coin_rows, register, write_rows


def test_every_row_is_predicted_once_by_every_model_with_the_bits_of_batch(database, session):
    ids = [
        register(database, "w", WINDOWED),
        register(database, "r", RECURSIVE, seed=1),
        register(database, "f", WINDOWED, model_type="random_forest", seed=2),
    ]
    lane = a_lane(database, session)
    for start in range(0, 40, 8):
        write_rows(database, coin_rows(COINS, start, start + 8))
        assert drain(lane) == 8 * len(COINS)
    assert stored(database) == expected(database, ids)
    assert session.lag()[0] == 0


def test_a_correction_is_noted_with_the_predictions_that_did_not_know_it(database, session):
    ids = [register(database, "r", RECURSIVE)]
    lane = a_lane(database, session)
    rows = coin_rows(COINS, 0, 20)
    write_rows(database, rows)
    drain(lane)
    before = stored(database)
    key = (COINS[3], START_US + 12 * STEP_US)
    write_rows(database, {key: [value * 3 for value in rows[key]]})
    assert drain(lane) == 1
    assert stored(database) == before
    write_rows(database, coin_rows(COINS, 20, 23))
    drain(lane)
    right = expected(database, ids)
    found = stored(database)
    assert {k: v for k, v in found.items() if k not in before} == {k: v for k, v in right.items() if k not in before}
    with database.connection() as connection:
        assert connection.execute("SELECT coin_id, kind FROM coin_revisions").fetchall() == [(COINS[3], "corrected")]


def test_another_lane_takes_over_where_the_first_one_ended(database, session):
    ids = [register(database, "w", WINDOWED), register(database, "r", RECURSIVE)]
    first = a_lane(database, session)
    write_rows(database, coin_rows(COINS, 0, 10))
    drain(first)
    with closing(PostgresFeedSession(database, market_named())) as other_session:
        second = a_lane(database, other_session)
        assert second.partitions == frozenset()
        first.lease()  # gives half of its own back
        second.lease()
        assert len(first.partitions) == len(second.partitions) == 32
        write_rows(database, coin_rows(COINS, 10, 20))
        assert drain(first) + drain(second) == 10 * len(COINS)
        session.close()
        second.lease()
        assert len(second.partitions) == 64
        write_rows(database, coin_rows(COINS, 20, 30))
        assert drain(second) == 10 * len(COINS)
    assert stored(database) == expected(database, ids)


def test_a_batch_that_fails_comes_again_whole(database, session, monkeypatch):
    ids = [register(database, "r", RECURSIVE)]
    lane = a_lane(database, session)
    write_rows(database, coin_rows(COINS, 0, 5))
    drain(lane)
    write_rows(database, coin_rows(COINS, 5, 9))
    writer = type(session._writer)
    with monkeypatch.context() as patch:
        patch.setattr(writer, "_count", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            lane.step()
    assert len(stored(database)) == 5 * len(COINS)
    drain(lane)
    assert stored(database) == expected(database, ids)


def test_a_row_deleted_and_written_again_keeps_its_first_prediction(database, session):
    ids = [register(database, "w")]
    lane = a_lane(database, session)
    rows = coin_rows(COINS, 0, 6)
    write_rows(database, rows)
    drain(lane)
    with database.connection() as connection:
        connection.execute("DELETE FROM coin_metrics WHERE mint = %s", [COINS[0]])
    write_rows(database, rows | coin_rows(COINS[:1], 6, 7))
    assert drain(lane) == len(rows) // len(COINS) + 1
    assert stored(database) == expected(database, ids)


def test_a_model_that_cannot_be_loaded_misses_its_rows_and_the_others_go_on(database, session):
    good, bad = register(database, "good", WINDOWED), register(database, "bad", RECURSIVE, seed=3)
    with database.connection() as connection:
        connection.execute(
            "UPDATE ml_artifacts SET data = set_byte(data, 99, get_byte(data, 99) # 255) WHERE sha256 ="
            " (SELECT artifact_sha256 FROM ml_models WHERE id = %s)",
            [bad],
        )
    lane = a_lane(database, session)
    rows = coin_rows(COINS, 0, 12)
    keys = sorted(rows, key=lambda key: (key[1] // STEP_US % 3, key[1]))  # some come late
    write_rows(database, {key: rows[key] for key in keys[:70]})
    drain(lane)
    write_rows(database, {key: rows[key] for key in keys[70:]})
    drain(lane)
    assert {model for _, _, model in stored(database)} == {good}
    assert [served.fault is None for served in lane.active.models] == [True, False]
    assert session.models_with_missed_rows() == {bad}
    with database.connection() as connection:
        connection.execute(
            "UPDATE ml_artifacts SET data = set_byte(data, 99, get_byte(data, 99) # 255) WHERE sha256 ="
            " (SELECT artifact_sha256 FROM ml_models WHERE id = %s)",
            [bad],
        )
    lane.active.models[1].retry_at = 0.0
    lane.step()
    while lane.backfill(limit=30):
        pass
    assert not session.models_with_missed_rows()
    found = stored(database)
    assert set(found) == set(expected(database, [good, bad]))


def test_no_active_model_means_no_feed(database, session):
    lane = a_lane(database, session)
    write_rows(database, coin_rows(COINS, 0, 5))
    assert session.lag()[0] == 0
    ids = [register(database, "r", RECURSIVE)]
    write_rows(database, coin_rows(COINS, 5, 8))
    assert drain(lane) == 3 * len(COINS)
    right = expected(database, ids)
    assert stored(database) == {key: value for key, value in right.items() if key[1] >= START_US + 5 * STEP_US}


def test_alerts_and_counts_are_stored_with_the_predictions(database, session):
    model = register(database, "w", threshold=0.5)
    lane = a_lane(database, session, store_features="alerts")
    write_rows(database, coin_rows(COINS, 0, 8))
    drain(lane)
    scores = stored(database)
    with database.connection() as connection:
        alerts = connection.execute(
            "SELECT p.coin_id, p.score, p.features, a.probability = p.probability, a.threshold FROM predictions p"
            " LEFT JOIN prediction_alerts a ON a.prediction_id = p.id"
        ).fetchall()
        counts = connection.execute(
            "SELECT model_id, sum(predictions), sum(alerts) FROM prediction_counts GROUP BY 1"
        ).fetchone()
    raised = [row for row in alerts if row[3] is not None]
    assert len(raised) == sum(score >= 0.5 for score in scores.values()) > 0
    assert all((row[1] >= 0.5) == (row[2] is not None) for row in alerts)
    assert set(raised[0][2]) == set(WINDOWED)
    assert counts == (model, len(scores), len(raised))
