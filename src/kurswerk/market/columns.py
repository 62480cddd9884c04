"""The columns of ``coin_metrics``, their kinds and the common names that map onto them."""

from collections.abc import Iterable
from enum import Enum

from kurswerk.core.errors import UnknownNameError


class Kind(Enum):
    """How a column is stored; in a `Panel` every kind is float64."""

    FLOAT = "double precision"
    INT = "bigint"
    BOOL = "boolean"


KEY = "mint"
TIMESTAMP = "timestamp"

COIN_COLUMNS: dict[str, Kind] = {
    "phase_id_at_time": Kind.INT,
    "price_open": Kind.FLOAT,
    "price_high": Kind.FLOAT,
    "price_low": Kind.FLOAT,
    "price_close": Kind.FLOAT,
    "market_cap_close": Kind.FLOAT,
    "bonding_curve_pct": Kind.FLOAT,
    "virtual_sol_reserves": Kind.FLOAT,
    "is_koth": Kind.BOOL,
    "volume_sol": Kind.FLOAT,
    "buy_volume_sol": Kind.FLOAT,
    "sell_volume_sol": Kind.FLOAT,
    "net_volume_sol": Kind.FLOAT,
    "num_buys": Kind.INT,
    "num_sells": Kind.INT,
    "unique_wallets": Kind.INT,
    "num_micro_trades": Kind.INT,
    "dev_sold_amount": Kind.FLOAT,
    "max_single_buy_sol": Kind.FLOAT,
    "max_single_sell_sol": Kind.FLOAT,
    "buy_pressure_ratio": Kind.FLOAT,
    "unique_signer_ratio": Kind.FLOAT,
    "whale_buy_volume_sol": Kind.FLOAT,
    "whale_sell_volume_sol": Kind.FLOAT,
    "num_whale_buys": Kind.INT,
    "num_whale_sells": Kind.INT,
    "volatility_pct": Kind.FLOAT,
    "avg_trade_size_sol": Kind.FLOAT,
}

PRICE_COLUMNS = ("price_open", "price_high", "price_low", "price_close")

# Joined to a panel's rows as of each row, from exchange_rates; a column of the panel, not of coin_metrics.
SOL_PRICE = "sol_price_usd"

# Common names in files of candles, in lower case; the value is our column.
ALIASES: dict[str, str] = {
    "symbol": KEY,
    "pair": KEY,
    "ticker": KEY,
    "coin": KEY,
    "token_address": KEY,
    "date": TIMESTAMP,
    "datetime": TIMESTAMP,
    "time": TIMESTAMP,
    "ts": TIMESTAMP,
    "open_time": TIMESTAMP,
    "open": "price_open",
    "high": "price_high",
    "low": "price_low",
    "close": "price_close",
    "volume": "volume_sol",
    "vol": "volume_sol",
    "market_cap": "market_cap_close",
}


def map_columns(names: Iterable[str]) -> dict[str, str]:
    """Map a file's column names to ours; names that mean nothing here are left out.

    Our own name wins over one that differs in case, and that over an alias, whatever their order; among equals the
    first. Case and surrounding blanks do not count, and blanks and hyphens inside are underscores.

    Returns
    -------
    dict
        File's name → our name; each of ours at most once.

    Examples
    --------
    >>> map_columns(["Symbol", "ts", "open", "remark"])
    {'Symbol': 'mint', 'ts': 'timestamp', 'open': 'price_open'}
    """
    ours = {KEY, TIMESTAMP, *COIN_COLUMNS}
    normal = {name: name.strip().lower().replace(" ", "_").replace("-", "_") for name in names}
    own = {low if name in ours else "": name for name, low in normal.items()}
    like = {low if low in ours else "": name for name, low in reversed(normal.items())}
    other = {ALIASES.get(low, ""): name for name, low in reversed(normal.items())}
    chosen = {**other, **like, **own}
    mapping = {name: target for target, name in chosen.items() if target}
    return {name: mapping[name] for name in normal if name in mapping}


def require_column(name: str, known: Iterable[str] = COIN_COLUMNS) -> str:
    """Return the name if it is a known column.

    Raises
    ------
    UnknownNameError
        With the nearest name.
    """
    choices = set(known)
    if name not in choices:
        raise UnknownNameError("column", name, choices)
    return name
