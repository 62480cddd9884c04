"""Exchange rates that come late: predictions go on with them, and those that did not know them are named."""

from collections.abc import Sequence
from contextlib import closing

import numpy as np
import pytest

from feed_lanes import COINS, a_lane, drain, stored
from kurswerk.features import FeaturePlan
from kurswerk.market import COINS as MARKET
from kurswerk.models import as_model_input
from kurswerk.registry import load_model
from kurswerk.serving import Lane, Replay, replay
from kurswerk.storage.feed import PostgresFeedSession, install_feed, remove_feed
from kurswerk.storage.markets import PostgresMarketStore
from kurswerk.storage.operations import clean_up
from kurswerk.storage.predictions import PostgresPredictionStore
from kurswerk.storage.registry import PostgresActivationStore, PostgresModelStore
from kurswerk.storage.server import Database
from served_models import RECURSIVE, START_US, STEP_US, coin_rows, register, write_rows

RATES = ("price_close", "sol_price_usd", "sol_price_change_pct")
LONG_RATES = ("ema_20", "sol_price_usd", "sol_price_change_pct")  # one of all rows, so that states are stored
Key = tuple[str, int, int]


def at(step: float) -> int:
    return round(START_US + step * STEP_US)


def change_rates(database: Database, statement: str, *values: float) -> None:
    """Run a statement on exchange rates; ``MOMENT`` stands for a moment in microseconds."""
    moment = "timestamptz 'epoch' + %s * interval '1 microsecond'"
    with database.connection() as connection:
        connection.execute(statement.replace("MOMENT", moment).encode(), values)


def add_rate(database: Database, step: float, price: float) -> None:
    change_rates(
        database, "INSERT INTO exchange_rates (created_at, sol_price_usd) VALUES (MOMENT, %s)", at(step), price
    )


def in_batch(database: Database, models: Sequence[int]) -> dict[Key, np.float32]:
    """Compute the predictions of all rows from the tables as they are."""
    registry, found = PostgresModelStore(database), {}
    for model in models:
        record = registry.get(model)
        plan = FeaturePlan(record.features, MARKET)
        panel = PostgresMarketStore(database, MARKET).load_panel(MARKET.in_order(plan.inputs))
        scores = load_model(record, registry).predict_proba(as_model_input(plan.compute(panel)))
        names = np.repeat(np.array(panel.instruments, dtype=object), np.diff(panel.offsets))
        for name, us, score in zip(names, panel.timestamps.tolist(), scores, strict=True):
            found[str(name), us, model] = np.float32(score)
    return found


def replays(database: Database) -> dict[Key, Replay]:
    log, models = PostgresPredictionStore(database), PostgresModelStore(database)
    markets = {MARKET.name: PostgresMarketStore(database, MARKET)}
    with database.connection() as connection:
        rows = connection.execute(
            'SELECT id, coin_id, (extract(epoch FROM "timestamp") * 1000000)::bigint, model_id FROM predictions'
            " WHERE coin_id = %s",
            [COINS[0]],
        ).fetchall()
    return {(coin, us, model): replay(number, log, markets, models) for number, coin, us, model in rows}


def notice(session: PostgresFeedSession, lane: Lane) -> int:
    """Look for changes now, however long the last look took."""
    session._joined._next = 0.0
    session.poll_table()
    return lane.note_joined_changes()


@pytest.fixture(params=["triggers", "polling"])
def feed(request, database: Database) -> Database:
    """A market with an early rate and a model that was active before it, noticed either way."""
    if request.param == "polling":
        remove_feed(database, MARKET)
    add_rate(database, -50, 100.0)
    first = register(database, "first", RECURSIVE, active=False)
    PostgresActivationStore(database).activate(first)
    return database


def test_a_late_rate_is_used_from_then_on_and_named_in_replays_of_what_came_before(feed: Database):
    rates, long, other = (register(feed, name, f) for name, f in (("a", RATES), ("b", LONG_RATES), ("c", RECURSIVE)))
    with closing(PostgresFeedSession(feed, MARKET)) as session:
        lane = a_lane(feed, session)
        for step in range(0, 12, 4):
            write_rows(feed, coin_rows(COINS, step, step + 4))
            session.poll_table()
            drain(lane)
        lane.store_states(all_of_them=True)
        notice(session, lane)
        before = stored(feed)
        add_rate(feed, 8.5, 180.0)
        assert notice(session, lane) == 1
        assert lane.note_joined_changes() == 0
        for step in range(12, 24, 4):
            write_rows(feed, coin_rows(COINS, step, step + 4))
            session.poll_table()
            drain(lane)
    now = in_batch(feed, [rates, long, other])
    after = {key: value for key, value in stored(feed).items() if key not in before and key[2] in (rates, long, other)}
    assert after == {key: value for key, value in now.items() if key not in before}
    found = replays(feed)
    for (_, us, model), one in found.items():
        knew = us >= at(12) or us < at(8.5) or model not in {rates, long}
        reach = 0 if model == long else us - (FeaturePlan(RATES, MARKET).lookback or 0) * STEP_US
        changed = [moment for moment in range(at(9), us + 1, STEP_US) if moment >= reach]
        assert list(one.corrected_rows) == ([] if knew else changed)
        assert one.equal or not knew
    assert any(not one.equal for one in found.values())
    with feed.connection() as connection:
        connection.execute("UPDATE coin_revisions SET created_at = now() - interval '1 day'")
    clean_up(feed)
    assert replays(feed) == found


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE exchange_rates SET sol_price_usd = 70 WHERE created_at = MOMENT",
        "DELETE FROM exchange_rates WHERE created_at = MOMENT",
        "UPDATE exchange_rates SET sol_price_usd = NULL WHERE created_at = MOMENT",
    ],
)
def test_a_rate_that_is_changed_or_removed_is_named_up_to_the_next(feed: Database, statement: str):
    model = register(feed, "a", LONG_RATES)
    add_rate(feed, 2.5, 120.0)
    add_rate(feed, 5.5, 90.0)
    with closing(PostgresFeedSession(feed, MARKET)) as session:
        lane = a_lane(feed, session)
        write_rows(feed, coin_rows(COINS, 0, 8))
        notice(session, lane)
        drain(lane)
        change_rates(feed, statement, at(2.5))
        assert notice(session, lane) == 1
        write_rows(feed, coin_rows(COINS, 8, 10))
        notice(session, lane)
        drain(lane)
    found = {us: one for (_, us, number), one in replays(feed).items() if number == model}
    assert found[at(2)].corrected_rows == ()
    assert found[at(3)].corrected_rows == (at(3),)
    assert found[at(7)].corrected_rows == (at(3), at(4), at(5))
    assert found[at(9)].corrected_rows == ()
    assert all(one.equal for one in found.values() if not one.corrected_rows)
    assert not found[at(4)].equal


def test_a_rate_that_no_lane_has_noted_is_named_already(feed: Database):
    model = register(feed, "a", RATES)
    with closing(PostgresFeedSession(feed, MARKET)) as session:
        lane = a_lane(feed, session)
        write_rows(feed, coin_rows(COINS, 0, 4))
        notice(session, lane)
        drain(lane)
        add_rate(feed, 1.5, 200.0)
        session._joined._next = 0.0
        session.poll_table()
        found = {us: one for (_, us, number), one in replays(feed).items() if number == model}
        assert found[at(3)].corrected_rows == (at(2), at(3))
        assert found[at(1)].corrected_rows == ()


def test_triggers_that_come_and_go_lose_no_change_and_repeat_none(database: Database):
    remove_feed(database, MARKET)
    PostgresActivationStore(database).activate(register(database, "a", RATES, active=False))
    with closing(PostgresFeedSession(database, MARKET)) as session:
        lane = a_lane(database, session)
        found = []
        for step, change in enumerate((install_feed, remove_feed, install_feed, remove_feed)):
            add_rate(database, 3 * step, 1.0 + step)
            change(database, MARKET)
            add_rate(database, 3 * step + 1, 2.0 + step)
            found.append(notice(session, lane))
            assert notice(session, lane) == 0
    assert found == [2, 2, 2, 2]


def test_what_changes_nothing_is_no_change(feed: Database):
    register(feed, "a", RATES)
    with closing(PostgresFeedSession(feed, MARKET)) as session:
        lane = a_lane(feed, session)
        notice(session, lane)
        change_rates(feed, "UPDATE exchange_rates SET usd_to_eur_rate = 0.9")
        change_rates(feed, "INSERT INTO exchange_rates (created_at) VALUES (MOMENT)", at(1))
        assert notice(session, lane) == 0
