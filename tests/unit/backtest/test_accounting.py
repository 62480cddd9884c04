"""What holds for every back-test, and the same account kept in exact decimals."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest_cases import Case, cases, random_bars
from interpreted import interpreted
from kurswerk.backtest import (
    Backtest,
    MarketBars,
    Signals,
    TargetWeights,
    TradingRules,
    _decisions,
    _exits,
    _fills,
    _kernel,
    run,
)
from kurswerk.backtest._state import ACCOUNT, REASONS

CLOSE = {"rel": 1e-9, "abs": 1e-6}


@settings(max_examples=60, deadline=None)
@given(cases())
def test_every_fill_is_that_of_an_account_kept_in_decimals(case: Case) -> None:
    done, slow = case.run(), case.oracle()

    assert [(int(f[0]), int(f[1]), REASONS[int(f[9])]) for f in done.fill_table] == [(*f[:2], f[4]) for f in slow.fills]
    assert done.column("quantity") == pytest.approx([float(f[2]) for f in slow.fills], **CLOSE)
    assert done.column("price") == pytest.approx([float(f[3]) for f in slow.fills], **CLOSE)
    assert done.equity == pytest.approx([float(value) for value in slow.equity], **CLOSE)
    found = [(int(row[0]), int(row[1]), int(row[3]), REASONS[int(row[9])]) for row in done.trade_table]
    assert found == [(s, opened, side, reason) for s, opened, side, _, reason in slow.trades]
    assert done.trade_table[:, 7] == pytest.approx([float(trade[3]) for trade in slow.trades], **CLOSE)
    for kind, cost in slow.costs.items():
        assert done.totals[kind] == pytest.approx(float(cost), **CLOSE), kind
    assert done.totals["cash"] == pytest.approx(float(slow.cash), **CLOSE)


@settings(max_examples=40, deadline=None)
@given(cases(actions=False))
def test_cash_and_positions_are_the_equity_at_every_bar(case: Case) -> None:
    account = case.rules.account.model_copy(update={"cash_rate": 0.0, "margin_rate": 0.0, "borrow_rate": 0.0})
    rules = case.rules.model_copy(update={"account": account})
    done = run(case.bars, case.orders, rules)

    flow = -done.column("quantity") * done.column("price") - done.column("commission")
    bars = done.column("bar").astype(int)
    cash = rules.account.cash + np.cumsum(np.bincount(bars, weights=flow, minlength=case.bars.num_bars))
    shares = np.zeros(case.bars.close.shape)
    np.add.at(shares, (bars, done.column("symbol").astype(int)), done.column("quantity"))
    shares = np.cumsum(shares, axis=0)
    value = (shares * last_closes(case.bars)).sum(axis=1)
    assert done.cash == pytest.approx(cash, **CLOSE)
    assert done.net == pytest.approx(value, **CLOSE)
    assert done.equity == pytest.approx(cash + value, **CLOSE)
    assert np.array_equal(done.cash + done.net, done.equity) or done.cash + done.net == pytest.approx(done.equity)


def last_closes(bars: MarketBars) -> np.ndarray:
    found, last = np.zeros(bars.close.shape), np.zeros(len(bars.symbols))
    for t, row in enumerate(bars.close):
        last = np.where(np.isnan(row), last, row)
        found[t] = last
    return found


@settings(max_examples=40, deadline=None)
@given(cases())
def test_costs_add_up_and_no_fill_is_at_an_unknown_price(case: Case) -> None:
    done = case.run()

    for kind in ("commission", "spread", "slippage", "impact"):
        assert done.totals[kind] == pytest.approx(done.column(kind).sum(), **CLOSE)
    paid = done.column("spread") + done.column("slippage") + done.column("impact")
    slipped = np.abs(done.column("quantity")) * np.abs(done.column("price") - done.column("market_price"))
    traded = done.column("reason") != REASONS.index("delisting")
    assert slipped[traded] == pytest.approx(paid[traded], **CLOSE)
    for row in done.fill_table[traded]:
        t, s = int(row[0]), int(row[1])
        assert case.bars.low[t, s] * (1 - 1e-12) <= row[4] <= case.bars.high[t, s] * (1 + 1e-12)
    if case.rules.execution.participation is not None:
        volume = np.zeros(case.bars.close.shape)
        at = done.column("bar").astype(int)[traded], done.column("symbol").astype(int)[traded]
        np.add.at(volume, at, np.abs(done.column("quantity")[traded]))
        assert (volume <= case.rules.execution.participation * np.nan_to_num(case.bars.volume) * (1 + 1e-12)).all()


@settings(max_examples=40, deadline=None)
@given(cases(proportional=True))
def test_twice_the_cash_trades_twice_as_much(case: Case) -> None:
    costs = case.rules.costs.model_copy(update={"price_impact": False})
    once = case.rules.model_copy(update={"costs": costs})
    account = once.account.model_copy(update={"cash": 2 * once.account.cash})
    done, double = (run(case.bars, case.orders, r) for r in (once, once.model_copy(update={"account": account})))

    assert len(done.fill_table) == len(double.fill_table)
    assert double.column("quantity") == pytest.approx(2 * done.column("quantity"), rel=1e-9)
    assert double.equity == pytest.approx(2 * done.equity, rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(cases(), st.integers(1, 39))
def test_what_comes_later_changes_nothing_before(case: Case, cut: int) -> None:
    other = random_bars(99, case.bars.num_bars, len(case.bars.symbols))
    later = {
        name: np.concatenate([getattr(case.bars, name)[:cut], getattr(other, name)[cut:]])
        for name in ("open", "high", "low", "close", "volume", "reserves")
    }
    changed = replace(case.bars, **later)
    values = case.orders.values.copy()
    values[cut:] = 0
    orders = Signals(values) if isinstance(case.orders, Signals) else TargetWeights(values)
    before = Signals(case.orders.values) if isinstance(case.orders, Signals) else case.orders
    done, shifted = run(case.bars, before, case.rules), run(changed, orders, case.rules)

    assert np.array_equal(done.equity[:cut], shifted.equity[:cut])
    early, same = (one.fill_table[one.column("bar") < cut] for one in (done, shifted))
    assert np.array_equal(early, same)


@settings(max_examples=8, deadline=None)
@given(cases())
def test_compiled_and_interpreted_kernels_agree_in_every_bit(case: Case) -> None:
    compiled = case.run()
    with interpreted(_kernel, _fills, _exits, _decisions), pytest.MonkeyPatch.context() as patch:
        patch.setattr("kurswerk.backtest._run.simulate", _kernel.simulate)
        plain = case.run()

    assert np.array_equal(compiled.equity, plain.equity)
    assert np.array_equal(compiled.fill_table, plain.fill_table)


def test_a_run_with_more_fills_than_expected_is_made_again() -> None:
    bars = random_bars(5, 400, 1, missing=0.0)
    signals = np.zeros((400, 1), dtype=np.int8)
    signals[::40] = 1
    rules = TradingRules.model_validate(
        {
            "execution": {"participation": 0.001},
            "exits": {"stop_loss": 0.01},
            "costs": {"commission_bps": 0, "slippage_bps": 0},
        }
    )
    done = run(bars, Signals(signals), rules)

    assert len(done.fill_table) == done.totals["fills"] > 2 * 10 + 2
    assert tuple(done.totals) == ACCOUNT


def test_the_drawdown_counts_from_the_starting_cash() -> None:
    done: Backtest = run(
        MarketBars.of_closes(np.arange(3) * 86_400_000_000, ["A"], np.array([10.0, 5.0, 10.0])),
        Signals(np.array([1, 0, 0])),
        TradingRules.model_validate(
            {"execution": {"fill": "close"}, "costs": {"commission_bps": 0, "slippage_bps": 0}}
        ),
    )

    assert done.drawdown.tolist() == [0.0, 0.5, 0.0]
    assert done.exposure.tolist() == [1.0, 1.0, 1.0]
    assert done.open_positions[0].profit == 0.0
    assert sum(done.costs.values()) == 0.0
