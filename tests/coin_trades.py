"""Trades on bonding curves as they truly happened, the messages that report them, and the rows they must make.

The rows are computed by brute force over the whole list of trades and share no code with the package.
"""

import random
from dataclasses import dataclass, field
from typing import Any

SECOND = 1_000_000
START = (30.0, 1.073e9)
ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@dataclass(frozen=True)
class TrueTrade:
    """One trade; ``sol`` and ``tokens`` were traded, the reserves are those after it."""

    signature: str
    trader: str
    is_buy: bool
    sol: float
    tokens: float
    sol_after: float
    tokens_after: float
    moment_us: int


@dataclass
class TrueCoin:
    """A coin with all its trades, in their order."""

    mint: str
    creator: str
    created_us: int
    trades: list[TrueTrade] = field(default_factory=list)
    bought_at_creation: bool = False

    def trade(self, moment_us: int, trader: str, *, is_buy: bool, share: float) -> TrueTrade:
        """Add a trade of a share of the curve's SOL, or of the tokens that were sold before."""
        sol, tokens = self.reserves
        product = START[0] * START[1]
        if not is_buy and START[1] - tokens < 100_000:
            is_buy = True
        sol_after = sol + share * 3 if is_buy else product / (tokens + share * (START[1] - tokens))
        tokens_after = round(product / sol_after, 6)
        sol_after = product / tokens_after
        done = TrueTrade(
            f"sig{len(self.trades)}{self.mint}", trader, is_buy, abs(sol_after - sol), abs(tokens_after - tokens),
            sol_after, tokens_after, moment_us,
        )  # fmt: skip
        self.trades.append(done)
        return done

    @property
    def reserves(self) -> tuple[float, float]:
        """SOL and tokens in the curve now."""
        return (self.trades[-1].sol_after, self.trades[-1].tokens_after) if self.trades else START

    def creation(self, **more: Any) -> dict[str, Any]:
        """Return the message of the creation, with the creator's purchase where there is one."""
        first = self.trades[0] if self.bought_at_creation else None
        return {
            "signature": first.signature if first else f"created{self.mint}",
            "mint": self.mint,
            "traderPublicKey": self.creator,
            "txType": "create",
            "initialBuy": first.tokens if first else 0,
            "solAmount": first.sol if first else 0,
            "bondingCurveKey": f"curve{self.mint}",
            "vTokensInBondingCurve": first.tokens_after if first else START[1],
            "vSolInBondingCurve": first.sol_after if first else START[0],
            "marketCapSol": (first.sol_after / first.tokens_after if first else START[0] / START[1]) * 1e9,
            "name": "A coin",
            "symbol": "COIN",
            "uri": "https://example.org/coin.json",
            "pool": "pump",
            **more,
        }

    def message(self, trade: TrueTrade, **more: Any) -> dict[str, Any]:
        """Return the message of a trade."""
        return {
            "signature": trade.signature,
            "mint": self.mint,
            "traderPublicKey": trade.trader,
            "txType": "buy" if trade.is_buy else "sell",
            "tokenAmount": trade.tokens,
            "solAmount": trade.sol,
            "newTokenBalance": trade.tokens,
            "bondingCurveKey": f"curve{self.mint}",
            "vTokensInBondingCurve": trade.tokens_after,
            "vSolInBondingCurve": trade.sol_after,
            "marketCapSol": trade.sol_after / trade.tokens_after * 1e9,
            "pool": "pump",
            **more,
        }


def random_mint(rng: random.Random) -> str:
    """Return an address as pump.fun has them."""
    return "".join(rng.choices(ALPHABET, k=40)) + "pump"


def true_windows(coin: TrueCoin, until_us: int) -> list[tuple[int, int, int]]:
    """Return start, end and phase of the windows that end by a moment."""
    found, start = [], coin.created_us
    while True:
        age = start - coin.created_us
        phase, length = (1, 5) if age < 600 * SECOND else (2, 30) if age < 3600 * SECOND else (3, 60)
        if age >= 86_400 * SECOND or start + length * SECOND > until_us:
            return found
        found.append((start, start + length * SECOND, phase))
        start += length * SECOND


def true_row(coin: TrueCoin, start_us: int, end_us: int, phase: int) -> dict[str, Any]:
    """Return the row of a window: all columns, from all trades there were."""
    before = [one for one in coin.trades if one.moment_us < start_us]
    inside = [one for one in coin.trades if start_us <= one.moment_us < end_us]
    sol, tokens = (before[-1].sol_after, before[-1].tokens_after) if before else START
    row: dict[str, Any] = dict.fromkeys(
        ("volume_sol", "buy_volume_sol", "sell_volume_sol", "num_buys", "num_sells", "num_micro_trades",
         "dev_sold_amount", "max_single_buy_sol", "max_single_sell_sol", "whale_buy_volume_sol",
         "whale_sell_volume_sol", "num_whale_buys", "num_whale_sells"), 0,
    )  # fmt: skip
    price = sol / tokens
    row |= {"price_open": price, "price_high": price, "price_low": price, "phase_id_at_time": phase}
    wallets = set()
    for trade in inside:
        sol, price = trade.sol_after, trade.sol_after / trade.tokens_after
        row["price_high"], row["price_low"] = max(row["price_high"], price), min(row["price_low"], price)
        side, is_whale = ("buy" if trade.is_buy else "sell"), trade.sol >= 1
        row["volume_sol"] += trade.sol
        row[f"{side}_volume_sol"] += trade.sol
        row[f"num_{side}s"] += 1
        row[f"max_single_{side}_sol"] = max(row[f"max_single_{side}_sol"], trade.sol)
        row[f"num_whale_{side}s"] += is_whale
        row[f"whale_{side}_volume_sol"] += trade.sol * is_whale
        row["num_micro_trades"] += trade.sol < 0.01
        row["dev_sold_amount"] += trade.sol * (side == "sell" and trade.trader == coin.creator)
        wallets.add(trade.trader)
    count, volume = len(inside), row["volume_sol"]
    pct = min(100.0, max(0.0, (sol - 30) / 85 * 100))
    return row | {
        "price_close": price,
        "market_cap_close": price * 1_000_000_000,
        "bonding_curve_pct": pct,
        "virtual_sol_reserves": sol,
        "is_koth": pct >= 50,
        "net_volume_sol": row["buy_volume_sol"] - row["sell_volume_sol"],
        "unique_wallets": len(wallets),
        "buy_pressure_ratio": row["buy_volume_sol"] / volume if count else 0,
        "unique_signer_ratio": len(wallets) / count if count else 0,
        "volatility_pct": 100 * (row["price_high"] / row["price_open"] - row["price_low"] / row["price_open"]),
        "avg_trade_size_sol": volume / count if count else 0,
    }
