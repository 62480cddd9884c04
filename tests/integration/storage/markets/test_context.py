"""Coins and rates beside the rows of coins."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from integration.storage.coins import run
from kurswerk.storage.markets import MarketContextStore
from kurswerk.storage.server import Database

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


def streams(*rows: tuple[Any, ...]) -> pa.Table:
    names = ["token_address", "is_active", "current_phase_id", "created_at", "ath_price_sol", "ath_timestamp"]
    return pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def rates(*rows: tuple[datetime, float, str | None]) -> pa.Table:
    moments, prices, sources = zip(*rows, strict=True)
    empty = [None] * len(rows)
    return pa.table(
        {
            "created_at": list(moments),
            "sol_price_usd": list(prices),
            "usd_to_eur_rate": [0.9] * len(rows),
            "native_currency_price_usd": empty,
            "blockchain_id": empty,
            "source": pa.array(list(sources), pa.string()),
        }
    )


def test_coins_are_brought_up_to_date(database: Database):
    store = MarketContextStore(database)
    assert store.write_streams(streams(("a", True, 1, NOON, 0.5, NOON), ("b", True, 2, NOON, None, None))) == 2
    assert store.write_streams(streams(("a", False, 99, NOON, 0.75, NOON))) == 1
    rows = run(
        database, "SELECT token_address, is_active, current_phase_id, ath_price_sol FROM coin_streams ORDER BY 1"
    )
    assert rows == [("a", False, 99, 0.75), ("b", True, 2, None)]


def test_a_rate_of_one_source_and_moment_is_replaced(database: Database):
    store = MarketContextStore(database)
    assert store.write_exchange_rates(rates((NOON, 100.0, "x"), (NOON, 101.0, None))) == 2
    store.write_exchange_rates(rates((NOON, 102.0, None), (NOON, 103.0, "y")))
    rows = run(database, "SELECT sol_price_usd, source FROM exchange_rates ORDER BY 1")
    assert rows == [(100.0, "x"), (102.0, None), (103.0, "y")]
