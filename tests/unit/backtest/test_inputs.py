"""Bars, orders, rules and sizes: what they make of their inputs, and what they refuse."""

import itertools
import statistics
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from backtest_cases import random_bars
from kurswerk.backtest import (
    Execution,
    Exits,
    MarketBars,
    Signals,
    Sizing,
    TargetWeights,
    TradingRules,
    crossings,
    equal_weights,
    joined_symbols,
    run,
    top_of_ranking,
)
from kurswerk.backtest._sizes import position_sizes
from kurswerk.core.errors import DataError, SpecError, UnknownNameError
from kurswerk.core.timestamps import DAY_US
from kurswerk.market import COINS, Panel, market_named

TIMES = np.arange(3) * DAY_US
ONE = {"open": [1.0, 2, 3], "high": [2.0, 3, 4], "low": [1.0, 1, 2], "close": [2.0, 2, 3]}


def prices(**changed: list[float]) -> dict[str, np.ndarray]:
    return {name: np.array(values) for name, values in {**ONE, **changed}.items()}


def test_a_panel_becomes_bars_on_the_times_of_all_its_rows() -> None:
    panel = Panel.from_columns(
        ["A", "A", "B"],
        np.array([0, 2, 1]) * DAY_US,
        {name: np.array([1.0, 2.0, 3.0]) for name in ("open", "high", "low", "close", "volume")},
    )
    bars = MarketBars.from_panel(panel, market_named("candles"))

    assert bars.symbols == ("A", "B")
    assert bars.present.tolist() == [[True, False], [False, True], [True, False]]
    assert bars.close[2, 0] == 2.0
    assert not bars.volume_in_currency
    assert bars.bars_per_year == pytest.approx(365.25)
    assert bars.of_symbol("B").close[1].tolist() == [3.0]
    assert bars.until(2).num_bars == 2


def test_reserves_and_volume_of_coins_count_currency() -> None:
    names = ("price_open", "price_high", "price_low", "price_close", "virtual_sol_reserves")
    panel = Panel.from_columns(["A"], np.array([0]), {name: np.array([1.0]) for name in names})
    bars = MarketBars.from_panel(panel, COINS)

    assert bars.volume_in_currency
    assert bars.reserves.tolist() == [[1.0]]
    assert bars.volume.shape == (0, 0)
    assert bars.fields.shape == (1, 6, 1)
    assert bars.bars_per_year == 1.0


def test_a_bar_that_lacks_one_price_is_missing() -> None:
    bars = MarketBars.of(TIMES, ["A"], prices(open=[np.nan, 2, 3]))

    assert bars.present.ravel().tolist() == [False, True, True]
    assert np.isnan(bars.close[0, 0])


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"close": [5.0, 2, 3]}, "backtest.impossible_bar"),
        ({"low": [0.0, 1, 2]}, "backtest.impossible_bar"),
        ({"open": [1.0, 2, 1]}, "backtest.impossible_bar"),
        ({"close": [2.0, 2]}, "backtest.shape"),
    ],
)
def test_impossible_bars_are_refused(changed: dict[str, list[float]], code: str) -> None:
    with pytest.raises(DataError) as refused:
        MarketBars.of(TIMES, ["A"], prices(**changed))
    assert refused.value.message.code == code


def test_bars_without_order_rows_or_prices_are_refused() -> None:
    empty = Panel.from_columns([], np.array([], dtype=np.int64), {"open": np.array([])})
    priceless = Panel.from_columns(["A"], np.array([0]), {"open": np.array([1.0])})

    for make, code in (
        (lambda: MarketBars.of(TIMES[::-1], ["A"], prices()), "backtest.times_not_ascending"),
        (lambda: MarketBars.of(np.array([]), [], {name: np.empty((0, 0)) for name in ONE}), "backtest.no_bars"),
        (lambda: MarketBars.from_panel(empty, market_named("candles")), "backtest.no_bars"),
        (lambda: MarketBars.from_panel(priceless, market_named("candles")), "backtest.no_price"),
    ):
        with pytest.raises(DataError) as refused:
            make()
        assert refused.value.message.code == code
    with pytest.raises(UnknownNameError):
        random_bars(1).of_symbol("S9")


def test_orders_that_mean_nothing_are_refused() -> None:
    bars = random_bars(1, 4, 1)
    for make, code in (
        (lambda: Signals(np.array([3])), "backtest.unknown_signal"),
        (lambda: Signals(np.zeros(4), np.zeros(3)), "backtest.shape"),
        (lambda: TargetWeights(np.array([np.inf])), "backtest.infinite_weight"),
        (lambda: run(bars, Signals(np.zeros(3))), "backtest.shape"),
        (lambda: top_of_ranking(np.zeros((2, 2)), 0), "backtest.bad_ranking"),
        (
            lambda: run(
                MarketBars.of_closes(TIMES, ["A"], np.ones(3)),
                Signals(np.zeros(3)),
                TradingRules.model_validate({"costs": {"price_impact": True}}),
            ),
            "backtest.no_reserves",
        ),
    ):
        with pytest.raises(DataError) as refused:
            make()
        assert refused.value.message.code == code


def test_rules_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(SpecError):
        Execution(fill="close", order="limit")
    with pytest.raises(SpecError):
        TradingRules.model_validate({"costs": {"price_impact": True}, "account": {"leverage": 2}})
    with pytest.raises(ValidationError):
        Exits(stop_loss=1.0)


def test_rankings_choose_the_highest_and_the_lowest() -> None:
    ranking = np.array([[3.0, 1.0, np.nan, 2.0], [1.0, 1.0, 1.0, 1.0], [0.0, 1.0, 2.0, 3.0]])
    weights = top_of_ranking(ranking, 1, every=2, short=1).values

    assert weights[0].tolist() == [0.5, -0.5, 0.0, 0.0]
    assert np.isnan(weights[1]).all()
    assert weights[2].tolist() == [-0.5, 0.0, 0.0, 0.5]
    held = equal_weights(MarketBars.of_closes(TIMES, ["A", "B"], np.array([[1, np.nan], [1, 1], [1, 1]])), every=2)
    assert held.values[0].tolist() == [1.0, 0.0]
    assert np.isnan(held.values[1]).all()


def test_signals_move_in_time_and_stand_side_by_side() -> None:
    one = Signals(np.array([1, -1, 0]))

    assert one.delayed(1).values.ravel().tolist() == [0, 1, -1]
    assert joined_symbols([one, one]).values.shape == (3, 2)
    unknown = crossings(np.array([np.nan, 3.0, 1.0]), np.array([2.0, 2.0, 2.0]))
    assert unknown.values.ravel().tolist() == [0, 0, -1]


def test_computed_sizes_are_those_of_the_definitions() -> None:
    bars = random_bars(3, 30, 1, missing=0.0)
    closes = bars.close.ravel().tolist()
    returns = [after / before - 1 for before, after in itertools.pairwise(closes)]
    last = returns[-5:]
    spread, mean = statistics.stdev(last), statistics.mean(last)

    def size(kind: str, value: float, **exits: float) -> float:
        sizing = Sizing.model_validate({"kind": kind, "value": value, "window": 5, "cap": 100})
        return float(position_sizes(bars, sizing, Exits.model_validate(exits))[1][-1, 0])

    assert size("volatility", 0.2) == pytest.approx(0.2 / (spread * bars.bars_per_year**0.5))
    assert size("kelly", 0.5) == pytest.approx(max(0.5 * mean / spread**2, 0.0))
    assert size("risk", 0.01, stop_loss=0.05) == pytest.approx(0.2)
    high, low = bars.high.ravel().tolist(), bars.low.ravel().tolist()
    ranges = [max(top, c) - min(bottom, c) for top, bottom, c in zip(high[1:], low[1:], closes, strict=False)]
    assert size("risk", 0.01) == pytest.approx(0.01 * closes[-1] / statistics.mean(ranges[-5:]))
    assert np.isnan(position_sizes(bars, Sizing(kind="kelly", window=5), Exits())[1][4, 0])


def test_sizes_look_through_gaps_splits_and_dividends() -> None:
    whole = random_bars(3, 12, 1, missing=0.0)
    split = np.ones((12, 1))
    split[6] = 2.0
    factor = np.where(np.arange(12)[:, None] >= 6, 0.5, 1.0)
    halved = replace(
        whole, **{name: getattr(whole, name) * factor for name in ("open", "high", "low", "close")}, split=split
    )
    sizing = Sizing(kind="volatility", value=0.2, window=5, cap=100)

    plain, corrected = (position_sizes(bars, sizing, Exits())[1] for bars in (whole, halved))
    assert corrected == pytest.approx(plain, nan_ok=True)
    paid = replace(whole, dividend=np.full((12, 1), 0.1))
    assert not np.allclose(position_sizes(paid, sizing, Exits())[1], plain, equal_nan=True)
