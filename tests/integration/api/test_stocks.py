"""Stocks over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from database import clone_of
from integration.api.api_service import Service
from kurswerk.market import market_named
from kurswerk.market.instruments import InstrumentFacts
from kurswerk.market.series import SeriesOrigin
from kurswerk.storage.markets import PostgresInstruments, PostgresMarketStore
from kurswerk.storage.server import Database
from stock_bars import add_action, bars

SYMBOLS = ("005930.KS", "BRK.B", "BTC-EUR", "A/B C")


@pytest.fixture(scope="module")
def stocks(server_url: str, template_name: str) -> Iterator[httpx.Client]:
    """A client of a service with some stocks."""
    with contextmanager(clone_of)(server_url, template_name) as database:
        pooled = Database(database.url, pool_size=4)
        market = market_named("stocks")
        store = PostgresMarketStore(pooled, market)
        for symbol in SYMBOLS:
            store.series_sink(SeriesOrigin("one"), "XNYS").upsert([bars(symbol, [1.0, 2.0, 3.0])])
        store.series_sink(SeriesOrigin("two")).upsert([bars("BRK.B", [1.0, 2.5])])
        facts = [InstrumentFacts("BRK.B", "Berkshire Hathaway", "Financials", currency="USD"), InstrumentFacts("NEW")]
        PostgresInstruments(pooled, market).describe(facts)
        add_action(pooled, "BRK.B", 2, 2.0)
        with Service(pooled).client() as client:
            yield client
        pooled.close()


def test_stocks_are_listed_found_and_paged(stocks: httpx.Client):
    everything = stocks.get("/api/stocks").json()
    assert [one["symbol"] for one in everything["stocks"]] == sorted([*SYMBOLS, "NEW"])
    assert everything["total"] == 5
    found = stocks.get("/api/stocks", params={"search": "hathaway", "limit": 1}).json()
    assert found == {
        "stocks": [
            {
                "symbol": "BRK.B",
                "name": "Berkshire Hathaway",
                "sector": "Financials",
                "industry": None,
                "exchange": "XNYS",
                "currency": "USD",
                "first_day": "2020-01-02",
                "last_day": "2020-01-04",
                "is_active": True,
            }
        ],
        "total": 1,
        "limit": 1,
        "offset": 0,
    }
    assert stocks.get("/api/stocks", params={"sector": "Energy"}).json()["stocks"] == []
    assert stocks.get("/api/stocks", params={"search": "a\0b"}).status_code == 422
    assert stocks.get("/api/stocks", params={"serach": "a"}).status_code == 422


def test_a_stock_is_shown_with_all_that_is_known_of_it(stocks: httpx.Client):
    found = stocks.get("/api/stocks/BRK.B").json()
    assert found["name"] == "Berkshire Hathaway"
    assert [(one["source"], one["is_preferred"], one["bars"]) for one in found["series"]] == [
        ("one", True, 3),
        ("two", False, 2),
    ]
    (conflict,) = found["conflicts"]
    assert conflict["differing"]["close_price"] == 1
    (action,) = found["actions"]
    assert (action["date"], action["kind"], action["factor"]) == ("2020-01-04", "split", 2.0)
    assert found["fundamentals"] == []
    # The split doubles the last bar, so that it goes on from 2 as 6.
    assert found["latest"] == {
        "interval": "1d",
        "timestamp": "2020-01-04T21:00:00Z",
        "close": 3.0,
        "adjusted_close": 6.0,
        "change": 2.0,
    }
    assert stocks.get("/api/stocks/NEW").json()["latest"] is None
    assert stocks.get("/api/stocks/nothing").status_code == 404


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_any_symbol_stands_in_an_address(stocks: httpx.Client, symbol: str):
    found = stocks.get(httpx.URL(f"{stocks.base_url}/api/stocks/").copy_with(
        raw_path=b"/api/stocks/" + symbol.replace("/", "%2F").replace(" ", "%20").encode()))  # fmt: skip
    assert found.json()["symbol"] == symbol
