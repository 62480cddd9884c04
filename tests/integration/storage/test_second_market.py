"""A market of the test alone goes the way of coins: tables from its schema, rows in, panel out, feed, states."""

from contextlib import closing

import numpy as np
import pyarrow as pa
import pytest

from integration.storage.coins import run
from kurswerk.core.errors import ConflictError, DataError
from kurswerk.ingest.ports import UpsertCount, arrow_schema
from kurswerk.market import COINS, MARKETS, Column, Kind, MarketSchema, Role
from kurswerk.serving.ports import InstrumentState
from kurswerk.storage.feed import PostgresFeedSession, install_feed, remove_feed
from kurswerk.storage.markets import PostgresMarketStore, coverage
from kurswerk.storage.server import Database, downgrade, schema_status, upgrade

BARS = MarketSchema(
    name="bars",
    table="bars",
    key="symbol",
    timestamp="time",
    columns={"open": Column(), "close": Column(signed=True), "volume": Column(Kind.INT), "share": Column(maximum=1.0)},
    roles={Role.OPEN: "open", Role.CLOSE: "close", Role.VOLUME: "volume"},
)
START_US = 1_700_000_000_000_000
MINUTE_US = 60_000_000
TABLES = {"bars", "bars_feed", "bars_feed_seen", "bars_revisions", "bars_states"}
MODEL = """
INSERT INTO ml_artifacts (sha256, data, size) VALUES (repeat('0', 64), '', 0) ON CONFLICT DO NOTHING;
INSERT INTO ml_models (name, market, model_type, status, target_variable, features, train_start, train_end,
    artifact_sha256, is_active, spec)
VALUES ('{0}', '{0}', 'random_forest', 'READY', 'close', '["close"]', '2024-01-01', '2024-01-02', repeat('0', 64),
    true, '{{}}')"""


@pytest.fixture
def bars(database: Database, monkeypatch: pytest.MonkeyPatch) -> PostgresMarketStore:
    monkeypatch.setitem(MARKETS, "bars", BARS)
    assert upgrade(database)
    return PostgresMarketStore(database, BARS)


def rows(symbol: str, minutes: list[int], first: float = 1.0) -> pa.RecordBatch:
    count = len(minutes)
    times = [START_US + minute * MINUTE_US for minute in minutes]
    values = [
        [first + k for k in range(count)],
        [2.0 * first + k for k in range(count)],
        [*range(count)],
        [0.5] * count,
    ]
    arrays = [
        pa.array([symbol] * count),
        pa.array(times, pa.timestamp("us", "UTC")),
        *(pa.array(one) for one in values),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(list(BARS.columns), BARS))


def test_its_tables_are_made_once_and_taken_back(bars: PostgresMarketStore, database: Database):
    assert not upgrade(database)
    owned = {table.name for table in schema_status(database).tables if table.owned}
    assert owned >= TABLES
    downgrade(database, "0006")
    assert not TABLES & {table.name for table in schema_status(database).tables}
    assert run(database, "SELECT proname FROM pg_proc WHERE proname LIKE 'kurswerk_bars%'") == []
    assert upgrade(database)
    assert {table.name for table in schema_status(database).tables} >= TABLES


def test_a_table_of_others_is_used_and_never_altered(bare_database: Database, monkeypatch: pytest.MonkeyPatch):
    run(bare_database, 'CREATE TABLE bars (symbol text, "time" timestamp, close numeric(20,8))')
    monkeypatch.setitem(MARKETS, "bars", BARS)
    upgrade(bare_database)
    assert run(bare_database, "SELECT tgname FROM pg_trigger WHERE tgrelid = 'bars'::regclass") == []
    store = PostgresMarketStore(bare_database, BARS)
    assert store.columns() == ("close",)
    store.upsert([rows("A", [0, 1]).select(["symbol", "time", "close"])])
    assert store.load_panel(["close"]).values.tolist() == [[2.0, 3.0]]
    downgrade(bare_database)
    assert run(bare_database, "SELECT count(*) FROM bars") == [(2,)]


def test_a_feed_table_of_others_is_refused(bare_database: Database, monkeypatch: pytest.MonkeyPatch):
    run(bare_database, "CREATE TABLE bars_feed (remark text)")
    monkeypatch.setitem(MARKETS, "bars", BARS)
    with pytest.raises(ConflictError, match="bars_feed"):
        upgrade(bare_database)
    assert run(bare_database, "SELECT to_regclass('ml_models')") == [(None,)]


def test_rows_go_in_and_come_out(bars: PostgresMarketStore, database: Database):
    assert bars.upsert([rows("A", [0, 1, 2])]) == UpsertCount(inserted=3)
    assert bars.upsert([rows("A", [1, 2, 3], 2.0)]) == UpsertCount(inserted=1, updated=2)
    panel = bars.load_panel(["close", "volume"])
    assert panel.instruments == ("A",)
    assert panel.values.tolist() == [[2.0, 4.0, 5.0, 6.0], [0.0, 0.0, 1.0, 2.0]]
    assert bars.latest_rows("A", 1).values[0].tolist() == [4.0]
    assert bars.availability().rows == 4
    with pytest.raises(DataError, match="bars"):
        bars.load_panel(["close"], phases=[1])
    assert PostgresMarketStore(database, COINS).availability().rows == 0


def test_gaps_are_measured_by_the_usual_step(bars: PostgresMarketStore, database: Database):
    bars.upsert([rows("A", [0, 5, 10, 15, 40, 45])])
    (found,) = coverage(database, BARS)
    assert (found.mint, found.rows, found.gaps, found.phase) == ("A", 6, 1, None)


@pytest.mark.parametrize("polled", [False, True])
def test_new_rows_come_through_its_own_feed(bars: PostgresMarketStore, database: Database, polled: bool):
    if polled:
        assert remove_feed(database, BARS)
    run(database, MODEL.format("bars"))
    with (
        closing(PostgresFeedSession(database, BARS)) as session,
        closing(PostgresFeedSession(database, COINS)) as coins,
    ):
        assert len(session.lease()) == len(coins.lease()) == 64
        session.poll_table()  # what is there before the first poll is known
        bars.upsert([rows("A", [0, 1])])
        assert session.poll_table() == (2 if polled else 0)
        assert (session.lag()[0], coins.lag()[0]) == (2, 0)
        with session.transaction() as work:
            assert [model.name for model in work.active_models()] == ["bars"]
            taken = work.take(["close", "volume"], 10)
            past = work.history(["A"], np.array([START_US]), ["close"], None)
            work.save_states("ab", [InstrumentState("A", START_US, b"s")])
            work.note_revisions("late", 7, {"A": [START_US]})
        assert taken.values.tolist() == [[2.0, 0.0], [3.0, 1.0]]
        assert past.values.tolist() == [[2.0, 3.0]]
        with coins.transaction() as work:
            assert work.active_models() == []
            assert work.load_states("ab", ["A"]) == []
            assert work.late_rows(["A"]) == {}
        with session.transaction() as work:
            assert work.load_states("ab", ["A"]) == [InstrumentState("A", START_US, b"s")]
            assert work.late_rows(["A"]) == {"A": [(7, [START_US])]}
    assert install_feed(database, BARS) is polled


def test_a_model_of_coins_feeds_no_bars(bars: PostgresMarketStore, database: Database):
    run(database, MODEL.format("coins"))
    bars.upsert([rows("A", [0])])
    run(database, "INSERT INTO coin_metrics (mint, timestamp) VALUES ('c', now())")
    assert run(database, "SELECT count(*) FROM bars_feed") == [(0,)]
    assert run(database, "SELECT count(*) FROM coin_feed") == [(1,)]
