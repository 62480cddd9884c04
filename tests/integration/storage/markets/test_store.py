"""Coin rows into a real PostgreSQL and out again, in our table and in tables of others."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integration.storage.coins import COLUMNS, FOREIGN, START_US, Row, assert_same, batch_of, expected_panel, run
from kurswerk.core.errors import (
    ConstraintError,
    DataError,
    NotFoundError,
    StorageError,
    UnknownNameError,
)
from kurswerk.ingest import UpsertCount
from kurswerk.market import COINS, SOL_PRICE, InstrumentAttribute
from kurswerk.storage.markets import PostgresMarketStore
from kurswerk.storage.markets import _load as loading
from kurswerk.storage.markets import _upsert as upserting
from kurswerk.storage.server import Database, upgrade

ROWS: list[Row] = [
    ("b", 5, {"price_close": 2.5, "num_buys": 3, "is_koth": True, "phase_id_at_time": 1}),
    ("a", 9, {"price_close": 1.25, "volume_sol": 0.5, "is_koth": False, "phase_id_at_time": 2}),
    ("a", 3, {"num_buys": 7, "phase_id_at_time": 1}),
    ("Ä'; DROP TABLE coin_metrics; --", 4, {"price_close": 9.0}),
]


def make(database: Database, kind: str) -> PostgresMarketStore:
    if kind != "ours":
        run(database, FOREIGN[kind])
    upgrade(database)
    return PostgresMarketStore(database, COINS)


@pytest.fixture(params=["ours", *FOREIGN])
def store(request: pytest.FixtureRequest, bare_database: Database) -> PostgresMarketStore:
    return make(bare_database, request.param)


@pytest.fixture
def ours(database: Database) -> PostgresMarketStore:
    return PostgresMarketStore(database, COINS)


def test_rows_come_back_as_they_went(store: PostgresMarketStore):
    assert store.upsert([batch_of(ROWS)]) == UpsertCount(inserted=4)
    assert_same(store.load_panel(COLUMNS), expected_panel(ROWS))
    assert store.upsert([batch_of(ROWS)]) == UpsertCount(unchanged=4)
    assert_same(store.load_panel(COLUMNS[::-1]), expected_panel(ROWS, COLUMNS[::-1]))
    assert store.instruments() == ["a", "b", "Ä'; DROP TABLE coin_metrics; --"]
    there = store.availability()
    assert (there.first_us, there.last_us) == (START_US + 3_000_000, START_US + 9_000_000)
    assert (there.rows, there.coins) == (4, 3)


def test_changed_rows_are_updated_and_others_left(store: PostgresMarketStore):
    store.upsert([batch_of(ROWS)])
    changed: list[Row] = [
        ("b", 5, {**ROWS[0][2], "price_close": 2.75}),
        ("b", 6, {"price_close": 3.0}),
        ROWS[1],
    ]
    assert store.upsert([batch_of(changed)]) == UpsertCount(inserted=1, updated=1, unchanged=1)
    assert_same(store.load_panel(COLUMNS), expected_panel([*changed, ROWS[2], ROWS[3]]))


def test_columns_that_are_not_given_stay(store: PostgresMarketStore):
    store.upsert([batch_of(ROWS[:2])])
    given_ = [("b", 5, {"volume_sol": 8.0}), ("c", 5, {"volume_sol": 1.0})]
    assert store.upsert([batch_of(given_, ["volume_sol"])]) == UpsertCount(inserted=1, updated=1)
    both = [("b", 5, {**ROWS[0][2], "volume_sol": 8.0}), ROWS[1], given_[1]]
    assert_same(store.load_panel(COLUMNS), expected_panel(both))
    assert store.upsert([batch_of([*given_, ("d", 1, {})], [])]) == UpsertCount(inserted=1, unchanged=2)


def test_null_and_nan_are_one(store: PostgresMarketStore):
    store.upsert([batch_of([("a", 1, {"price_close": float("nan")}), ("a", 2, {"price_close": None})])])
    panel = store.load_panel(["price_close"])
    assert np.isnan(panel.values).all()
    assert store.upsert([batch_of([("a", 1, {}), ("a", 2, {"price_close": float("nan")})])]).unchanged == 2


def test_the_last_of_rows_with_one_key_counts(store: PostgresMarketStore):
    twice: list[Row] = [("a", 1, {"price_close": 1.0}), ("a", 2, {}), ("a", 1, {"price_close": 2.0})]
    assert store.upsert([batch_of(twice)]) == UpsertCount(inserted=2, unchanged=1)
    assert_same(store.load_panel(["price_close"]), expected_panel(twice[1:], ["price_close"]))


def test_numbers_keep_every_bit(store: PostgresMarketStore):
    awkward = [0.1, 1 / 3, 123456.78901234567, 2.0**-20, 0.0]
    rows = [("a", k, {"price_close": value}) for k, value in enumerate(awkward)]
    store.upsert([batch_of(rows)])
    assert store.load_panel(["price_close"]).values[0].tolist() == awkward
    assert store.upsert([batch_of(rows)]) == UpsertCount(unchanged=len(rows))


def failing() -> Iterator[pa.RecordBatch]:
    yield batch_of([("new", 1, {"price_close": 5.0})])
    raise ZeroDivisionError


def test_an_error_midway_leaves_the_table_as_it_was(store: PostgresMarketStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(upserting, "_LEAST_ROWS", 1)
    store.upsert([batch_of(ROWS)])
    with pytest.raises(ZeroDivisionError):
        store.upsert(failing())
    assert_same(store.load_panel(COLUMNS), expected_panel(ROWS))


def test_nothing_to_write(store: PostgresMarketStore):
    assert store.upsert([]) == UpsertCount()
    assert store.upsert([batch_of([])]) == UpsertCount()
    panel = store.load_panel(["price_close", "num_buys"])
    assert (len(panel), panel.instruments, panel.values.shape) == (0, (), (2, 0))
    assert store.availability().first_us is None
    assert store.instruments() == []


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ({"start_us": START_US + 4_000_000}, lambda row: row[1] >= 4),
        ({"end_us": START_US + 4_000_000}, lambda row: row[1] <= 4),
        ({"start_us": START_US + 4_000_001, "end_us": START_US + 5_000_000}, lambda row: row[1] == 5),
        ({"mints": ["a", "b\0", 'q"\\', "nobody"]}, lambda row: row[0] == "a"),
        ({"mints": [ROWS[3][0]]}, lambda row: row[0] == ROWS[3][0]),
        ({"mints": []}, lambda row: False),
        ({"phases": [1, 3]}, lambda row: row[2].get("phase_id_at_time") == 1),
        ({"phases": []}, lambda row: False),
    ],
)
def test_selections(store: PostgresMarketStore, where: dict[str, Any], kept: Callable[[Row], bool]):
    store.upsert([batch_of(ROWS)])
    rows = [row for row in ROWS if kept(row)]
    panel = store.load_panel(["price_close"], **where)
    assert_same(panel, expected_panel(rows, ["price_close"]))


def test_the_latest_rows_of_a_coin(store: PostgresMarketStore):
    rows: list[Row] = [("a", k, {"price_close": float(k)}) for k in range(6)] + [("b", 9, {"price_close": 9.0})]
    store.upsert([batch_of(rows)])
    panel = store.latest_rows("a", 2)
    assert panel.columns == store.columns()
    assert panel.column("price_close").tolist() == [4.0, 5.0]
    assert len(store.latest_rows("a", 99, ["price_close"])) == 6
    with pytest.raises(NotFoundError, match="'A'"):
        store.latest_rows("A", 1)


def test_rows_with_one_key_in_a_foreign_table_count_by_id(bare_database: Database):
    store = make(bare_database, "no key")
    run(
        bare_database,
        'INSERT INTO coin_metrics (id, mint, "timestamp", price_close) VALUES'
        " (3, 'a', '2024-01-01 00:00:01Z', 3), (1, 'a', '2024-01-01 00:00:01Z', 1), (2, 'a', '2024-01-01Z', 2),"
        " (5, NULL, '2024-01-01Z', 5), (6, 'a', NULL, 6), (7, 'a', 'infinity', 7), (8, 'b', '2024-01-01Z', 8)",
    )
    assert_same(
        store.load_panel(["price_close"]),
        expected_panel(
            [("a", 0, {"price_close": 2.0}), ("a", 1, {"price_close": 3.0}), ("b", 0, {"price_close": 8.0})],
            ["price_close"],
        ),
    )
    assert store.latest_rows("a", 1, ["price_close"]).values.tolist() == [[3.0]]
    assert store.latest_rows("a", 2, ["price_close"]).values.tolist() == [[2.0, 3.0]]
    assert store.instruments() == ["a", "b"]


def test_columns_that_are_not_there(bare_database: Database):
    store = make(bare_database, "numeric")
    assert store.columns() == (*COLUMNS[:2], "is_koth", "volume_sol", "num_buys")
    with pytest.raises(DataError, match="has no column 'price_open'; found: phase_id_at_time, price_close"):
        store.load_panel(["price_open"])
    with pytest.raises(DataError, match="has no column price_open"):
        store.upsert([batch_of([("a", 1, {})], ["price_open"])])
    with pytest.raises(UnknownNameError, match="did you mean 'price_close'"):
        store.load_panel(["price_clos"])


def test_our_table_has_all_columns(ours: PostgresMarketStore):
    assert ours.columns() == tuple(COINS.columns)


def test_a_table_is_needed(bare_database: Database):
    store = PostgresMarketStore(bare_database, COINS)
    with pytest.raises(StorageError, match="kurswerk db upgrade"):
        store.columns()
    run(bare_database, "CREATE TABLE coin_metrics (symbol text)")
    with pytest.raises(StorageError, match="lacks mint and timestamp"):
        store.instruments()


def test_the_rate_as_of_each_row(ours: PostgresMarketStore, database: Database):
    ours.upsert([batch_of([("a", k, {"price_close": 1.0}) for k in range(5)])])
    assert SOL_PRICE not in ours.columns()
    with pytest.raises(DataError, match="exchange_rates holds no 'sol_price_usd'"):
        ours.load_panel([SOL_PRICE])
    run(
        database,
        "INSERT INTO exchange_rates (created_at, sol_price_usd) VALUES"
        " ('2024-01-01 00:00:03Z', 103), ('2024-01-01 00:00:01Z', 101), ('2024-01-01 00:00:01.5Z', NULL)",
    )
    panel = ours.load_panel([SOL_PRICE, "price_close"])
    assert panel.columns == (SOL_PRICE, "price_close")
    np.testing.assert_array_equal(panel.column(SOL_PRICE), [np.nan, 101, 101, 103, 103])
    assert panel.column("price_close").tolist() == [1.0] * 5
    assert ours.load_panel(["price_close", SOL_PRICE]).columns == ("price_close", SOL_PRICE)


def test_rates_of_another_shape_are_no_rates(bare_database: Database):
    run(bare_database, "CREATE TABLE exchange_rates (day date)")
    assert SOL_PRICE not in make(bare_database, "ours").columns()


def test_the_same_file_twice_leaves_no_dead_rows(ours: PostgresMarketStore, database: Database):
    rows = [("a", k, {"price_close": float(k)}) for k in range(500)]
    ours.upsert([batch_of(rows)])
    before = run(database, "SELECT pg_relation_size('coin_metrics'), max(xmin::text::bigint) FROM coin_metrics")
    ours.upsert([batch_of(rows)])
    after = run(database, "SELECT pg_relation_size('coin_metrics'), max(xmin::text::bigint) FROM coin_metrics")
    assert after == before
    assert run(database, "SELECT count(*) FROM coin_metrics WHERE xmax::text <> '0'") == [(0,)]


def test_somebody_else_was_faster(ours: PostgresMarketStore, database: Database, monkeypatch: pytest.MonkeyPatch):
    """Between our look at the keys and our COPY another session stores two of the rows."""
    look = upserting.MarketWriter._may_overlap

    def slow_look(self: upserting.MarketWriter, batch: pa.RecordBatch) -> bool:
        answer = look(self, batch)
        monkeypatch.undo()
        PostgresMarketStore(database, COINS).upsert([batch_of([ROWS[0], ("a", 9, {"price_close": 7.0})])])
        return answer

    monkeypatch.setattr(upserting.MarketWriter, "_may_overlap", slow_look)
    assert ours.upsert([batch_of(ROWS)]) == UpsertCount(inserted=2, updated=1, unchanged=1)
    assert_same(ours.load_panel(COLUMNS), expected_panel(ROWS))


@contextmanager
def committed_behind_our_back(monkeypatch: pytest.MonkeyPatch, database: Database, rows: list[Row]) -> Iterator[None]:
    """Store rows between the statement that updates and the one that inserts."""
    statement = upserting.MarketWriter._insert_statement

    def late(self: upserting.MarketWriter) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(upserting.MarketWriter, "_insert_statement", statement)
            PostgresMarketStore(database, COINS).upsert([batch_of(rows)])
        return psycopg.sql.SQL(statement(self).as_string().replace("NOT EXISTS", "true OR NOT EXISTS"))

    with monkeypatch.context() as patch:
        patch.setattr(upserting.MarketWriter, "_insert_statement", late)
        yield


@pytest.mark.parametrize("columns", [COLUMNS, ()])
def test_a_row_that_appears_while_we_insert(
    ours: PostgresMarketStore, database: Database, monkeypatch: pytest.MonkeyPatch, columns: tuple[str, ...]
):
    ours.upsert([batch_of(ROWS[:1])])  # an overlap, so that the batch is staged
    with committed_behind_our_back(monkeypatch, database, [("a", 9, {"price_close": 7.0})]):
        ours.upsert([batch_of(ROWS, columns)])
    assert len(ours.load_panel(["price_close"])) == 4
    price = ours.load_panel(["price_close"], mints=["a"]).values[0, -1]
    assert price == (1.25 if columns else 7.0)


def test_what_does_not_fit_is_refused(ours: PostgresMarketStore, database: Database):
    with pytest.raises(DataError, match="'phase_id_at_time' holds 3000000000"):
        ours.upsert([batch_of([("a", 1, {"phase_id_at_time": 3_000_000_000})])])
    with pytest.raises(StorageError, match="too long"):
        ours.upsert([batch_of([("m" * 65, 1, {})])])
    with pytest.raises(ConstraintError) as caught:
        ours.upsert([batch_of([("a", 1, {"buy_pressure_ratio": 1.5})], ["buy_pressure_ratio"])])
    assert caught.value.constraint == "coin_metrics_buy_pressure_ratio_check"
    assert ours.availability().rows == 0


def test_batches_of_another_schema_are_refused(ours: PostgresMarketStore):
    with pytest.raises(DataError, match="a batch has columns"):
        ours.upsert([batch_of(ROWS), batch_of(ROWS, ["price_close"])])
    assert ours.availability().rows == 0


def test_batches_are_cut_and_joined(ours: PostgresMarketStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(upserting, "_LEAST_ROWS", 10)
    monkeypatch.setattr(upserting, "_MOST_ROWS", 16)
    rows = [(f"coin {k % 7}", k, {"price_close": float(k)}) for k in range(100)]
    batches = [batch_of(rows[:3]), batch_of(rows[3:6]), batch_of(rows[6:60]), batch_of([]), batch_of(rows[60:])]
    sizes = [batch.num_rows for batch in upserting.sized(batches)]
    assert sum(sizes) == 100
    assert max(sizes) <= 16
    assert ours.upsert(batches) == UpsertCount(inserted=100)
    assert_same(ours.load_panel(["price_close"]), expected_panel(rows, ["price_close"]))


@pytest.mark.parametrize("kind", ["ours", "no id"])
def test_a_large_table_is_read_in_parts(bare_database: Database, kind: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loading, "_LEAST_ROWS_TO_PART", 1)
    monkeypatch.setattr(loading.os, "cpu_count", lambda: 3)
    store = make(bare_database, kind)
    # Late rows first: no coin's rows lie in the order of time.
    rows = [(f"coin {k % 5}", (7 * k) % 2003, {"price_close": float(k)}) for k in range(2000)]
    store.upsert([batch_of(rows)])
    opened = []
    connect = Database.arrow_connection
    monkeypatch.setattr(Database, "arrow_connection", lambda self: opened.append(1) or connect(self))
    assert_same(store.load_panel(COLUMNS), expected_panel(rows))
    assert len(opened) == 3
    few = [row for row in rows if row[1] < 100]
    assert_same(store.load_panel(COLUMNS, end_us=START_US + 99_000_000), expected_panel(few))
    chosen = [row for row in rows if row[0] in {"coin 1", "coin 3"}]
    assert_same(store.load_panel(COLUMNS, mints=["coin 1", "coin 3", "absent"]), expected_panel(chosen))


def test_a_part_that_fails_is_no_silent_gap(ours: PostgresMarketStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loading, "_LEAST_ROWS_TO_PART", 1)
    monkeypatch.setattr(loading.os, "cpu_count", lambda: 2)
    ours.upsert([batch_of(ROWS)])
    monkeypatch.setattr(loading, "_ONE_MOMENT", "SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
    with pytest.raises(StorageError, match="SNAPSHOT"):
        ours.load_panel(COLUMNS)


def test_a_view_is_read_too(bare_database: Database):
    run(
        bare_database,
        FOREIGN["no key"].replace("coin_metrics", "other"),
        "CREATE VIEW coin_metrics AS SELECT * FROM other",
    )
    run(bare_database, "INSERT INTO other (id, mint, \"timestamp\", price_close) VALUES (1, 'a', '2024-01-01Z', 5)")
    store = make(bare_database, "ours")
    assert_same(store.load_panel(["price_close"]), expected_panel([("a", 0, {"price_close": 5.0})], ["price_close"]))
    assert len(store.latest_rows("a", 3)) == 1


def test_hashes_that_collide_are_taken_anew(ours: PostgresMarketStore, monkeypatch: pytest.MonkeyPatch):
    ours.upsert([batch_of(ROWS)])
    unique = np.unique
    seen: list[int] = []

    def collide(values: Any) -> Any:
        seen.append(len(values))
        return unique(values)[1:] if len(seen) == 1 else unique(values)

    with monkeypatch.context() as patch:
        patch.setattr(np, "unique", collide)
        panel = ours.load_panel(COLUMNS)
    assert seen == [3, 3]
    assert_same(panel, expected_panel(ROWS))


def test_several_staged_batches(ours: PostgresMarketStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(upserting, "_LEAST_ROWS", 10)
    rows = [(f"coin {k % 3}", k, {"price_close": float(k)}) for k in range(90)]
    ours.upsert([batch_of(rows[::2])])
    batches = [batch_of(rows[start : start + 10]) for start in range(0, 90, 10)]
    assert ours.upsert(batches) == UpsertCount(inserted=45, unchanged=45)
    assert_same(ours.load_panel(["price_close"]), expected_panel(rows, ["price_close"]))


KEYS = st.tuples(st.sampled_from(["a", "b", "B", "ä", "aa"]), st.integers(0, 12))
NUMBERS = st.one_of(st.none(), st.floats(0, 1e6), st.integers(0, 3).map(float))
TABLE = st.dictionaries(
    KEYS, st.fixed_dictionaries({"price_close": NUMBERS, "num_buys": st.one_of(st.none(), st.integers(0, 9))})
)
PAIR = ("price_close", "num_buys")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writes=st.lists(TABLE, min_size=1, max_size=4))
@pytest.mark.parametrize("kind", ["ours", "no key"])
def test_upserts_are_those_of_a_dictionary(
    property_stores: dict[str, PostgresMarketStore], kind: str, writes: list[dict[Any, Any]]
):
    store = property_stores[kind]
    run(store._database, "TRUNCATE coin_metrics")
    model: dict[tuple[str, int], dict[str, Any]] = {}
    for write in writes:
        count = store.upsert([batch_of([(*key, row) for key, row in write.items()], PAIR)])
        new = [key for key in write if key not in model]
        changed = [key for key, row in write.items() if key in model and model[key] != row]
        assert count == UpsertCount(len(new), len(changed), len(write) - len(new) - len(changed))
        model |= write
    assert_same(store.load_panel(PAIR), expected_panel([(*key, row) for key, row in model.items()], PAIR))


@pytest.fixture
def property_stores(bare_database: Database, database: Database) -> dict[str, PostgresMarketStore]:
    return {"ours": PostgresMarketStore(database, COINS), "no key": make(bare_database, "no key")}


def test_panels_state_the_exchange_of_each_instrument_where_the_market_does(ours: PostgresMarketStore, database):
    ours.upsert([batch_of(ROWS)])
    assert ours.load_panel(["price_close"]).exchanges == ()
    with database.connection() as connection:
        connection.execute('CREATE TABLE places (name text PRIMARY KEY, "at" varchar(16))')
        connection.execute("INSERT INTO places VALUES ('a', 'XETR'), ('b', NULL), ('c', 'XNYS')")
    market = replace(COINS, exchanges=InstrumentAttribute("places", "name", "at"))
    panel = PostgresMarketStore(database, market).load_panel(["price_close"])
    assert dict(zip(panel.instruments, panel.exchanges, strict=True)) == {
        "a": "XETR",
        "b": "",
        "Ä'; DROP TABLE coin_metrics; --": "",
    }
