"""Intervals, deflated Sharpe ratios and baselines."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest_cases import random_bars, random_signals
from interpreted import interpreted
from kurswerk.backtest import (
    Exits,
    MarketBars,
    Signals,
    TargetWeights,
    TradingCosts,
    TradingRules,
    _decisions,
    _exits,
    _fills,
    _intervals,
    _kernel,
    _metrics,
    _sweep,
    compare_with_baselines,
    crossings,
    deflated_sharpe,
    intervals,
    metrics_of,
    run,
    sweep,
)
from kurswerk.backtest._baselines import alpha_and_beta
from kurswerk.backtest._intervals import block_length, expected_maximum, probability_above
from kurswerk.core.errors import SpecError
from kurswerk.core.timestamps import DAY_US

FREE = TradingRules(costs=TradingCosts(commission_bps=0, slippage_bps=0))


def walk(seed: int, num_bars: int, drift: float = 0.0) -> MarketBars:
    rng = np.random.default_rng(seed)
    return MarketBars.of_closes(
        np.arange(num_bars) * DAY_US, ["A"], 100 * np.exp(np.cumsum(rng.normal(drift, 0.01, num_bars)))
    )


def held(bars: MarketBars) -> Signals:
    return Signals(np.eye(bars.num_bars, 1))


def test_an_interval_of_the_mean_is_about_that_of_theory() -> None:
    done = run(walk(1, 2000, 0.0005), held(walk(1, 2000)), FREE)
    found = intervals(done, replicates=400)["sharpe"]

    # The Sharpe ratio of n independent returns scatters by about sqrt(bars per year / n).
    assert found.value == pytest.approx(metrics_of(done).sharpe)
    width = 2 * 1.96 * math.sqrt(365.25 / 2000)
    assert found.high - found.low == pytest.approx(width, rel=0.25)
    assert found.low < found.value < found.high
    assert set(found.as_json()) == {"value", "low", "high"}


def test_intervals_know_what_is_undefined_and_are_the_same_each_time() -> None:
    bars = walk(2, 50)
    idle = run(bars, Signals(np.zeros(50)))

    assert intervals(idle)["sharpe"].value is intervals(idle)["sharpe"].low is None
    done = run(bars, held(bars))
    assert intervals(done, replicates=20) == intervals(done, replicates=20)
    with interpreted(_intervals, _metrics):
        assert intervals(done, replicates=3) == intervals(done, replicates=3)
    for wrong in ({"replicates": 0}, {"confidence": 1.0}):
        with pytest.raises(SpecError):
            intervals(done, **wrong)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 400))
def test_the_expected_maximum_is_that_of_drawn_numbers(trials: int) -> None:
    drawn = np.random.default_rng(trials).normal(size=(3000, trials)).max(axis=1)

    assert expected_maximum(trials) == pytest.approx(float(drawn.mean()), abs=0.12)


def test_the_deflated_sharpe_ratio_of_the_paper() -> None:
    """Bailey and López de Prado (2014), section "A numerical example": 100 trials, 1250 days, 0.9 against 0.95."""
    scale = math.sqrt(250)
    best = math.sqrt(0.5) / scale * expected_maximum(100)
    sharpe, skew, kurtosis = 2.5 / scale, -3.0, 10.0

    assert best == pytest.approx(0.1132, abs=1e-3)
    assert probability_above(sharpe, best, 1250, skew, kurtosis) == pytest.approx(0.9004, abs=2e-3)


def test_more_variants_make_the_same_result_less_believable() -> None:
    bars = walk(5, 1000, 0.001)
    done = run(bars, held(bars), FREE)
    one, many = deflated_sharpe(done, 1), deflated_sharpe(done, 1000)
    scattered = deflated_sharpe(done, 1000, np.array([-3.0, 0.0, 3.0, np.nan]))

    assert one is not None
    assert many is not None
    assert scattered is not None
    assert one.sharpe == pytest.approx(metrics_of(done).sharpe)
    assert one.expected_best == 0.0
    assert one.probability > many.probability > scattered.probability
    assert scattered.expected_best == pytest.approx(3.0 * expected_maximum(1000))
    assert deflated_sharpe(run(bars, Signals(np.zeros(1000))), 1) is None
    with pytest.raises(SpecError):
        deflated_sharpe(done, 0)


def test_baselines_hold_the_market_under_the_same_costs() -> None:
    bars = random_bars(3, 120, 3, missing=0.05)
    orders = random_signals(bars, 3)
    rules = TradingRules(exits=Exits(stop_loss=0.05))
    done = run(bars, orders, rules)
    found = compare_with_baselines(done, orders, runs=20)
    there = bars.present[0]
    weights = np.full(bars.close.shape, np.nan)
    weights[0, there] = 1 / there.sum()

    assert found.buy_and_hold == metrics_of(run(bars, TargetWeights(weights)))
    assert found.equal_weight.trades >= 0
    own = done.equity[-1] / rules.account.cash - 1
    shifts = np.random.default_rng(42).integers(1, 120, 20)
    totals = sweep(bars, [Signals(np.roll(orders.values, k, axis=0)) for k in shifts], rules).column("total_return")
    assert found.random_entries.beaten == np.mean(totals < own)
    assert found.random_entries.total_return == np.median(totals)


def test_holding_the_market_is_the_market() -> None:
    bars = walk(9, 300, 0.0005)
    done = run(bars, held(bars), FREE)
    found = compare_with_baselines(done, held(bars), runs=3)

    assert found.beta == pytest.approx(1.0)
    assert found.alpha == pytest.approx(0.0, abs=1e-9)
    assert alpha_and_beta(np.ones(3), np.zeros(3), 252) == (None, None)
    assert block_length(8) == 5


def test_interpreted_metrics_and_sweeps_have_the_same_bits() -> None:
    bars = walk(4, 80)
    lines = np.vstack([bars.close.ravel(), np.full(80, 100.0)])
    compiled = _sweep.sweep_crossings(bars, lines, np.array([[0, 1]]), threads=1)
    done = metrics_of(run(bars, crossings(lines[0], lines[1])))
    with interpreted(_metrics, _sweep, _kernel, _fills, _exits, _decisions):
        assert np.array_equal(
            _sweep.sweep_crossings(bars, lines, np.array([[0, 1]]), threads=1).table, compiled.table, equal_nan=True
        )
        assert metrics_of(run(bars, crossings(lines[0], lines[1]))) == done
