"""Planted cheats are named, and honest runs are not accused."""

from dataclasses import replace

import numpy as np
import pytest

from backtest_cases import random_bars
from kurswerk.backtest import (
    Account,
    Execution,
    MarketBars,
    Signals,
    Sizing,
    TargetWeights,
    TradingCosts,
    TradingRules,
    check_assumptions,
    crossings,
    equal_weights,
    first_look_ahead_bar,
    run,
)
from kurswerk.core.timestamps import DAY_US


def codes(done: object, *, violated: bool) -> set[str]:
    return {finding.code.rsplit(".", 1)[1] for finding in check_assumptions(done) if finding.violated == violated}  # type: ignore[arg-type]


def above_the_open(bars: MarketBars) -> Signals:
    """What a bar's own close shows: up bars and down bars."""
    return Signals(np.where(bars.close > bars.open, 1, -1).astype(np.int8))


@pytest.mark.parametrize("fill", ["next_open", "close"])
def test_signals_that_know_the_bar_they_are_filled_in_are_named(fill: str) -> None:
    bars = random_bars(11, 200, 2, missing=0.0)
    rules = TradingRules(account=Account(allow_short=True), execution=Execution(fill=fill))  # type: ignore[arg-type]
    honest = above_the_open(bars)
    later = np.vstack([bars.close[1:], bars.close[-1:]])
    known = np.where(later > bars.close, 1, -1) if fill == "close" else np.roll(honest.values, -1, axis=0)

    assert "foresight" in codes(run(bars, Signals(known), rules), violated=True)
    assert "foresight" not in codes(run(bars, honest, rules), violated=True)


def test_a_strategy_that_needs_later_bars_shows_from_which_on() -> None:
    bars = random_bars(3, 60, 2, missing=0.0)

    assert first_look_ahead_bar(above_the_open, bars) is None
    assert (
        first_look_ahead_bar(lambda some: Signals(np.roll(above_the_open(some).values, -1, axis=0)), bars) is not None
    )
    assert first_look_ahead_bar(equal_weights, bars) is None


def test_a_universe_of_survivors_is_named() -> None:
    times = np.arange(0, 1000) * DAY_US
    close = np.full((1000, 25), 10.0)
    ended = close.copy()
    ended[500:, 3] = np.nan
    names = [f"S{k}" for k in range(25)]
    weights = TargetWeights(np.where(np.arange(1000)[:, None] == 0, 0.04, np.full((1000, 25), np.nan)))
    lasting, honest = (run(MarketBars.of_closes(times, names, prices), weights) for prices in (close, ended))

    assert "survivors" in codes(lasting, violated=True)
    assert "survivors" not in codes(honest, violated=True)
    assert "delisted" in codes(honest, violated=False)


def test_share_counts_on_adjusted_prices_are_named() -> None:
    whole = random_bars(5, 40, 1, missing=0.0)
    split = np.ones((40, 1))
    split[20] = 4.0
    raw = np.where(np.arange(40)[:, None] >= 20, 0.25, 1.0)
    prices = {name: getattr(whole, name) * raw for name in ("open", "high", "low", "close")}
    rules = TradingRules(execution=Execution(lot=1), sizing=Sizing(kind="shares", value=10))
    signals = Signals(np.eye(40, 1))

    assert codes(run(replace(whole, split=split), signals, rules), violated=True) == {"split_twice"}
    assert codes(run(replace(whole, split=split, **prices), signals, rules), violated=True) == set()
    adjusted = replace(whole, price_basis="adjusted", dividend=np.full((40, 1), 0.1))
    assert codes(run(adjusted, signals, rules), violated=True) == {"adjusted_shares", "dividends_twice"}
    assert codes(run(replace(whole, price_basis="split_adjusted"), signals), violated=True) == set()


def test_costs_left_out_and_volume_not_looked_at_are_named() -> None:
    bars = random_bars(5, 40, 1, missing=0.0)
    free = TradingRules(
        costs=TradingCosts(commission_bps=0, slippage_bps=0),
        execution=Execution(participation=None, fill="close"),
        account=Account(cash=1e9),
    )
    signals = crossings(bars.close, np.full_like(bars.close, bars.close.mean()))
    cheating, honest = run(bars, signals, free), run(bars, signals)

    assert codes(cheating, violated=True) == {"no_costs", "above_volume"}
    assert codes(cheating, violated=False) == {"filled_at_close", "few_trades"}
    assert codes(honest, violated=True) == set()
    in_currency = replace(bars, volume_in_currency=True)
    assert "above_volume" in codes(run(in_currency, signals, free), violated=True)
    closes = MarketBars.of_closes(bars.times, bars.symbols, bars.close)
    assert "no_volume" in codes(run(closes, signals), violated=False)
    assert [finding.violated for finding in check_assumptions(cheating)] == [True, True, False, False]
