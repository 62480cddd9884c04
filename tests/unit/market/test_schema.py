"""Schemas of markets, and the register of them."""

import pytest

from kurswerk.core.errors import UnknownNameError
from kurswerk.market import (
    COINS,
    INTERVALS,
    MARKETS,
    Column,
    Kind,
    MarketSchema,
    Role,
    Segment,
    market_named,
    market_of_interval,
)


def bars(**changes):
    fields = {
        "name": "bars",
        "table": "daily_bars",
        "key": "symbol",
        "timestamp": "day",
        "columns": {"last": Column(), "trades": Column(Kind.INT)},
        "roles": {Role.CLOSE: "last"},
    }
    return MarketSchema(**(fields | changes))


@pytest.mark.parametrize("market", MARKETS.values(), ids=MARKETS)
def test_a_registered_market_is_found_by_its_name(market):
    assert market_named(market.name) is market
    others = len(market.derived) + len(market.joined)
    assert len({market.key, market.timestamp, *market.panel_columns}) == 2 + len(market.columns) + others


def test_no_two_markets_share_a_table():
    """Bars of several intervals lie in one table, but are read through a view each."""
    tables = [table for m in MARKETS.values() for table in (m.relation, *vars(m.feed).values())]
    assert len(set(tables)) == len(tables)


def test_each_interval_of_stocks_is_a_market():
    found = {market_of_interval("stocks", interval) for interval in INTERVALS}
    assert {(market.interval, market.on_demand) for market in found} == {(one, one != "1d") for one in INTERVALS}
    with pytest.raises(UnknownNameError, match="no bars of the interval '2h'"):
        market_of_interval("stocks", "2h")
    with pytest.raises(UnknownNameError, match="market candles has no bars"):
        market_of_interval("candles", "1d")


def test_an_unknown_market_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'coins'"):
        market_named("coin")


@pytest.mark.parametrize(
    "changes", [{"roles": {Role.CLOSE: "lst"}}, {"segment": Segment("phase", "phases")}, {"aliases": {"c": "lst"}}]
)
def test_a_schema_that_names_no_column_of_its_own_is_refused(changes):
    with pytest.raises(UnknownNameError, match="market 'bars'"):
        bars(**changes)


def test_a_role_without_a_column_is_refused_with_the_roles_there_are():
    assert bars().column_of(Role.CLOSE) == "last"
    with pytest.raises(UnknownNameError, match=r"role of the market 'bars'.*close"):
        bars().column_of(Role.VOLUME)


def test_names_in_files_follow_the_roles_a_market_has():
    assert bars(aliases={"n": "trades"}).file_aliases() == {
        **dict.fromkeys(("pair", "ticker"), "symbol"),
        **dict.fromkeys(("timestamp", "date", "datetime", "time", "ts", "open_time"), "day"),
        "close": "last",
        "n": "trades",
    }


def test_feed_tables_are_named_after_the_table_unless_named_otherwise():
    assert vars(bars().feed) == {
        "feed": "daily_bars_feed",
        "seen": "daily_bars_feed_seen",
        "revisions": "daily_bars_revisions",
        "states": "daily_bars_states",
    }
    assert COINS.feed.feed == "coin_feed"


def test_columns_come_in_the_order_of_the_schema():
    assert COINS.in_order(["sol_price_usd", "volume_sol", "price_open", "volume_sol", "remark"]) == [
        "price_open",
        "volume_sol",
        "sol_price_usd",
    ]


def test_the_largest_value_of_whole_numbers_fits_the_databases_that_exist():
    assert Column(Kind.INT).largest == 2**31 - 1
    assert Column(Kind.BOOL, maximum=1).largest == 1
    assert Column(maximum=1).largest == 1


def test_files_of_coins_keep_their_names():
    aliases = COINS.file_aliases()
    assert aliases["symbol"] == aliases["token_address"] == "mint"
    assert aliases["volume"] == "volume_sol"
