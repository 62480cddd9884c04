"""Where the feed's rows come from: triggers, or looking at a table that may not be touched."""

import threading
import time

import psycopg
import pytest

from feed_lanes import COINS, a_lane, drain, expected, stored
from kurswerk.core.errors import ConflictError, NotFoundError, SpecError
from kurswerk.market import market_named
from kurswerk.serving import NotCertifiedError, activate
from kurswerk.storage.feed import PostgresFeedSession, install_feed, remove_feed
from kurswerk.storage.registry import PostgresActivationStore, PostgresModelStore
from kurswerk.storage.server import Database, upgrade
from served_models import COLUMNS, RECURSIVE, START_US, STEP_US, artifact, coin_rows, register, write_rows

FOREIGN = """
CREATE TABLE coin_metrics (mint text, "timestamp" timestamp, price_open numeric(20,8), price_high numeric(20,8),
    price_low numeric(20,8), price_close numeric(20,8), volume_sol numeric(20,8), buy_volume_sol numeric(20,8),
    sell_volume_sol numeric(20,8), remark text)"""


def feed(database: Database) -> list[tuple[str, int]]:
    with database.connection() as connection:
        return connection.execute("SELECT coin_id, kind FROM coin_feed ORDER BY id").fetchall()


def test_one_statement_one_notification(database: Database):
    register(database, "m")
    with psycopg.connect(database.url, autocommit=True) as listener:
        listener.execute("LISTEN kurswerk_feed")
        write_rows(database, coin_rows(COINS, 0, 50))
        received = [*listener.notifies(timeout=300, stop_after=1), *listener.notifies(timeout=0.3)]
        assert len(received) == 1
    assert len(feed(database)) == 50 * len(COINS)


def test_what_an_update_notifies(database: Database):
    rows = coin_rows(COINS[:2], 0, 2)
    write_rows(database, rows)
    register(database, "m")
    with database.connection() as connection:
        connection.execute("UPDATE coin_metrics SET price_close = 5 WHERE mint = %s", [COINS[0]])
    assert feed(database) == [(COINS[0], 1)] * 2
    with database.connection() as connection:
        connection.execute("DELETE FROM coin_feed")
        connection.execute("UPDATE coin_metrics SET mint = 'other' WHERE mint = %s", [COINS[0]])
    assert sorted(feed(database)) == [(COINS[0], 1)] * 2 + [("other", 0)] * 2


def test_a_load_of_history_does_not_hold_up_what_comes_meanwhile(database: Database, session: PostgresFeedSession):
    ids = [register(database, "w")]
    lane = a_lane(database, session, batch_rows=500)
    write_rows(database, coin_rows([f"old{k}" for k in range(11)], 0, 1000))
    write_rows(database, coin_rows(COINS, 0, 8))
    lane.step()
    assert {key for key in stored(database) if key[0] in COINS} == {(*key, ids[0]) for key in coin_rows(COINS, 0, 8)}
    drain(lane)
    assert stored(database) == expected(database, ids)


def test_a_deactivation_does_not_wait_for_a_batch(database: Database, session: PostgresFeedSession):
    model = register(database, "m")
    with session.transaction() as work:
        assert [one.id for one in work.active_models()] == [model]
        assert PostgresActivationStore(database).deactivate(model)


def test_the_first_activation_waits_for_those_who_are_writing(database: Database, session: PostgresFeedSession):
    register(database, "m", active=False)
    store, models = PostgresActivationStore(database), PostgresModelStore(database)
    done = threading.Event()

    def switch_on() -> None:
        activate("m", models, store)
        done.set()

    with database.connection() as connection:
        connection.execute("INSERT INTO coin_metrics (mint, \"timestamp\") VALUES ('early', now())")
        thread = threading.Thread(target=switch_on)
        thread.start()
        assert not done.wait(0.5)
    assert done.wait(300)
    thread.join()
    write_rows(database, coin_rows(COINS, 0, 1))
    lane = a_lane(database, session)
    drain(lane)
    assert {coin for coin, _, _ in stored(database)} == set(COINS)


def test_only_certified_models_are_activated(database: Database):
    store, models = PostgresActivationStore(database), PostgresModelStore(database)
    bad = register(database, "bad", active=False, certified=False)
    with pytest.raises(NotCertifiedError, match="future_rows") as raised:
        activate("bad", models, store)
    assert raised.value.failed_checks == ({"check": "future_rows", "message": "looks ahead"},)
    with pytest.raises(SpecError, match="reason"):
        activate("bad", models, store, force=True, reason=" ")
    assert activate("bad", models, store, force=True, reason="a trial")[1]
    assert not activate("bad", models, store, force=True, reason="again")[1]
    models.set_certificate(bad, {"certified": True, "artifact_sha256": "0" * 64})
    with pytest.raises(NotCertifiedError, match="another artifact"):
        activate("bad", models, store)
    with database.connection() as connection:
        connection.execute("UPDATE ml_models SET certificate = NULL")
        assert connection.execute("SELECT action, forced, reason FROM model_activations ORDER BY id").fetchall() == [
            ("activate", True, "a trial"),
            ("activate", True, "again"),
        ]
    with pytest.raises(NotCertifiedError, match="no certificate"):
        activate("bad", models, store)
    with pytest.raises(NotFoundError):
        activate("nobody", models, store)
    with pytest.raises(NotFoundError):
        store.deactivate(999)
    with pytest.raises(NotFoundError):
        store.reload(999)
    assert [row["name"] for row in store.active()] == ["bad"]
    assert store.deactivate(bad)
    assert not store.active()


def test_a_writer_without_end_is_not_waited_for(database: Database):
    from kurswerk.storage.feed._source import begin_feed  # noqa: PLC0415 - the patience is no public setting

    with database.connection() as connection, database.connection() as other:
        connection.execute("INSERT INTO coin_metrics (mint, \"timestamp\") VALUES ('early', now())")
        with pytest.raises(ConflictError, match="load of history"):
            begin_feed(other, market_named(), patience_s=0.1)


def test_models_come_go_and_are_replaced_between_rows(database: Database, session: PostgresFeedSession):
    store, models = PostgresActivationStore(database), PostgresModelStore(database)
    first = register(database, "first", active=False)
    second = register(database, "second", RECURSIVE, active=False, data=artifact(RECURSIVE, seed=4))
    activate("first", models, store)
    lane = a_lane(database, session)
    write_rows(database, coin_rows(COINS, 0, 10))
    drain(lane)
    activate("second", models, store)
    write_rows(database, coin_rows(COINS, 10, 20))
    drain(lane)
    store.deactivate(first)
    store.reload(second)
    write_rows(database, coin_rows(COINS, 20, 30))
    drain(lane)
    right = expected(database, [first, second])

    def at(key: tuple[str, int, int]) -> int:
        return (key[1] - START_US) // STEP_US

    assert stored(database) == {
        key: value
        for key, value in right.items()
        if (key[2] == first and at(key) < 20) or (key[2] == second and at(key) >= 10)
    }


def test_a_table_that_may_not_be_touched_is_looked_at(bare_database: Database):
    with bare_database.connection() as connection:
        connection.execute(FOREIGN)
    upgrade(bare_database)
    write_rows(bare_database, coin_rows(COINS, 0, 10))
    session = PostgresFeedSession(bare_database, market_named())
    store, models = PostgresActivationStore(bare_database), PostgresModelStore(bare_database)
    register(bare_database, "r", RECURSIVE, active=False)
    assert session.poll_table() == 0
    activate("r", models, store)
    assert session.poll_table() == 0  # what was there is not predicted
    rows = coin_rows(COINS, 10, 15)
    write_rows(bare_database, rows)
    lane = a_lane(bare_database, session)
    assert session.poll_table() == 5 * len(COINS)
    assert session.poll_table() == 0
    drain(lane)
    # An earlier moment committed later, and a correction
    key = (COINS[0], START_US + 14 * STEP_US)
    late = {(COINS[1], START_US + 13 * STEP_US + 7): rows[key]}
    write_rows(bare_database, {key: [2 * value for value in rows[key]]} | late)
    assert session.poll_table() == 2
    assert drain(lane) == 2
    write_rows(bare_database, coin_rows(COINS, 15, 18))
    assert session.poll_table() == 3 * len(COINS)
    drain(lane)
    with bare_database.connection() as connection:
        kinds = connection.execute("SELECT kind, coin_id FROM coin_revisions ORDER BY 1").fetchall()
    assert kinds == [("corrected", COINS[0]), ("late", COINS[1])]
    new = {key: value for key, value in expected(bare_database, [1]).items() if key[1] >= START_US + 15 * STEP_US}
    assert {key: value for key, value in stored(bare_database).items() if key in new} == new
    assert install_feed(bare_database, market_named())
    assert not install_feed(bare_database, market_named())
    write_rows(bare_database, coin_rows(COINS, 18, 20))
    assert session.poll_table() == 0
    assert drain(lane) == 2 * len(COINS)
    assert remove_feed(bare_database, market_named())
    assert not remove_feed(bare_database, market_named())
    session.close()


def test_waiting_returns_as_soon_as_there_is_something(database: Database, session: PostgresFeedSession):
    register(database, "m")
    timer = threading.Timer(0.2, lambda: write_rows(database, coin_rows(COINS, 0, 1)))
    timer.start()
    started = time.monotonic()
    while not session.lag()[0] and time.monotonic() < started + 300:
        session.lease()
        session.wait(300)
    assert time.monotonic() - started < 120  # it was woken, and did not wait to the end
    timer.join()
    assert session.lag()[0] == len(COINS)


def test_columns_that_are_not_there_are_missing_values(database: Database, session: PostgresFeedSession):
    assert "price_close" in COLUMNS
    ids = [register(database, "m", ("price_close", "sol_price_usd", "is_koth", "num_buys"))]
    lane = a_lane(database, session)
    with database.connection() as connection:
        connection.execute("INSERT INTO exchange_rates (created_at, sol_price_usd) VALUES ('2023-01-01', 99)")
    write_rows(database, coin_rows(COINS, 0, 3))
    drain(lane)
    assert len(stored(database)) == 3 * len(COINS) * len(ids)
