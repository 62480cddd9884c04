"""The market of stocks: daily bars as sources give them, read adjusted for the splits known at each bar."""

from kurswerk.market.schema import Clock, Column, InstrumentAttribute, Kind, MarketSchema, Role, SeriesTables

# Shares are counted in 64 bits; a float holds every whole number up to here.
_MOST_SHARES = 2.0**53

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
