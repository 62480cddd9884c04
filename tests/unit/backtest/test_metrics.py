"""Metrics against their definitions in plain Python, and sweeps against single runs."""

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest_cases import Case, cases, random_bars, random_signals
from kurswerk.backtest import Execution, MarketBars, Sizing, TradingRules, crossings, metrics_of, run, sweep
from kurswerk.backtest import sweep_crossings as crossing_sweep
from kurswerk.backtest._metrics import bar_returns
from kurswerk.core.errors import DataError
from kurswerk.core.timestamps import DAY_US


@settings(max_examples=40, deadline=None)
@given(cases())
def test_metrics_follow_their_definitions(case: Case) -> None:
    done = case.run()
    found, cash, year = metrics_of(done), case.rules.account.cash, case.bars.bars_per_year
    values = [cash, *done.equity.tolist()]
    if min(values) <= 0:
        return
    returns = [after / before - 1 for before, after in itertools.pairwise(values)]
    growth, n = values[-1] / cash, len(returns)
    spread, down = statistics.stdev(returns), math.sqrt(sum(min(r, 0) ** 2 for r in returns) / n)
    peaks = [max(values[: k + 1]) for k in range(n + 1)]
    falls = [1 - value / peak for value, peak in zip(values, peaks, strict=True)]
    below = "".join("-" if value < peak else " " for value, peak in zip(values, peaks, strict=True))
    profits = [trade.profit for trade in done.trades]

    def close(number: float | None, expected: float) -> bool:
        return number is not None and math.isclose(number, expected, rel_tol=1e-6, abs_tol=1e-9)

    assert bar_returns(done).tolist() == pytest.approx(returns)
    assert close(found.total_return, growth - 1)
    assert close(found.annual_return, growth ** (year / n) - 1)
    assert close(found.volatility, spread * math.sqrt(year))
    assert close(found.max_drawdown, max(falls))
    assert found.max_drawdown_bars == max(map(len, below.split()), default=0)
    if spread > 1e-9:
        assert close(found.sharpe, statistics.mean(returns) / spread * math.sqrt(year))
    if down > 0:
        assert close(found.sortino, statistics.mean(returns) / down * math.sqrt(year))
        assert close(found.calmar, (growth ** (year / n) - 1) / max(falls))
    assert found.trades == len(profits)
    if profits:
        assert close(found.win_rate, sum(p > 0 for p in profits) / len(profits))
        assert close(found.expectancy, statistics.mean(profits))
        assert close(found.mean_bars_held, statistics.mean(trade.bars for trade in done.trades))
    losses = -sum(p for p in profits if p <= 0)
    assert (
        found.profit_factor is None
        if losses == 0
        else close(found.profit_factor, sum(p for p in profits if p > 0) / losses)
    )
    traded = sum(abs(fill.quantity) * fill.price for fill in done.fills)
    assert close(found.turnover, traded / statistics.mean(values[1:]) * year / n)
    assert found.exposure == np.mean(done.gross > 0)
    assert set(found.as_json()) == set(vars(found))


def test_nothing_traded_leaves_undefined_what_is_undefined() -> None:
    bars = random_bars(1, 10, 1, missing=0.0)
    found = metrics_of(run(bars, crossings(bars.close, bars.close)))

    assert (found.total_return, found.max_drawdown, found.volatility, found.trades) == (0.0, 0.0, 0.0, 0)
    assert found.sharpe is found.sortino is found.calmar is found.win_rate is found.profit_factor is None


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["close", "next_open"]), st.integers(1, 2))
def test_a_sweep_of_crossings_is_each_run_in_every_bit(seed: int, fill: str, threads: int) -> None:
    bars = random_bars(seed, 60, 1, missing=0.05)
    rng = np.random.default_rng(seed)
    lines = np.round(np.cumsum(rng.normal(0, 1, (4, 60)), axis=1), 1)
    lines[1, :7] = np.nan
    pairs = np.array([(i, j) for i in range(4) for j in range(4) if i != j] * 20)
    rules = TradingRules(execution=Execution(fill=fill))  # type: ignore[arg-type]
    table = crossing_sweep(bars, lines, pairs, rules, threads=threads)

    for k in range(12):
        done = run(bars, crossings(lines[pairs[k, 0]], lines[pairs[k, 1]]), rules)
        assert table.metrics(k) == metrics_of(done)
    assert np.array_equal(table.table[:12], table.table[-12:], equal_nan=True)


def test_a_sweep_over_orders_and_rules_is_each_run_in_every_bit() -> None:
    bars = random_bars(7)
    several = [random_signals(bars, seed) for seed in range(5)]
    rules = [TradingRules(sizing=Sizing(value=0.1 * k)) for k in range(1, 6)]
    both = sweep(bars, several, rules)

    assert [both.metrics(k) for k in range(5)] == [
        metrics_of(run(bars, one, under)) for one, under in zip(several, rules, strict=True)
    ]
    assert np.array_equal(sweep(bars, several[0], rules[:1], threads=1).table, both.table[:1], equal_nan=True)
    assert sweep(bars, several, rules[0]).column("trades").shape == (5,)
    with pytest.raises(DataError, match="do not go with"):
        sweep(bars, several, rules[:2])
    with pytest.raises(DataError, match="shape"):
        crossing_sweep(bars, np.zeros((2, 40)), np.array([[0, 1]]))


def test_years_of_daily_bars_of_stocks_have_about_252_of_them() -> None:
    weekdays = np.array([day for day in range(365 * 4) if day % 7 < 5]) * DAY_US
    bars = MarketBars.of_closes(weekdays, ["A"], np.ones(len(weekdays)))

    assert bars.bars_per_year == pytest.approx(261, abs=1)
