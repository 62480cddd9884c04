"""States of instruments: a start continues from stored ones with the same bits, and reads no more than it must."""

import numpy as np
import pytest

from contracts.feed_session import a_lane, drain
from memory_feed import MemoryFeedSession, MemoryFeedTransaction
from memory_world import MemoryWorld
from served_models import RECURSIVE, START_US, STEP_US, WINDOWED, coin_rows

COINS = [f"{k:03d}pump" for k in range(12)]


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld()


@pytest.fixture
def session(world: MemoryWorld) -> MemoryFeedSession:
    return world.open_session()


@pytest.fixture
def read(monkeypatch) -> list[int]:
    """Collect how many rows each look into the past returned."""
    found: list[int] = []
    history = MemoryFeedTransaction.history

    def counted(self, *args):
        panel = history(self, *args)
        found.append(len(panel))
        return panel

    monkeypatch.setattr(MemoryFeedTransaction, "history", counted)
    return found


def states(world: MemoryWorld) -> dict[str, int]:
    return {
        coin: round((state.timestamp_us - START_US) / STEP_US) for coin, (_, state) in world.feed.tables.states.items()
    }


def since(world: MemoryWorld, ids, step: int):
    """Return what was predicted of rows from a step on, and what should have been."""
    from_us = START_US + step * STEP_US
    return (
        {key: value for key, value in world.predictions().items() if key[1] >= from_us},
        {key: value for key, value in world.expected(ids).items() if key[1] >= from_us},
    )


def test_states_are_stored_after_so_many_rows(world, session):
    world.register("r", RECURSIVE)
    lane = a_lane(world, session)
    world.write(coin_rows(COINS, 0, 60))
    drain(lane)
    assert lane.store_states() == 0
    world.write(coin_rows(COINS[:3], 60, 64))
    drain(lane)
    assert lane.store_states(most=2) == 2
    assert lane.store_states() == 1
    assert states(world) == dict.fromkeys(COINS[:3], 63)


def test_windows_alone_need_no_states(world, session):
    world.register("w", WINDOWED)
    lane = a_lane(world, session)
    world.write(coin_rows(COINS, 0, 70))
    drain(lane)
    assert lane.store_states(all_of_them=True) == 0


@pytest.mark.parametrize("late", [True, False])
def test_a_row_of_the_past_takes_its_coins_state_away(world, session, late):
    ids = [world.register("r", RECURSIVE)]
    rows = coin_rows(COINS, 0, 20)
    key = (COINS[4], START_US + 7 * STEP_US)
    lane = a_lane(world, session)
    world.write({k: values for k, values in rows.items() if not late or k != key})
    drain(lane)
    lane.store_states(all_of_them=True)
    world.write({key: rows[key] if late else [3 * value for value in rows[key]]})
    drain(lane)
    assert set(states(world)) == set(COINS) - {COINS[4]}
    second = a_lane(world, session)
    world.write(coin_rows(COINS, 20, 25))
    drain(second)
    found, right = since(world, ids, 20)
    assert found == right


def test_a_row_of_the_past_takes_states_away_that_nobody_uses(world, session):
    windowed, recursive = world.register("w", WINDOWED), world.register("r", RECURSIVE)
    lane = a_lane(world, session)
    world.write(coin_rows(COINS, 0, 20))
    drain(lane)
    lane.store_states(all_of_them=True)
    model = world.feed.models.pop()
    assert model.id == recursive
    key = (COINS[2], START_US + 9 * STEP_US)
    world.write({key: [3 * value for value in coin_rows(COINS, 0, 20)[key]]})
    drain(a_lane(world, session))
    world.feed.models.append(model)
    world.write(coin_rows(COINS, 20, 23))
    drain(a_lane(world, session))
    found, right = since(world, [windowed, recursive], 20)
    assert found == right


def test_long_histories_are_read_of_few_coins_at_once(world, session, read):
    ids = [world.register("r", RECURSIVE)]
    coins = [f"{k}long" for k in range(40)]
    world.write(coin_rows(coins, 0, 30))
    drain(a_lane(world, session))
    read.clear()
    world.write(coin_rows(coins, 30, 31))
    drain(a_lane(world, session))
    assert read == [16 * 31, 16 * 31, 8 * 31]
    assert world.predictions() == world.expected(ids)


def test_a_row_of_the_past_after_the_states_moment_leaves_it(world, session, read):
    ids = [world.register("r", RECURSIVE)]
    lane = a_lane(world, session)
    world.write(coin_rows(COINS, 0, 20))
    drain(lane)
    lane.store_states(all_of_them=True)
    rows = coin_rows(COINS[:1], 20, 30)
    key = (COINS[0], START_US + 24 * STEP_US)
    world.write({k: values for k, values in rows.items() if k != key})
    drain(lane)
    read.clear()
    world.write({key: rows[key]})
    drain(lane)
    assert read == [10]
    assert states(world)[COINS[0]] == 19
    assert world.predictions()[(*key, ids[0])] == world.expected(ids)[(*key, ids[0])]
    assert [(kind, list(rows)) for kind, _, rows in world.feed.tables.revisions] == [("late", [COINS[0]])]


def test_states_of_other_features_are_not_used(world, session, read):
    ids = [world.register("r", RECURSIVE)]
    lane = a_lane(world, session)
    world.write(coin_rows(COINS, 0, 20))
    drain(lane)
    lane.store_states(all_of_them=True)
    ids.append(world.register("w", WINDOWED))
    read.clear()
    world.write(coin_rows(COINS, 20, 22))
    drain(lane)
    assert sum(read) == 22 * len(COINS)
    found, right = since(world, ids, 20)
    assert found == right


def test_coins_beyond_the_bound_are_stored_and_come_back(world, session, read):
    ids = [world.register("r", RECURSIVE)]
    lane = a_lane(world, session, max_instruments=5)
    for start in range(0, 12, 3):
        for coin in COINS:
            world.write(coin_rows([coin], start, start + 3))
            drain(lane)
            assert lane.instruments <= 6
    assert len(states(world)) >= len(COINS) - 6
    assert world.predictions() == world.expected(ids)
    assert max(read) <= 3


def test_whatever_happens_in_between_what_follows_is_as_in_batch(world, session):
    """Rows late, corrected, in order; states stored or not; lanes begun anew: the end is the same."""
    ids = [world.register("r", RECURSIVE), world.register("w", WINDOWED)]
    rng = np.random.default_rng(11)
    rows = coin_rows(COINS, 0, 90)
    waiting = sorted(rows, key=lambda key: key[1] + rng.normal() * 6 * STEP_US)
    lane = a_lane(world, session, max_instruments=9)
    written: list[tuple[str, int]] = []
    while waiting:
        part, waiting = waiting[:40], waiting[40:]
        fresh = {key: rows[key] for key in part}
        if written and rng.random() < 0.4:
            key = written[int(rng.integers(len(written)))]
            fresh[key] = [value * 1.5 for value in rows[key]]
        world.write(fresh)
        written += part
        drain(lane)
        match rng.integers(4):
            case 0:
                lane.store_states(all_of_them=True)
            case 1:
                lane.store_states(most=3, all_of_them=True)
            case 2:
                lane = a_lane(world, session, max_instruments=9)
            case _:
                pass
    assert len(world.predictions()) == len(rows) * len(ids)
    world.write(coin_rows(COINS, 90, 93))
    drain(lane)
    found, right = since(world, ids, 90)
    assert found == right
