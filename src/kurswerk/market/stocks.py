"""The markets of stocks: bars as sources give them, read adjusted for the splits known at each bar.

Bars of each interval are a market of their own, with its own feed and states: a model of days never sees a minute.
"""

from dataclasses import replace

from kurswerk.market.joined import AsOfTable, JoinedColumn
from kurswerk.market.schema import (
    Clock,
    Column,
    FeedTables,
    InstrumentAttribute,
    Kind,
    MarketSchema,
    Role,
    SeriesTables,
)
from kurswerk.market.stock_facts import stock_tables

# Shares are counted in 64 bits; a float holds every whole number up to here.
_MOST_SHARES = 2.0**53


def _joined(tables: tuple[AsOfTable, ...]) -> dict[str, JoinedColumn]:
    return {name: column for table in tables for name, column in table.joined().items()}


_TABLES = stock_tables()

STOCKS = MarketSchema(
    name="stocks",
    table="historical_stock_data",
    key="symbol",
    columns={
        "open_price": Column(required=True),
        "high_price": Column(required=True),
        "low_price": Column(required=True),
        "close_price": Column(required=True),
        "volume": Column(Kind.INT, maximum=_MOST_SHARES),
    },
    roles={
        Role.OPEN: "open_price",
        Role.HIGH: "high_price",
        Role.LOW: "low_price",
        Role.CLOSE: "close_price",
        Role.VOLUME: "volume",
    },
    derived={"total_return_price": Column()},
    joined=_joined(_TABLES),
    as_of_tables=_TABLES,
    aliases={"name": "symbol", "instrument": "symbol"},
    clock=Clock.SESSIONS,
    exchanges=InstrumentAttribute("stocks", "symbol", "exchange"),
    interval="1d",
    series=SeriesTables(
        view="stock_bars",
        instruments="stocks",
        series="stock_series",
        actions="stock_actions",
        factors="stock_factors",
    ),
)


def _of_interval(interval: str) -> MarketSchema:
    """Return the market of shorter bars, in the same table."""
    series = replace(STOCKS.series, view=f"stock_bars_{interval}") if STOCKS.series else None
    tables = stock_tables(f"_{interval}")
    return replace(
        STOCKS,
        name=f"stocks_{interval}",
        interval=interval,
        series=series,
        joined=_joined(tables),
        as_of_tables=tables,
        feed_tables=FeedTables.named_after(f"{STOCKS.table}_{interval}"),
        on_demand=True,
    )


STOCKS_1M, STOCKS_5M, STOCKS_15M = _of_interval("1m"), _of_interval("5m"), _of_interval("15m")
STOCKS_30M, STOCKS_1H = _of_interval("30m"), _of_interval("1h")
