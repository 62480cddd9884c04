"""Fixed costs, stakes and price impact against a constant-product pool kept in decimals, which shares no formula."""

from dataclasses import replace
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurswerk.core.errors import DataError, SpecError
from kurswerk.evaluation import TradeCosts, trade_returns

PRICES = st.floats(1e-9, 1e3)
RESERVES = st.floats(1, 1e6)
SHARES = st.floats(0, 300)


class Pool:
    """``x y = k`` with x in the price's currency: what a swap takes and gives follows from k alone."""

    def __init__(self, price: float, reserve: float) -> None:
        self.money = Decimal(reserve)
        self.tokens = self.money / Decimal(price)
        self._product = self.money * self.tokens

    def tokens_for(self, money: Decimal) -> Decimal:
        return self.tokens - self._product / (self.money + money)

    def money_for(self, tokens: Decimal) -> Decimal:
        return self.money - self._product / (self.tokens + tokens)

    def cost_of(self, tokens: Decimal) -> Decimal:
        return self._product / (self.tokens - tokens) - self.money


def expected(entry: float, exit_: float, reserves: tuple[float, float], costs: TradeCosts) -> float | None:
    """Return what a trade brings in percent, step by step; None if the pool cannot give back the tokens."""
    with localcontext(prec=60):
        stake, fixed = Decimal(costs.stake), Decimal(costs.fixed_cost)
        fee = Decimal(costs.fee_bps) / 10_000
        first, second = Pool(entry, reserves[0]), Pool(exit_, reserves[1])
        if costs.direction == "up":
            tokens = first.tokens_for(stake / (1 + fee))
            back = second.money_for(tokens) * (1 - fee) - fixed
            return float(100 * (back / (stake + fixed) - 1))
        tokens = stake / Decimal(entry)
        if tokens >= second.tokens:
            return None
        received = first.money_for(tokens) * (1 - fee) - fixed
        return float(100 * (received - second.cost_of(tokens) * (1 + fee) - fixed) / stake)


@settings(max_examples=300, deadline=None)
@given(
    PRICES,
    st.floats(0.01, 100),
    RESERVES,
    RESERVES,
    SHARES,
    st.floats(0, 0.1),
    st.floats(1e-3, 1e3),
    st.sampled_from(["up", "down"]),
)
def test_a_trade_is_two_swaps_with_the_pool(entry, change, first, second, fee, fixed, stake, direction):
    exit_ = entry * change
    costs = TradeCosts(fee, 0, direction, fixed_cost=fixed, stake=stake, price_impact=True)
    wanted = expected(entry, exit_, (first, second), costs)
    found = trade_returns(np.array([entry, exit_]), np.array([1, -1]), costs, np.array([first, second]))
    if wanted is None:
        assert np.isnan(found[0])
    else:
        assert found[0] == pytest.approx(wanted, rel=1e-6, abs=1e-6)
    assert np.isnan(found[1])


@settings(max_examples=100, deadline=None)
@given(PRICES, st.floats(0.1, 10), SHARES, SHARES, st.floats(1e-3, 1e6), st.sampled_from(["up", "down"]))
def test_without_fixed_cost_and_impact_the_stake_does_not_matter(entry, change, fee, slippage, stake, direction):
    price, exits = np.array([entry, entry * change]), np.array([1, -1])
    proportional = TradeCosts(fee, slippage, direction)
    assert trade_returns(price, exits, replace(proportional, stake=stake))[0] == pytest.approx(
        trade_returns(price, exits, proportional)[0], rel=1e-9, abs=1e-9
    )


@settings(max_examples=100, deadline=None)
@given(
    PRICES,
    st.floats(0.5, 2),
    RESERVES,
    st.floats(1e-3, 0.1),
    st.floats(1.01, 5),
    st.sampled_from(["up", "down"]),
    st.sampled_from(["stake", "fixed_cost"]),
)
def test_a_larger_stake_or_fixed_cost_never_helps(entry, change, reserve, share, factor, direction, name):
    price, exits, reserves = np.array([entry, entry * change]), np.array([1, -1]), np.full(2, reserve)
    stake = share * reserve
    costs = TradeCosts(100, 0, direction, stake=stake, fixed_cost=0.01 * stake, price_impact=True)
    more = replace(costs, **{name: factor * getattr(costs, name)})
    # A fixed cost weighs less on a larger stake: the price impact alone is compared.
    if name == "stake":
        costs, more = replace(costs, fixed_cost=0.0), replace(more, fixed_cost=0.0)
    assert trade_returns(price, exits, more, reserves)[0] < trade_returns(price, exits, costs, reserves)[0]


@pytest.mark.parametrize("reserves", [[np.nan, 30.0], [30.0, np.nan], [0.0, 30.0], [30.0, -1.0]])
def test_no_trade_without_reserves_at_both_ends(reserves):
    costs = TradeCosts(stake=0.5, price_impact=True)
    price, exits = np.ones(2), np.array([1, -1])
    assert np.isnan(trade_returns(price, exits, costs, np.array(reserves))).all()


def test_pump_fun_by_hand():
    """0.5 SOL beside 30 SOL of virtual reserves, unchanged price: two fees of 1 % and twice the way along the curve."""
    costs = TradeCosts(100, 0, fixed_cost=0.0005, stake=0.5, price_impact=True)
    found = trade_returns(np.array([3e-8, 3e-8]), np.array([1, -1]), costs, np.array([30.0, 30.0]))[0]
    invested = 0.5 / 1.01
    value = invested / (1 + invested / 30)
    assert found == pytest.approx(100 * ((value / (1 + value / 30) * 0.99 - 0.0005) / 0.5005 - 1))
    assert -5.5 < found < -5.0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"fixed_cost": 0.1}, "need a stake"),
        ({"price_impact": True}, "need a stake"),
        ({"stake": 0.0}, "stake is 0.0; it must be above 0"),
        ({"stake": np.inf}, "above 0"),
        ({"stake": 1.0, "fixed_cost": -0.1}, "fixed_cost is -0.1; it must be at least 0"),
        ({"stake": 1.0, "fixed_cost": np.nan}, "at least 0"),
    ],
)
def test_refused(wrong, message):
    with pytest.raises(SpecError, match=message):
        TradeCosts(**wrong)


def test_impact_without_a_column_of_reserves_names_the_remedy():
    with pytest.raises(DataError, match="leave price_impact out"):
        trade_returns(np.ones(2), np.array([1, -1]), TradeCosts(stake=1.0, price_impact=True))
