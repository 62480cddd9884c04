"""A server whose clocks show another time than UTC: moments without a zone are UTC everywhere."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
import pytest

from database import execute
from integration.storage.coins import FOREIGN, START_US, batch_of, run
from kurswerk.market import COINS, SOL_PRICE
from kurswerk.storage.feed import PostgresFeedSession
from kurswerk.storage.markets import PostgresMarketStore
from kurswerk.storage.server import Database, upgrade
from served_models import register

RATES = """CREATE TABLE exchange_rates ({}created_at timestamp, sol_price_usd numeric);
INSERT INTO exchange_rates (created_at, sol_price_usd)
SELECT '2024-01-01'::timestamp + (k / 2) * interval '1 second', k FROM generate_series(2, 20) k"""
SECONDS = range(8)


@pytest.fixture
def in_berlin(bare_database: Database) -> Iterator[Database]:
    """An empty database that takes moments without a zone for those of Berlin."""
    name = psycopg.conninfo.conninfo_to_dict(bare_database.url)["dbname"]
    execute(bare_database.url, "ALTER DATABASE {} SET timezone = 'Europe/Berlin'", str(name))
    with psycopg.connect(bare_database.url) as connection:
        assert connection.execute("SHOW TimeZone").fetchone() == ("Europe/Berlin",)
    return bare_database


@pytest.mark.parametrize("pool_size", [0, 2])
def test_every_connection_is_in_utc(in_berlin: Database, pool_size: int):
    database = Database(in_berlin.url, pool_size=pool_size)
    for _ in range(2):
        with database.connection() as connection:
            assert connection.execute("SHOW TimeZone").fetchone() == ("UTC",)
            connection.rollback()  # it is not a part of what is rolled back
    with database.arrow_connection() as connection, connection.cursor() as cursor:
        for _ in range(2):
            cursor.execute("SELECT current_setting('TimeZone')")
            assert cursor.fetchone() == ("UTC",)
            connection.rollback()
    database.close()


@pytest.mark.parametrize("has_ids", [True, False])
def test_a_rate_without_a_zone_is_one_in_training_and_live(in_berlin: Database, has_ids: bool):
    run(in_berlin, RATES.format("id bigserial, " if has_ids else ""))
    upgrade(in_berlin)
    register(in_berlin, "m")
    store = PostgresMarketStore(in_berlin, COINS)
    store.upsert([batch_of([("a", second, {"price_close": 1.0}) for second in SECONDS])])
    in_training = store.load_panel([SOL_PRICE]).column(SOL_PRICE)
    session = PostgresFeedSession(in_berlin, COINS)
    try:
        session.lease()
        with session.transaction() as work:
            rows = work.take([SOL_PRICE], 100)
    finally:
        session.close()
    live = rows.values.reshape(-1)[np.argsort(rows.timestamps)]
    # Two rates a second, of which the one with the higher id counts; none was known at the first moment.
    expected = [np.nan, *(2 * second + 1 for second in SECONDS[1:])]
    if has_ids:
        np.testing.assert_array_equal(in_training, expected)
        np.testing.assert_array_equal(live, expected)
    else:
        np.testing.assert_array_equal(np.floor(in_training / 2), np.floor(np.array(expected) / 2))
        np.testing.assert_array_equal(np.floor(live / 2), np.floor(np.array(expected) / 2))


def test_a_period_is_looked_up_by_the_index_of_moments_without_a_zone(
    in_berlin: Database, monkeypatch: pytest.MonkeyPatch
):
    run(
        in_berlin,
        FOREIGN["no id"],
        'CREATE INDEX moments ON coin_metrics ("timestamp")',
        "INSERT INTO coin_metrics (mint, \"timestamp\", price_close) SELECT 'c' || k % 50, '2024-01-01'::timestamp"
        " + k * interval '1 second', 1 FROM generate_series(0, 19999) k",
        "ANALYZE coin_metrics",
    )
    store = PostgresMarketStore(in_berlin, COINS)
    start, end = START_US + 100_000_000, START_US + 109_000_000
    assert store.has_rows(start_us=start, end_us=end)
    assert not store.has_rows(start_us=START_US - 3_600_000_000, end_us=START_US - 1)
    assert len(store.load_panel(["price_close"], start_us=start, end_us=end)) == 10
    assert len(store.load_panel(["price_close"], start_us=START_US, end_us=START_US)) == 1
    plans: list[str] = []
    execute_it = psycopg.Connection.execute

    def explaining(self: Any, query: Any, params: Any = None, **options: Any) -> Any:
        text = query.as_string(self) if isinstance(query, psycopg.sql.Composable) else str(query)
        if '"coin_metrics" WHERE' in text:
            plans.extend(row[0] for row in execute_it(self, f"EXPLAIN {text}", params))
        return execute_it(self, query, params, **options)

    monkeypatch.setattr(psycopg.Connection, "execute", explaining)
    assert store.has_rows(start_us=start, end_us=end)
    assert any("moments" in line for line in plans), plans
