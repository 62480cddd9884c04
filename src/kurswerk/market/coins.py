"""The market of pump.fun-style coins: the rows that the collector writes into ``coin_metrics``."""

from kurswerk.market.joined import JoinedColumn
from kurswerk.market.schema import Column, FeedTables, Kind, MarketSchema, Role, Segment

COIN_COLUMNS: dict[str, Column] = {
    "phase_id_at_time": Column(Kind.INT),
    "price_open": Column(),
    "price_high": Column(),
    "price_low": Column(),
    "price_close": Column(),
    "market_cap_close": Column(),
    "bonding_curve_pct": Column(),
    "virtual_sol_reserves": Column(),
    "is_koth": Column(Kind.BOOL),
    "volume_sol": Column(),
    "buy_volume_sol": Column(),
    "sell_volume_sol": Column(),
    "net_volume_sol": Column(signed=True),
    "num_buys": Column(Kind.INT),
    "num_sells": Column(Kind.INT),
    "unique_wallets": Column(Kind.INT),
    "num_micro_trades": Column(Kind.INT),
    "dev_sold_amount": Column(),
    "max_single_buy_sol": Column(),
    "max_single_sell_sol": Column(),
    "buy_pressure_ratio": Column(maximum=1.0),
    "unique_signer_ratio": Column(maximum=1.0),
    "whale_buy_volume_sol": Column(),
    "whale_sell_volume_sol": Column(),
    "num_whale_buys": Column(Kind.INT),
    "num_whale_sells": Column(Kind.INT),
    "volatility_pct": Column(),
    "avg_trade_size_sol": Column(),
}

KEY = "mint"
TIMESTAMP = "timestamp"
SOL_PRICE = "sol_price_usd"

COINS = MarketSchema(
    name="coins",
    table="coin_metrics",
    key=KEY,
    timestamp=TIMESTAMP,
    columns=COIN_COLUMNS,
    roles={
        Role.OPEN: "price_open",
        Role.HIGH: "price_high",
        Role.LOW: "price_low",
        Role.CLOSE: "price_close",
        Role.VOLUME: "volume_sol",
        Role.MARKET_CAP: "market_cap_close",
        Role.RESERVES: "virtual_sol_reserves",
    },
    joined={SOL_PRICE: JoinedColumn("exchange_rates", "sol_price_usd", "created_at")},
    segment=Segment("phase_id_at_time", "ref_coin_phases"),
    feed_tables=FeedTables("coin_feed", "coin_feed_seen", "coin_revisions", "coin_states"),
    aliases={"coin": KEY, "token_address": KEY},
)
