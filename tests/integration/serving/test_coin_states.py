"""Stored states: a start continues from them with the same bits, and reads no more than it must."""

import numpy as np
import pytest

from feed_lanes import COINS, a_lane, drain, expected, stored
from kurswerk.market import market_named
from kurswerk.storage.feed import install_feed
from kurswerk.storage.feed._session import PostgresFeedTransaction
from kurswerk.storage.registry import PostgresActivationStore
from served_models import RECURSIVE, START_US, STEP_US, WINDOWED, coin_rows, register, write_rows


@pytest.fixture
def read(monkeypatch) -> list[int]:
    """Collect how many rows each look into the past returned."""
    found: list[int] = []
    history = PostgresFeedTransaction.history

    def counted(self, *args):
        panel = history(self, *args)
        found.append(len(panel))
        return panel

    monkeypatch.setattr(PostgresFeedTransaction, "history", counted)
    return found


def states(database) -> dict[str, int]:
    with database.connection() as connection:
        rows = connection.execute('SELECT coin_id, extract(epoch FROM "timestamp")::float8 FROM coin_states').fetchall()
    return {coin: round((seconds * 1e6 - START_US) / STEP_US) for coin, seconds in rows}


def since(database, ids, step: int):
    """Return what was predicted of rows from a step on, and what should have been."""
    from_us = START_US + step * STEP_US
    return (
        {key: value for key, value in stored(database).items() if key[1] >= from_us},
        {key: value for key, value in expected(database, ids).items() if key[1] >= from_us},
    )


def test_a_start_reads_only_the_rows_since(database, session, read):
    ids = [register(database, "r", RECURSIVE), register(database, "w", WINDOWED)]
    lane = a_lane(database, session)
    write_rows(database, coin_rows(COINS, 0, 40))
    drain(lane)
    assert lane.store_states(all_of_them=True) == len(COINS)
    assert lane.store_states(all_of_them=True) == 0
    write_rows(database, coin_rows(COINS, 40, 43))
    drain(lane)
    read.clear()
    second = a_lane(database, session)
    write_rows(database, coin_rows(COINS, 43, 45))
    drain(second)
    assert sum(read) == 5 * len(COINS)
    assert stored(database) == expected(database, ids)


def test_states_are_stored_after_so_many_rows(database, session):
    register(database, "r", RECURSIVE)
    lane = a_lane(database, session)
    write_rows(database, coin_rows(COINS, 0, 60))
    drain(lane)
    assert lane.store_states() == 0
    write_rows(database, coin_rows(COINS[:3], 60, 64))
    drain(lane)
    assert lane.store_states(most=2) == 2
    assert lane.store_states() == 1
    assert states(database) == dict.fromkeys(COINS[:3], 63)


def test_windows_alone_need_no_states(database, session):
    register(database, "w", WINDOWED)
    lane = a_lane(database, session)
    write_rows(database, coin_rows(COINS, 0, 70))
    drain(lane)
    assert lane.store_states(all_of_them=True) == 0


@pytest.mark.parametrize("late", [True, False])
def test_a_row_of_the_past_takes_its_coins_state_away(database, session, late):
    ids = [register(database, "r", RECURSIVE)]
    rows = coin_rows(COINS, 0, 20)
    key = (COINS[4], START_US + 7 * STEP_US)
    lane = a_lane(database, session)
    write_rows(database, {k: values for k, values in rows.items() if not late or k != key})
    drain(lane)
    lane.store_states(all_of_them=True)
    write_rows(database, {key: rows[key] if late else [3 * value for value in rows[key]]})
    drain(lane)
    assert set(states(database)) == set(COINS) - {COINS[4]}
    second = a_lane(database, session)
    write_rows(database, coin_rows(COINS, 20, 25))
    drain(second)
    found, right = since(database, ids, 20)
    assert found == right


def test_a_row_of_the_past_takes_states_away_that_nobody_uses(database, session):
    windowed, recursive = register(database, "w", WINDOWED), register(database, "r", RECURSIVE)
    store = PostgresActivationStore(database)
    lane = a_lane(database, session)
    write_rows(database, coin_rows(COINS, 0, 20))
    drain(lane)
    lane.store_states(all_of_them=True)
    store.deactivate(recursive)
    key = (COINS[2], START_US + 9 * STEP_US)
    write_rows(database, {key: [3 * value for value in coin_rows(COINS, 0, 20)[key]]})
    drain(a_lane(database, session))
    store.activate(recursive)
    write_rows(database, coin_rows(COINS, 20, 23))
    drain(a_lane(database, session))
    found, right = since(database, [windowed, recursive], 20)
    assert found == right


def test_without_a_model_that_can_be_loaded_states_are_kept_only_of_what_is_older(database, session):
    model = register(database, "r", RECURSIVE)
    lane = a_lane(database, session)
    write_rows(database, coin_rows(COINS, 0, 20))
    drain(lane)
    lane.store_states(all_of_them=True)
    with database.connection() as connection:
        artifacts = "UPDATE ml_artifacts SET data = set_byte(data, 99, get_byte(data, 99) # 255)"
        connection.execute(artifacts)
    write_rows(database, coin_rows(COINS[:3], 20, 21) | coin_rows(COINS[3:4], 5, 6, seed=1))
    drain(a_lane(database, session))
    assert set(states(database)) == set(COINS) - {COINS[3]}
    assert session.models_with_missed_rows() == {model}


def test_long_histories_are_read_of_few_coins_at_once(database, session, read):
    ids = [register(database, "r", RECURSIVE)]
    coins = [f"{k}long" for k in range(40)]
    write_rows(database, coin_rows(coins, 0, 30))
    drain(a_lane(database, session))
    read.clear()
    write_rows(database, coin_rows(coins, 30, 31))
    drain(a_lane(database, session))
    assert read == [16 * 31, 16 * 31, 8 * 31]
    assert stored(database) == expected(database, ids)


def test_a_row_of_the_past_after_the_states_moment_leaves_it(database, session, read):
    ids = [register(database, "r", RECURSIVE)]
    lane = a_lane(database, session)
    write_rows(database, coin_rows(COINS, 0, 20))
    drain(lane)
    lane.store_states(all_of_them=True)
    rows = coin_rows(COINS[:1], 20, 30)
    key = (COINS[0], START_US + 24 * STEP_US)
    write_rows(database, {k: values for k, values in rows.items() if k != key})
    drain(lane)
    read.clear()
    write_rows(database, {key: rows[key]})
    drain(lane)
    assert read == [10]
    assert states(database)[COINS[0]] == 19
    assert stored(database)[(*key, ids[0])] == expected(database, ids)[(*key, ids[0])]
    with database.connection() as connection:
        assert connection.execute("SELECT coin_id, kind FROM coin_revisions").fetchall() == [(COINS[0], "late")]


def test_states_of_other_features_are_not_used(database, session, read):
    ids = [register(database, "r", RECURSIVE)]
    lane = a_lane(database, session)
    write_rows(database, coin_rows(COINS, 0, 20))
    drain(lane)
    lane.store_states(all_of_them=True)
    ids.append(register(database, "w", WINDOWED))
    read.clear()
    write_rows(database, coin_rows(COINS, 20, 22))
    drain(lane)
    assert sum(read) == 22 * len(COINS)
    found, right = since(database, ids, 20)
    assert found == right


@pytest.mark.parametrize("cause", ["activation", "triggers"])
def test_states_are_forgotten_where_rows_may_have_come_without_a_notification(database, session, cause):
    model = register(database, "r", RECURSIVE)
    lane = a_lane(database, session)
    write_rows(database, coin_rows(COINS, 0, 8))
    drain(lane)
    lane.store_states(all_of_them=True)
    store = PostgresActivationStore(database)
    if cause == "activation":
        store.deactivate(model)
        assert set(states(database)) == set(COINS)
        store.activate(model)
    else:
        install_feed(database, market_named())
    assert states(database) == {}


def test_coins_beyond_the_bound_are_stored_and_come_back(database, session, read):
    ids = [register(database, "r", RECURSIVE)]
    lane = a_lane(database, session, max_instruments=5)
    for start in range(0, 12, 3):
        for coin in COINS:
            write_rows(database, coin_rows([coin], start, start + 3))
            drain(lane)
            assert lane.instruments <= 6
    assert len(states(database)) >= len(COINS) - 6
    assert stored(database) == expected(database, ids)
    assert max(read) <= 3


def test_whatever_happens_in_between_what_follows_is_as_in_batch(database, session):
    """Rows late, corrected, in order; states stored or not; lanes begun anew: the end is the same."""
    ids = [register(database, "r", RECURSIVE), register(database, "w", WINDOWED)]
    rng = np.random.default_rng(11)
    rows = coin_rows(COINS, 0, 90)
    waiting = sorted(rows, key=lambda key: key[1] + rng.normal() * 6 * STEP_US)
    lane = a_lane(database, session, max_instruments=9)
    written: list[tuple[str, int]] = []
    while waiting:
        part, waiting = waiting[:40], waiting[40:]
        fresh = {key: rows[key] for key in part}
        if written and rng.random() < 0.4:
            key = written[int(rng.integers(len(written)))]
            fresh[key] = [value * 1.5 for value in rows[key]]
        write_rows(database, fresh)
        written += part
        drain(lane)
        match rng.integers(4):
            case 0:
                lane.store_states(all_of_them=True)
            case 1:
                lane.store_states(most=3, all_of_them=True)
            case 2:
                lane = a_lane(database, session, max_instruments=9)
            case _:
                pass
    assert len(stored(database)) == len(rows) * len(ids)
    write_rows(database, coin_rows(COINS, 90, 93))
    drain(lane)
    found, right = since(database, ids, 90)
    assert found == right
