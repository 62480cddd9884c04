"""What market data there is, asked without reading it: in our table and in tables as others may have made them."""

import pytest

from integration.storage.coins import FOREIGN, START_US, Row, batch_of, run
from kurswerk.core.errors import DataError
from kurswerk.market import COINS
from kurswerk.storage.markets import PostgresMarketStore
from kurswerk.storage.markets import _store as survey
from kurswerk.storage.server import Database, upgrade

ROWS: list[Row] = [
    (mint, second, {"price_close": 1.0, "phase_id_at_time": phase})
    for mint, phase in (("a", 1), ("b", 2))
    for second in range(0, 100, 10)
]


def at(second: int) -> int:
    return START_US + second * 1_000_000


@pytest.fixture(params=["ours", *FOREIGN])
def store(request: pytest.FixtureRequest, bare_database: Database) -> PostgresMarketStore:
    """Ten rows of each of two coins."""
    if request.param == "ours":
        upgrade(bare_database)
    else:
        run(bare_database, FOREIGN[request.param])
    store = PostgresMarketStore(bare_database, COINS)
    store.upsert([batch_of(ROWS)])
    return store


def test_rows_are_there_or_not(store: PostgresMarketStore):
    assert store.has_rows(start_us=at(0), end_us=at(0))
    assert store.has_rows(start_us=at(85), end_us=at(90))
    assert not store.has_rows(start_us=at(91), end_us=at(1000))
    assert not store.has_rows(start_us=at(1), end_us=at(9))
    assert store.has_rows(start_us=at(0), end_us=at(99), mints=["x", "b"])
    assert not store.has_rows(start_us=at(0), end_us=at(99), mints=["x", "b\0"])
    assert not store.has_rows(start_us=at(0), end_us=at(99), mints=[])
    assert store.has_rows(start_us=at(0), end_us=at(99), mints=["b"], phases=[2, 3])
    assert not store.has_rows(start_us=at(0), end_us=at(99), mints=["b"], phases=[1])


def test_rows_of_a_small_table_are_counted(store: PostgresMarketStore):
    assert store.estimated_rows(end_us=at(1000)) == 20
    assert store.estimated_rows(end_us=at(50)) == 12
    assert store.estimated_rows(end_us=at(50), mints=["a", "x"]) == 6
    assert store.estimated_rows(end_us=at(-1)) == 0


def test_rows_of_a_large_table_are_estimated(
    store: PostgresMarketStore, bare_database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(survey, "_MOST_PAGES_TO_COUNT", 0)
    run(bare_database, "ANALYZE coin_metrics")
    assert 15 <= store.estimated_rows(end_us=at(1000)) <= 25
    assert 5 <= store.estimated_rows(end_us=at(1000), mints=["a"]) <= 15
    assert store.estimated_rows(end_us=at(-1)) <= 2


def test_phases_of_a_table_without_them(bare_database: Database):
    run(bare_database, 'CREATE TABLE coin_metrics (mint text, "timestamp" timestamptz, price_close float8)')
    with pytest.raises(DataError, match="no column 'phase_id_at_time'"):
        PostgresMarketStore(bare_database, COINS).has_rows(start_us=0, end_us=1, phases=[1])
