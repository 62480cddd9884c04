"""Random markets, strategies and rules for the tests of back-tests."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from backtest_oracle import Oracle, Outcome
from kurswerk.backtest import Backtest, MarketBars, Orders, Signals, TargetWeights, TradingRules, run
from kurswerk.backtest._sizes import position_sizes
from kurswerk.backtest._state import CASH_AMOUNT, FRACTION, SHARES_UNIT
from kurswerk.core.timestamps import DAY_US

UNITS = {SHARES_UNIT: "shares", CASH_AMOUNT: "cash", FRACTION: "fraction"}


def random_bars(
    seed: int, num_bars: int = 40, num_symbols: int = 3, *, missing: float = 0.1, actions: bool = False
) -> MarketBars:
    """Return bars whose prices have all digits, so that no level is hit by a hair."""
    rng = np.random.default_rng(seed)
    shape = (num_bars, num_symbols)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.04, shape), axis=0))
    opened = close * np.exp(rng.normal(0, 0.02, shape))
    flat = rng.random(shape) < 0.05
    opened = np.where(flat, close, opened)
    high = np.where(flat, close, np.maximum(opened, close) * np.exp(np.abs(rng.normal(0, 0.02, shape))))
    low = np.where(flat, close, np.minimum(opened, close) * np.exp(-np.abs(rng.normal(0, 0.02, shape))))
    gone = rng.random(shape) < missing
    if num_symbols > 1:
        gone[num_bars * 2 // 3 :, -1] |= rng.random() < 0.5
    prices = {"open": opened, "high": high, "low": low, "close": close}
    prices = {name: np.where(gone, np.nan, values) for name, values in prices.items()}
    prices["volume"] = np.where(rng.random(shape) < 0.05, 0.0, rng.lognormal(4, 1, shape))
    prices["reserves"] = rng.lognormal(9, 0.5, shape)
    bars = MarketBars.of(
        np.cumsum(rng.integers(1, 5, num_bars)) * DAY_US, [f"S{k}" for k in range(num_symbols)], prices
    )
    if actions:
        split = np.where(rng.random(shape) < 0.05, rng.choice([2.0, 0.5, 4.0], shape), 1.0)
        bars = replace(bars, split=split, dividend=np.where(rng.random(shape) < 0.05, 0.5, 0.0))
    return bars


@dataclass
class Case:
    """A market, what is wanted in it, and the rules."""

    bars: MarketBars
    orders: Orders
    rules: TradingRules

    def run(self) -> Backtest:
        return run(self.bars, self.orders, self.rules)

    def oracle(self) -> Outcome:
        unit, size = position_sizes(self.bars, self.rules.sizing, self.rules.exits)
        slow = Oracle(self.bars, self.rules.model_dump())
        if isinstance(self.orders, TargetWeights):
            return slow.run(weights=self.orders.values.tolist())
        ranks = self.orders.ranks.tolist()
        return slow.run(self.orders.values.tolist(), sizes=(UNITS[unit], size.tolist()), ranks=ranks)


def random_signals(bars: MarketBars, seed: int, *, share: float = 0.25) -> Signals:
    rng = np.random.default_rng(seed)
    values = rng.choice([1, -1, 2], bars.close.shape, p=[0.5, 0.35, 0.15])
    ranks = rng.random(bars.close.shape) if rng.random() < 0.5 else np.empty((0, 0))
    return Signals(np.where(rng.random(bars.close.shape) < share, values, 0), ranks)


def random_weights(bars: MarketBars, seed: int, *, short: bool) -> TargetWeights:
    rng = np.random.default_rng(seed)
    values = rng.normal(0.3 if short else 0.6, 0.4, bars.close.shape) / len(bars.symbols)
    values = np.where(rng.random(bars.close.shape) < 0.2, 0.0, values if short else np.abs(values))
    values[rng.random(bars.num_bars) < 0.7] = np.nan
    return TargetWeights(values)


def _maybe(values: Any) -> Any:
    return st.none() | values


@st.composite
def rules(draw: Any, *, proportional: bool = False) -> TradingRules:
    """Rules of all kinds; ``proportional`` ones scale with the cash."""
    number = st.floats
    plain = draw(st.booleans())
    impact = plain and not proportional and draw(st.integers(0, 3)) == 0
    account: dict[str, Any] = {"cash": draw(number(5_000, 20_000))}
    if not plain:
        account |= {
            "leverage": draw(number(0.5, 3)),
            "allow_short": True,
            "maintenance": draw(number(0, 0.4)),
            "cash_rate": draw(number(0, 0.1)),
            "margin_rate": draw(number(0, 0.2)),
            "borrow_rate": draw(number(0, 0.3)),
            "delisted_after_days": draw(_maybe(number(1.5, 20))),
            "delisting_return": draw(number(-1, 0)),
        }
    order = draw(st.sampled_from(["market", "market", "limit", "stop"]))
    fill = "next_open" if order != "market" else draw(st.sampled_from(["next_open", "close"]))
    execution: dict[str, Any] = {"order": order, "fill": fill, "participation": None}
    execution |= {"offset": draw(number(0, 0.05)), "valid_bars": draw(st.integers(1, 4))}
    costs: dict[str, Any] = {"commission_bps": draw(number(0, 200)), "spread_bps": draw(number(0, 100))}
    costs |= {"slippage_bps": draw(number(0, 100)), "slippage_range": draw(number(0, 1)), "price_impact": impact}
    if not impact:
        costs["commission_per_share"] = draw(number(0, 0.1))
    kinds = ["fraction", "volatility", "kelly", "risk"]
    if not proportional:
        kinds += ["shares", "cash"]
        costs |= {"commission_minimum": draw(number(0, 10)), "fixed": draw(number(0, 2))}
        execution |= {"participation": draw(_maybe(number(0.1, 1))), "lot": draw(st.sampled_from([0, 0, 1, 10]))}
    kind = draw(st.sampled_from(kinds))
    value = {"shares": 40.0, "cash": 3_000.0, "fraction": 0.6, "volatility": 0.4, "kelly": 0.5, "risk": 0.02}[kind]
    sizing = {"kind": kind, "value": value, "window": 5, "cap": draw(number(0.2, 2))}
    exits = {
        "stop_loss": draw(_maybe(number(0.01, 0.2))),
        "take_profit": draw(_maybe(number(0.01, 0.3))),
        "trailing_stop": draw(_maybe(number(0.01, 0.2))),
        "max_bars": draw(_maybe(st.integers(1, 10))),
    }
    return TradingRules.model_validate(
        {"account": account, "execution": execution, "costs": costs, "sizing": sizing, "exits": exits}
    )


@st.composite
def cases(draw: Any, *, proportional: bool = False, actions: bool = True) -> Case:
    """Markets with signals or target weights under rules of all kinds."""
    seed = draw(st.integers(0, 10**6))
    chosen = draw(rules(proportional=proportional))
    bars = random_bars(seed, num_symbols=draw(st.integers(1, 4)), actions=actions and draw(st.booleans()))
    weights = chosen.execution.order == "market" and draw(st.booleans())
    short = chosen.account.allow_short
    orders = random_weights(bars, seed, short=short) if weights else random_signals(bars, seed)
    return Case(bars, orders, chosen)
