"""Bars of several sources in one table, and prices adjusted by the splits known at each bar."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integration.storage.coins import run
from kurswerk.core.errors import ConflictError, NoDataError
from kurswerk.core.timestamps import DAY_US
from kurswerk.ingest import UpsertCount
from kurswerk.market import market_of_interval
from kurswerk.market.series import SeriesOrigin
from kurswerk.storage.markets import PostgresMarketStore, coverage
from kurswerk.storage.operations import clean_up
from kurswerk.storage.server import Database, downgrade, upgrade
from kurswerk.training import Availability
from stock_bars import FIRST_DAY, STOCKS, add_action, bars, close_of

MODEL = """
INSERT INTO ml_artifacts (sha256, data, size) VALUES (repeat('0', 64), '', 0) ON CONFLICT DO NOTHING;
INSERT INTO ml_models (name, market, model_type, status, target_variable, features, train_start, train_end,
    artifact_sha256, is_active, spec)
VALUES ('m', 'stocks', 'random_forest', 'READY', 'close_price', '["close_price"]', '2024-01-01', '2024-01-02',
    repeat('0', 64), true, '{}')"""
FEED = 'SELECT coin_id, kind, "timestamp"::date FROM historical_stock_data_feed ORDER BY id'
AS_OF = FIRST_DAY + timedelta(days=5)


@pytest.fixture
def store(database: Database) -> PostgresMarketStore:
    return PostgresMarketStore(database, STOCKS)


def closes(store: PostgresMarketStore, symbol: str = "A") -> list[float]:
    return store.load_panel(["close_price"], mints=[symbol]).values[0].tolist()


def test_the_same_bars_twice_are_stored_once_in_partitions_of_their_years(store: PostgresMarketStore):
    batch = bars("A", np.arange(1.0, 401.0))
    sink = store.series_sink(SeriesOrigin("one"), "XNYS")
    assert (sink.upsert([batch]), sink.upsert([batch])) == (UpsertCount(400, 0, 0), UpsertCount(0, 0, 400))
    assert sink.upsert([bars("A", [7.0], first=399)]) == UpsertCount(0, 1, 0)
    panel = store.load_panel(list(STOCKS.usual_columns))
    assert panel.timestamps.tolist() == [close_of(day) for day in range(400)]
    expected = np.append(np.arange(1.0, 400.0), 7.0)
    assert panel.column("close_price").tolist() == expected.tolist()
    assert panel.column("low_price").tolist() == (0.75 * expected).tolist()
    assert panel.column("total_return_price").tolist() == expected.tolist()
    parts = run(store._database, "SELECT tableoid::regclass::text, count(*) FROM historical_stock_data GROUP BY 1")
    assert sorted(parts) == [("historical_stock_data_2020", 365), ("historical_stock_data_2021", 35)]
    about = "SELECT symbol, exchange, first_day::text, last_day::text, is_active FROM stocks"
    assert run(store._database, about) == [("A", "XNYS", "2020-01-02", "2021-02-04", True)]


def test_sources_are_kept_apart_and_one_is_read(store: PostgresMarketStore, database: Database):
    assert store.series_sink(SeriesOrigin("one")).upsert([bars("A", [1.0, 2.0, 3.0])]) == UpsertCount(3, 0, 0)
    assert store.series_sink(SeriesOrigin("two")).upsert([bars("A", [1.0, 9.0], 0, 7)]) == UpsertCount(2, 0, 0)
    assert closes(store) == [1.0, 2.0, 3.0]
    (found,) = store.source_conflicts()
    assert (found.instrument, found.preferred, found.other, found.shared) == ("A", "one", "two", 2)
    assert found.differing == {
        "open_price": 1, "high_price": 1, "low_price": 1, "close_price": 1, "volume": 2,
    }  # fmt: skip
    assert found.first_day == FIRST_DAY
    assert store.source_conflicts(["B"]) == []
    assert store.series_sink(SeriesOrigin("two", preferred=True)).upsert([]) == UpsertCount()
    assert closes(store) == [1.0, 2.0, 3.0]
    store.series_sink(SeriesOrigin("two", preferred=True)).upsert([bars("A", [1.0])])
    assert closes(store) == [1.0, 9.0]
    assert run(database, "SELECT count(*) FROM historical_stock_data") == [(5,)]


def test_bars_of_another_price_basis_are_refused(store: PostgresMarketStore):
    store.series_sink(SeriesOrigin("one")).upsert([bars("A", [1.0])])
    with pytest.raises(ConflictError, match=r"A from one are stored as raw, but given as split-adjusted:2020-01-07"):
        store.series_sink(SeriesOrigin("one", AS_OF)).upsert([bars("A", [5.0])])
    assert closes(store) == [1.0]


def test_whoever_writes_bars_need_not_know_of_series(store: PostgresMarketStore, database: Database):
    store.upsert([bars("A", [1.0])])
    insert = "INSERT INTO historical_stock_data (symbol, timestamp, open_price, high_price, low_price, close_price)"
    run(database, f"{insert} VALUES ('A', '2020-05-05 21:00Z', 1, 1, 1, 4), ('B', '2020-05-06 21:00Z', 1, 1, 1, 5)")
    assert (closes(store), closes(store, "B")) == ([1.0, 4.0], [5.0])
    run(database, f"{insert[:-1]}, source) VALUES ('A', '2020-05-06 21:00Z', 1, 1, 1, 9, 'theirs')")
    assert closes(store) == [1.0, 4.0]
    about = run(database, "SELECT symbol, last_day::text FROM stocks ORDER BY 1")
    assert about == [("A", "2020-05-06"), ("B", "2020-05-06")]


def expected_factors(days: int, actions: list[tuple[int, float, int]], as_of: int | None) -> list[float]:
    """Multiply, bar by bar, the splits that are effective and known by then; of one split the version known last."""
    found = []
    for day in range(days):
        known: dict[int, tuple[int, float]] = {}
        for effective, factor, known_us in actions:
            counts = effective <= day and known_us <= close_of(day) and (as_of is None or effective > as_of)
            if counts and (effective not in known or known[effective][0] < known_us):
                known[effective] = (known_us, factor)
        factor = 1.0
        for effective in sorted(known):
            factor *= known[effective][1]
        found.append(factor)
    return found


ACTIONS = st.lists(
    st.tuples(st.integers(0, 11), st.sampled_from([2.0, 7.0, 1.5, 1 / 3, 0.125]), st.integers(-2, 13)),
    max_size=5,
    unique_by=lambda one: (one[0], one[2]),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ACTIONS, st.sampled_from([None, 5]), st.integers(0, 5))
def test_prices_are_adjusted_by_what_was_known_at_the_bar(
    store: PostgresMarketStore, database: Database, actions: list, as_of: int | None, late: int
):
    """Whether actions come before the bars or after them, and in whatever order, makes no difference."""
    run(database, "TRUNCATE historical_stock_data, stock_actions, stock_series, stock_factors")
    timed = [(day, factor, close_of(known) - DAY_US // 2) for day, factor, known in actions]
    raw = np.arange(3.0, 15.0)
    for day, factor, known_us in timed[late:]:
        add_action(database, "A", day, factor, known_us=known_us)
    store.series_sink(SeriesOrigin("one", AS_OF if as_of else None)).upsert([bars("A", raw), bars("B", raw)])
    for day, factor, known_us in timed[:late]:
        add_action(database, "A", day, factor, known_us=known_us)
    factors = np.array(expected_factors(len(raw), timed, as_of))
    panel = store.load_panel(["close_price", "high_price", "volume", "total_return_price"])
    assert panel.column("close_price").tolist() == [*(raw * factors), *raw]
    assert panel.column("high_price").tolist() == [*(1.25 * raw * factors), *(1.25 * raw)]
    assert panel.column("volume").tolist() == [*(1000 / factors), *(1000.0 * np.ones(len(raw)))]
    assert panel.column("total_return_price").tolist() == [*(raw * factors), *raw]


def test_dividends_change_the_total_return_alone(store: PostgresMarketStore, database: Database):
    store.upsert([bars("A", [100.0, 98.0, 50.0])])
    add_action(database, "A", 1, 100 / 98, kind="dividend")
    add_action(database, "A", 2, 2.0)
    panel = store.load_panel(["close_price", "total_return_price"])
    assert panel.column("close_price").tolist() == [100.0, 98.0, 100.0]
    assert panel.column("total_return_price") == pytest.approx([100.0, 100.0, 100 * 100 / 98])


def test_a_split_learnt_late_is_a_correction_of_the_bars_since(store: PostgresMarketStore, database: Database):
    days = [FIRST_DAY + timedelta(days=day) for day in range(8)]
    store.upsert([bars("A", [8.0] * 4), bars("B", [8.0] * 4)])
    run(database, MODEL)
    store.upsert([bars("A", [8.0] * 2, first=4)])
    store.series_sink(SeriesOrigin("other")).upsert([bars("A", [8.0], first=6)])
    assert run(database, FEED) == [("A", 0, days[4]), ("A", 0, days[5])]
    run(database, "DELETE FROM historical_stock_data_feed")
    add_action(database, "A", 3, 2.0)
    assert run(database, FEED) == [("A", 1, day) for day in days[3:6]]
    run(database, "DELETE FROM historical_stock_data_feed")
    add_action(database, "A", 7, 3.0)  # not effective yet: nothing has changed
    add_action(database, "A", 3, 2.0, known_us=close_of(4))  # the same again
    assert run(database, FEED) == []
    add_action(database, "A", 3, 4.0, known_us=close_of(5))  # corrected before the last bar alone
    assert run(database, FEED) == [("A", 1, days[5])]
    assert closes(store) == [8.0] * 3 + [16.0, 16.0, 32.0]


def test_another_preferred_source_is_a_correction_of_all_bars(store: PostgresMarketStore, database: Database):
    store.upsert([bars("A", [8.0] * 2)])
    store.series_sink(SeriesOrigin("other")).upsert([bars("A", [9.0] * 3)])
    run(database, MODEL)
    store.series_sink(SeriesOrigin("other", preferred=True)).upsert([bars("A", [9.0])])
    assert sorted(run(database, FEED)) == [("A", 1, FIRST_DAY + timedelta(days=day)) for day in range(3)]


def test_bars_of_each_interval_are_a_market_of_their_own(store: PostgresMarketStore, database: Database):
    """One table, one set of actions; views, feeds and corrections apart."""
    hours = PostgresMarketStore(database, market_of_interval("stocks", "1h"))
    assert hours.upsert([bars("A", [8.0] * 4)]) == UpsertCount(4, 0, 0)
    assert hours.upsert([bars("A", [8.0] * 4)]) == UpsertCount(0, 0, 4)
    store.upsert([bars("A", [5.0] * 3)])
    assert (closes(store), closes(hours)) == ([5.0] * 3, [8.0] * 4)
    run(database, MODEL)
    store.upsert([bars("A", [5.0], first=3)])
    hours.upsert([bars("A", [8.0] * 2, first=4)])
    assert run(database, FEED) == [("A", 0, FIRST_DAY + timedelta(days=3))]
    hours_feed = FEED.replace("_feed", "_1h_feed")
    assert run(database, hours_feed) == []
    run(database, "UPDATE ml_models SET market = 'stocks_1h'; DELETE FROM historical_stock_data_feed")
    add_action(database, "A", 5, 2.0)
    assert run(database, FEED) == []
    assert run(database, hours_feed) == [("A", 1, FIRST_DAY + timedelta(days=5))]
    assert (closes(store), closes(hours)) == ([5.0] * 4, [8.0] * 5 + [16.0])
    assert not upgrade(database)
    assert set(clean_up(database)) >= {"historical_stock_data_1h_states"}
    downgrade(database, "0006")
    assert run(database, "SELECT relname FROM pg_class WHERE relname ~ 'stock'") == []


def test_everything_goes_with_the_market(database: Database):
    downgrade(database, "0006")
    left = "SELECT relname FROM pg_class WHERE relname ~ '^(historical_)?stock' UNION ALL "
    assert run(database, left + "SELECT proname FROM pg_proc WHERE proname ~ 'kurswerk_stock'") == []
    assert upgrade(database)
    assert not upgrade(database)


KEYS = st.one_of(
    st.sampled_from(
        ["BRK.B", "BTC-EUR", "005930.KS", "^GSPC", "RDS/A", "A%20B", 'q"x', "a'b", "a\\b", "Ä", "A,B", "{A}"]
    ),
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=64).filter(
        lambda key: key.strip() == key
    ),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(KEYS)
def test_keys_of_any_characters_are_stored_and_found(store: PostgresMarketStore, key: str):
    store.upsert([bars(key, [1.0, 2.0])])
    assert store.upsert([bars(key, [1.0, 3.0])]).unchanged == 1
    assert key in store.instruments()
    assert closes(store, key) == [1.0, 3.0]
    assert store.latest_rows(key, 1, ["close_price"]).instruments == (key,)
    assert store.has_rows(start_us=0, end_us=close_of(9), mints=[key])


def test_a_market_whose_tables_come_with_its_rows_is_empty_until_then(database: Database):
    market = market_of_interval("stocks", "1h")
    store = PostgresMarketStore(database, market)
    assert store.availability() == Availability(None, None, 0, 0)
    assert (store.instruments(), coverage(database, market)) == ([], [])
    with pytest.raises(NoDataError, match=f"{market.name} has been stored yet.*kurswerk ingest"):
        store.has_rows(start_us=0, end_us=1)
