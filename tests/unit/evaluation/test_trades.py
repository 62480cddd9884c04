"""Simulated trades by hand, and their properties."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurswerk.core.errors import DataError, SpecError
from kurswerk.evaluation import TradeCosts, change_of_costs, simulate_trades, trade_returns

PRICE = np.array([100.0, 110.0, 99.0, np.nan, 0.0])
EXITS = np.array([1, 2, 3, 4, -1])


def test_long_and_short_by_hand() -> None:
    long = trade_returns(PRICE, EXITS, TradeCosts(100, 50, "up"))
    bought, sold = 100 * 1.005 * 1.01, 110 * 0.995 * 0.99
    assert long[0] == pytest.approx(100 * (sold - bought) / bought)
    assert np.isnan(long[2:]).all()
    short = trade_returns(PRICE, EXITS, TradeCosts(100, 50, "down"))
    assert short[1] == pytest.approx(110 * 0.995 * 0.99 / 110 * 100 - 99 * 1.005 * 1.01 / 110 * 100)
    assert short[0] < -10


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(1, 1000), min_size=2, max_size=20),
    st.floats(0, 500),
    st.floats(0.1, 500),
    st.sampled_from(["up", "down"]),
)
def test_costs_always_cost(prices: list[float], fee: float, more: float, direction: str) -> None:
    price = np.array(prices)
    exits = np.append(np.arange(1, len(price)), -1)
    cheap = trade_returns(price, exits, TradeCosts(fee, fee, direction))[:-1]
    assert (trade_returns(price, exits, TradeCosts(fee + more, fee, direction))[:-1] < cheap).all()
    assert (trade_returns(price, exits, TradeCosts(fee, fee + more, direction))[:-1] < cheap).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(1, 1000), min_size=2, max_size=20))
def test_free_short_is_the_mirror_of_long(prices: list[float]) -> None:
    price = np.array(prices)
    exits = np.append(np.arange(1, len(price)), -1)
    up, down = (trade_returns(price, exits, TradeCosts(0, 0, side))[:-1] for side in ("up", "down"))
    assert up == pytest.approx(-down, abs=1e-9)


def test_summary_by_hand() -> None:
    price = np.array([100.0, 110.0, 99.0, 108.9, 108.9])
    exits = np.array([1, 2, 3, 3, -1])
    decisions = np.array([True, True, True, False, True])
    done = simulate_trades(price, np.arange(5) * 1_000_000, exits, decisions, TradeCosts(0, 0))
    assert (done.count, done.skipped) == (3, 1)
    assert done.simulated_profit_pct == pytest.approx(10 / 3)
    assert done.gross_profit_pct == pytest.approx(10 / 3)
    assert done.median_pct == pytest.approx(10)
    assert done.best_pct == pytest.approx(10)
    assert done.worst_pct == pytest.approx(-10)
    assert done.hit_rate == pytest.approx(2 / 3)
    assert done.max_drawdown_pct == pytest.approx(10)
    assert [moment for moment, _ in done.equity] == [1_000_000, 2_000_000, 3_000_000]
    assert [value for _, value in done.equity] == pytest.approx([10, 0, 10])
    record = done.as_json()
    assert record["equity"][0]["timestamp"] == "1970-01-01T00:00:01Z"
    assert "overlap" in record["note"]
    json.dumps(record, allow_nan=False)


def test_trades_that_end_together_are_one_point() -> None:
    price = np.array([100.0, 100.0, 90.0])
    exits = np.array([2, 2, -1])
    done = simulate_trades(price, np.arange(3), exits, np.array([True, True, False]), TradeCosts(0, 0))
    assert [value for _, value in done.equity] == pytest.approx([-20])
    assert done.max_drawdown_pct == pytest.approx(20)


def test_many_trades_give_few_points_and_keep_the_end() -> None:
    n = 5000
    price = np.linspace(100, 200, n)
    exits = np.append(np.arange(1, n), -1)
    done = simulate_trades(price, np.arange(n), exits, np.ones(n, dtype=bool))
    assert done.count == n - 1
    assert len(done.equity) == 200
    assert done.equity[-1] == (n - 1, pytest.approx(done.simulated_profit_pct * (n - 1)))
    assert done.gross_profit_pct > done.simulated_profit_pct


def test_no_trades() -> None:
    done = simulate_trades(PRICE, np.arange(5), EXITS, np.zeros(5, dtype=bool))
    assert (done.count, done.skipped, done.simulated_profit_pct, done.equity) == (0, 0, None, ())
    assert done.as_json()["hit_rate"] is None


def test_refused() -> None:
    for wrong in ({"fee_bps": -1}, {"slippage_bps": 10_000}, {"fee_bps": np.nan}):
        with pytest.raises(SpecError, match="at least 0 and below 10000"):
            TradeCosts(**wrong)
    with pytest.raises(SpecError, match="'up' or 'down'"):
        TradeCosts(direction="left")
    with pytest.raises(DataError, match="differ in length"):
        simulate_trades(PRICE, np.arange(4), EXITS, np.zeros(5, dtype=bool))


@given(
    st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=1, max_size=20),
    st.sampled_from(["up", "down"]),
    *(st.floats(0, 500) for _ in range(4)),
)
def test_a_mean_after_other_costs_is_that_of_the_trades_simulated_again(
    prices, direction, fee, slippage, fee2, slippage2
):
    price = np.array([value for pair in prices for value in pair])
    exit_row = np.array([k + 1 if k % 2 == 0 else -1 for k in range(len(price))])
    before, after = TradeCosts(fee, slippage, direction), TradeCosts(fee2, slippage2, direction)
    change = change_of_costs(before, after)
    assert change is not None
    means = [np.nanmean(trade_returns(price, exit_row, costs)) for costs in (before, after)]
    assert change[0] * means[0] + change[1] == pytest.approx(means[1], rel=1e-9, abs=1e-7)


def test_costs_that_depend_on_the_stake_need_a_new_simulation():
    fixed, impact = TradeCosts(fixed_cost=1, stake=10), TradeCosts(stake=10, price_impact=True)
    for costs in (fixed, impact):
        assert change_of_costs(costs, TradeCosts()) is None
        assert change_of_costs(TradeCosts(), costs) is None
