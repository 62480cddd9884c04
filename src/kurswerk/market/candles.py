"""The market of candles: open, high, low, close and volume of any symbol, as exchanges and data vendors have them."""

from kurswerk.market.schema import Column, MarketSchema, Role

CANDLES = MarketSchema(
    name="candles",
    table="candles",
    key="symbol",
    timestamp="time",
    columns={"open": Column(), "high": Column(), "low": Column(), "close": Column(), "volume": Column()},
    roles={
        Role.OPEN: "open",
        Role.HIGH: "high",
        Role.LOW: "low",
        Role.CLOSE: "close",
        Role.VOLUME: "volume",
    },
    aliases={
        "instrument": "symbol",
        "asset": "symbol",
        # Short names of streams: Binance, Alpaca, Polygon.
        "o": "open",
        "h": "high",
        "l": "low",
        "c": "close",
        "v": "volume",
        "t": "time",
    },
)
