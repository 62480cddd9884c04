"""Models that compare instruments, live: each row once, against the members of its sealed moment, bit for bit."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import closing

import numpy as np
import pytest

from feed_lanes import COINS, a_lane, drain, stored
from kurswerk.core.errors import ConflictError
from kurswerk.features import FeaturePlan
from kurswerk.market import COINS as MARKET
from kurswerk.models import as_model_input
from kurswerk.registry import load_model
from kurswerk.serving import MomentOptions, replay
from kurswerk.storage.feed import PostgresFeedSession
from kurswerk.storage.markets import PostgresMarketStore
from kurswerk.storage.predictions import PostgresPredictionStore
from kurswerk.storage.registry import PostgresModelStore
from served_models import COLUMNS, RECURSIVE, START_US, STEP_US, WINDOWED, coin_rows, register, write_rows

# Twelve rows a minute; the last one stands right at its end.
PER_MINUTE = 12
COMPARING = ("price_change_1", "market_rank_price_change_1", "market_zscore_price_change_5", "market_mean_ema_20",
             "market_breadth_price_change_1")  # fmt: skip
REGRESSING = ("beta_4", "residual_return_4", "market_rank_price_close")
AT_ONCE = {"moments": MomentOptions(bucket_grace_s=0.0)}


def predict(lane) -> int:
    """Take all rows and all moments that are due."""
    total = 0
    while True:
        rows = drain(lane) + lane.predict_moment().rows
        total += rows
        if not rows:
            return total


def expected(database, model_ids):
    """What batch gives of all stored rows, with the members that were sealed."""
    models, market = PostgresModelStore(database), PostgresMarketStore(database, MARKET)
    panel = market.mark_outsiders(market.load_panel(COLUMNS))
    names, found = np.repeat(panel.instruments, np.diff(panel.offsets)).tolist(), {}
    for model_id in model_ids:
        record = models.get(model_id)
        features = as_model_input(FeaturePlan(record.features, MARKET).compute(panel))
        scores = load_model(record, models).predict_proba(features)
        found |= {(n, us, model_id): s for n, us, s in zip(names, panel.timestamps.tolist(), scores, strict=True)}
    return found


def count(database, table):
    with database.connection() as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def replays_alike(database, every=7):
    models, log = PostgresModelStore(database), PostgresPredictionStore(database)
    markets = {"coins": PostgresMarketStore(database, MARKET)}
    with database.connection() as connection:
        ids = [row[0] for row in connection.execute("SELECT id FROM predictions ORDER BY id").fetchall()]
    return all(replay(number, log, markets, models).equal for number in ids[::every])


def test_rows_are_compared_at_sealed_moments_with_the_bits_of_batch_and_replay(database, session):
    ids = [register(database, "c", COMPARING), register(database, "w", WINDOWED, seed=1),
           register(database, "b", REGRESSING, seed=2), register(database, "r", RECURSIVE, seed=3)]  # fmt: skip
    lane = a_lane(database, session, **AT_ONCE)
    for start, stop in ((0, 9), (9, 14), (14, 25), (25, 40)):
        write_rows(database, coin_rows(COINS, start, stop))
        predict(lane)
    assert stored(database) == expected(database, ids)
    assert count(database, "sealed_moments") == 4
    # Rows that a later moment's members need wait for it; nothing else is left.
    assert count(database, "pending_rows") == 3 * len(COINS)
    assert replays_alike(database)


def test_a_row_behind_the_seal_is_compared_with_its_members_and_becomes_none(database, session):
    ids = [register(database, "c", COMPARING)]
    lane = a_lane(database, session, **AT_ONCE)
    rows = coin_rows(COINS, 0, 30)
    late = {key: value for key, value in rows.items() if key[0] == COINS[4] and key[1] >= START_US + 12 * STEP_US}
    write_rows(database, {key: value for key, value in rows.items() if key not in late})
    predict(lane)
    before = stored(database)
    assert len(before) == len(rows) - len(late)
    write_rows(database, late)
    predict(lane)
    write_rows(database, coin_rows(COINS, 30, 40))
    predict(lane)
    found = stored(database)
    assert {key: found[key] for key in before} == before
    assert found == expected(database, ids)
    market = PostgresMarketStore(database, MARKET)
    panel = market.mark_outsiders(market.load_panel(COLUMNS))
    outside = panel.timestamps[panel.outsiders]
    assert set(np.array(panel.instruments)[panel.codes[panel.outsiders]]) == {COINS[4]}
    assert outside.max() == START_US + 24 * STEP_US
    assert replays_alike(database)


def test_values_of_rows_changed_before_the_seal_are_computed_again(database, session):
    ids = [register(database, "c", COMPARING)]
    lane = a_lane(database, session, moments=MomentOptions(bucket_grace_s=0.0, clock="rows"))
    rows = coin_rows(COINS, 0, 13)
    held = (COINS[2], START_US + 5 * STEP_US)
    write_rows(database, {key: value for key, value in rows.items() if key != held})
    drain(lane)
    write_rows(database, {held: rows[held]})  # late, and changes all that follows of its coin
    corrected = (COINS[3], START_US + 12 * STEP_US)
    write_rows(database, {corrected: [2 * value for value in rows[corrected]]})
    predict(lane)
    write_rows(database, coin_rows(COINS, 13, 26))
    predict(lane)
    found, right = stored(database), expected(database, ids)
    after = {key for key in found if key[1] >= START_US + 12 * STEP_US}
    assert {key: found[key] for key in after} == {key: right[key] for key in after}


def test_by_the_rows_clock_a_moment_waits_for_a_later_row(database, session):
    register(database, "c", COMPARING)
    lane = a_lane(database, session, moments=MomentOptions(bucket_grace_s=5.0, clock="rows"))
    write_rows(database, coin_rows(COINS, 0, 1))
    assert drain(lane) == len(COINS)
    assert lane.predict_moment().rows == 0
    write_rows(database, coin_rows(COINS[:1], 1, 2))
    drain(lane)
    assert lane.predict_moment().rows == len(COINS) + 1
    assert count(database, "sealed_moments") == 1


def test_lanes_share_rows_and_one_takes_the_moments(database, session):
    ids = [register(database, "c", COMPARING), register(database, "b", REGRESSING, seed=2)]
    first = a_lane(database, session, **AT_ONCE)
    with closing(PostgresFeedSession(database, MARKET)) as other:
        second = a_lane(database, other, **AT_ONCE)
        first.lease()
        second.lease()
        for start in range(0, 36, 9):
            write_rows(database, coin_rows(COINS, start, start + 9))
            # A moment waits for rows that the other lane has not taken.
            assert drain(first) > 0
            blocked = first.predict_moment().rows + second.predict_moment().rows
            assert start > 0 or blocked == 0
            assert drain(second) > 0
            while first.predict_moment().rows + second.predict_moment().rows:
                pass
        session.close()
        second.lease()
        write_rows(database, coin_rows(COINS, 36, 50))
        predict(second)
    assert stored(database) == expected(database, ids)


def test_a_moment_that_fails_comes_again_whole_and_a_faulty_model_catches_up(database, session, monkeypatch):
    ids = [register(database, "c", COMPARING)]
    lane = a_lane(database, session, **AT_ONCE)
    write_rows(database, coin_rows(COINS, 0, 13))
    drain(lane)
    with monkeypatch.context() as patch:
        patch.setattr(type(session._writer), "_count", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            lane.predict_moment()
    assert (stored(database), count(database, "sealed_moments")) == ({}, 0)
    served = lane.active.comparing[0]
    with monkeypatch.context() as patch:
        patch.setattr(served, "predict", lambda X: 1 / 0)
        while lane.predict_moment().rows:
            pass
    assert stored(database) == {}
    served.retry_at = 0.0
    write_rows(database, coin_rows(COINS, 13, 14))
    predict(lane)
    while lane.backfill():
        pass
    assert stored(database) == expected(database, ids)


def test_rows_wait_for_models_that_compare_only(database, session):
    model = register(database, "c", COMPARING)
    register(database, "w", WINDOWED, seed=1)
    lane = a_lane(database, session, moments=MomentOptions(bucket_grace_s=1e12))
    write_rows(database, coin_rows(COINS, 0, 3))
    predict(lane)
    assert count(database, "pending_rows") == 3 * len(COINS)
    with database.connection() as connection:
        connection.execute("UPDATE ml_models SET is_active = false WHERE id = %s", [model])
    write_rows(database, coin_rows(COINS, 3, 4))
    lane._moments._options = MomentOptions(bucket_grace_s=0.0)
    predict(lane)
    assert count(database, "pending_rows") == 0
    assert len(stored(database)) == 4 * len(COINS)


def test_a_replay_without_its_moment_is_refused(database, session):
    register(database, "c", COMPARING)
    lane = a_lane(database, session, **AT_ONCE)
    write_rows(database, coin_rows(COINS, 0, 2))
    predict(lane)
    with database.connection() as connection:
        connection.execute("DELETE FROM sealed_moments")
    with pytest.raises(ConflictError, match="no longer kept"):
        replays_alike(database)


_LANE = """
import sys
from feed_lanes import a_lane, drain
from kurswerk.market import COINS
from kurswerk.serving import MomentOptions
from kurswerk.storage.feed import PostgresFeedSession
from kurswerk.storage.server import Database
database = Database(sys.argv[1])
lane = a_lane(database, PostgresFeedSession(database, COINS), batch_rows=7, moments=MomentOptions(bucket_grace_s=0.0))
print("ready", flush=True)
while True:
    lane.step(), lane.predict_moment(), lane.backfill(), lane.lease()
"""


@pytest.mark.slow
def test_killed_at_any_moment_nothing_is_lost_and_nothing_is_double(database):
    ids = [register(database, "c", COMPARING), register(database, "b", REGRESSING, seed=2)]
    rng, path = random.Random(4), os.pathsep.join(sys.path)
    rows = coin_rows(COINS, 0, 100)
    for start in range(0, 100, 5):
        span = range(START_US + start * STEP_US, START_US + (start + 5) * STEP_US)
        write_rows(database, {key: value for key, value in rows.items() if key[1] in span})
        command = [sys.executable, "-c", textwrap.dedent(_LANE), database.url]
        environment = {**os.environ, "PYTHONPATH": path}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(rng.uniform(0.0, 0.4))
            process.send_signal(signal.SIGKILL)
    with closing(PostgresFeedSession(database, MARKET)) as session:
        predict(a_lane(database, session, **AT_ONCE))
    found = stored(database)
    assert len(found) == len(rows) * len(ids)
    assert found == expected(database, ids)
