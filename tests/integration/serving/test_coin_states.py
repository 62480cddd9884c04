"""Stored states: a start continues from them with the same bits, and reads no more than it must."""

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
