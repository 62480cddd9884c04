"""A row of coins from the trades of one window."""

from collections.abc import Iterator, Sequence
from math import fsum

from kurswerk.ingest.collector._events import CoinTrade, Reserves
from kurswerk.market.bonding_curve import KING_OF_THE_HILL_PCT, MICRO_SOL, SUPPLY, WHALE_SOL, curve_pct

Value = float | int | bool
# Most windows are without a trade.
_QUIET: dict[str, Value] = {
    **dict.fromkeys(
        ("num_buys", "num_sells", "unique_wallets", "num_micro_trades", "num_whale_buys", "num_whale_sells"), 0
    ),
    **dict.fromkeys(("volume_sol", "buy_volume_sol", "sell_volume_sol", "net_volume_sol", "dev_sold_amount"), 0.0),
    **dict.fromkeys(("max_single_buy_sol", "max_single_sell_sol", "buy_pressure_ratio", "unique_signer_ratio"), 0.0),
    **dict.fromkeys(("whale_buy_volume_sol", "whale_sell_volume_sol", "volatility_pct", "avg_trade_size_sol"), 0.0),
}
# Tokens are counted with six decimals; through float64 a chain of trades loses far less than one token of 1e9.
_TOLERANCE_TOKENS = 1.0
# More trades than this in one window are not searched for another order than the one they came in.
_MOST_SEARCHED = 2_000


def coin_row(
    trades: Sequence[CoinTrade], opening: Reserves, closing: Reserves, *, phase: int, creator: str
) -> dict[str, Value]:
    """Return the columns of ``coin_metrics`` that follow from the trades of a window.

    Parameters
    ----------
    trades
        In their order on the curve; none leaves prices as they were and all volumes 0.
    opening, closing
        The curve's reserves before the first and after the last trade.
    phase
        Of the coin's life.
    creator
        Wallet of the developer, whose sales are ``dev_sold_amount``.

    Returns
    -------
    dict
        Prices in SOL per token, volumes in SOL, shares in [0, 1], percentages as such.
    """
    if not trades:
        return _QUIET | _on_curve((opening.price,), opening, phase)
    prices = [opening.price, *(trade.after.price for trade in trades)]
    buys = [trade.sol for trade in trades if trade.is_buy]
    sells = [trade.sol for trade in trades if not trade.is_buy]
    bought, sold = fsum(buys), fsum(sells)
    volume = bought + sold
    wallets = len({trade.trader for trade in trades})
    whale_buys, whale_sells = ([sol for sol in side if sol >= WHALE_SOL] for side in (buys, sells))
    return {
        **_on_curve(prices, closing, phase),
        "volume_sol": volume,
        "buy_volume_sol": bought,
        "sell_volume_sol": sold,
        "net_volume_sol": bought - sold,
        "num_buys": len(buys),
        "num_sells": len(sells),
        "unique_wallets": wallets,
        "num_micro_trades": sum(trade.sol < MICRO_SOL for trade in trades),
        "dev_sold_amount": fsum(trade.sol for trade in trades if not trade.is_buy and trade.trader == creator),
        "max_single_buy_sol": max(buys, default=0.0),
        "max_single_sell_sol": max(sells, default=0.0),
        "buy_pressure_ratio": bought / volume if volume > 0.0 else 0.0,
        "unique_signer_ratio": wallets / len(trades),
        "whale_buy_volume_sol": fsum(whale_buys),
        "whale_sell_volume_sol": fsum(whale_sells),
        "num_whale_buys": len(whale_buys),
        "num_whale_sells": len(whale_sells),
        "volatility_pct": (max(prices) - min(prices)) / prices[0] * 100.0,
        "avg_trade_size_sol": volume / len(trades),
    }


def _on_curve(prices: Sequence[float], closing: Reserves, phase: int) -> dict[str, Value]:
    """Return the columns that follow from the prices along a window and the reserves at its end."""
    done = curve_pct(closing.sol)
    return {
        "phase_id_at_time": phase,
        "price_open": prices[0],
        "price_high": max(prices),
        "price_low": min(prices),
        "price_close": prices[-1],
        "market_cap_close": prices[-1] * SUPPLY,
        "bonding_curve_pct": done,
        "virtual_sol_reserves": closing.sol,
        "is_koth": done >= KING_OF_THE_HILL_PCT,
    }


def chained(trades: Sequence[CoinTrade], opening: Reserves) -> list[CoinTrade] | None:
    """Return trades in the order in which each begins with the reserves that the one before left.

    Parameters
    ----------
    trades
        In the order of their times; kept where the reserves allow it.
    opening
        The curve's reserves before the first.

    Returns
    -------
    list or None
        None if there is no such order: then a trade is missing, or one does not belong here.
    """
    waiting = list(trades)
    ordered: list[CoinTrade] = []
    tokens = opening.tokens
    for _ in trades:
        place = next(_continuing(waiting, tokens), None)
        if place is None:
            return None
        trade = waiting.pop(place)
        ordered.append(trade)
        tokens = trade.after.tokens
    return ordered


def continues(trade: CoinTrade, tokens: float) -> bool:
    """Return whether a trade begins with this many tokens in the curve."""
    return abs(trade.before.tokens - tokens) <= _TOLERANCE_TOKENS


def _continuing(waiting: Sequence[CoinTrade], tokens: float) -> Iterator[int]:
    return (place for place, trade in enumerate(waiting[:_MOST_SEARCHED]) if continues(trade, tokens))
