"""Back-tests of models: signals of their own predictions, traded on the bars of the period."""

import numpy as np
import pytest

from kurswerk.backtest import MarketBars, SignalRule, TradingRules, follow_rule, metrics_of, run
from kurswerk.core.errors import SpecError, UnknownNameError
from kurswerk.core.timestamps import MINUTE_US, format_timestamp
from kurswerk.market import COINS, Panel
from kurswerk.registry import load_model, plan_of
from kurswerk.training import BacktestRequest, BacktestResult, backtest_kind, predict_rows, train
from kurswerk.training._backtesting import ModelTrading, aligned, backtest_model
from memory_market import START_US, MemoryRegistry, a_spec, random_market, stores_of

PANEL = random_market()
START, END = START_US + 400 * MINUTE_US, START_US + 590 * MINUTE_US
SIGNAL = SignalRule(enter=0.3, leave=0.2)


@pytest.fixture(scope="module")
def registry() -> MemoryRegistry:
    registry = MemoryRegistry()
    train(a_spec(), stores_of(PANEL, registry))
    train(a_spec(name="falls", direction="down"), stores_of(PANEL, registry))
    return registry


def request_of(**changes: object) -> BacktestRequest:
    period = {"test_start": format_timestamp(START), "test_end": format_timestamp(END)}
    return BacktestRequest.model_validate({"model_id": 1, **period, "signal": SIGNAL, **changes})


def result_of(registry: MemoryRegistry, **changes: object) -> BacktestResult:
    document = backtest_model(request_of(**changes).trading, stores_of(PANEL, registry), lambda *_: None)
    return BacktestResult.model_validate(document)


def test_a_model_trades_the_signals_of_its_own_predictions(registry: MemoryRegistry) -> None:
    found = result_of(registry)
    record = registry.get(1)
    plan = plan_of(record)
    known = PANEL.until(END)
    scored = np.flatnonzero(known.timestamps >= START)
    part = known.where(known.timestamps >= START)
    probability = predict_rows(load_model(record, registry), plan.compute(known, dtype=np.float32), scored)
    bars = MarketBars.from_panel(part, COINS)
    done = run(bars, follow_rule(SIGNAL, aligned(part, bars, probability)))

    assert found.metrics == metrics_of(done).as_json()
    assert found.signals > 0
    assert len(found.trades) == len(done.trades)
    assert found.equity[-1]["equity"] == done.equity[-1]
    assert found.equity[0]["timestamp"] == format_timestamp(START)
    assert found.data_fingerprint


def test_a_fall_is_sold_short_and_a_trained_period_is_named(registry: MemoryRegistry) -> None:
    found = result_of(registry, model_id="falls", trials=50, test_start=format_timestamp(START_US))

    assert found.findings[0]["message"]["code"] == "backtest.finding.trained_on"
    assert found.findings[0]["violated"]
    assert {trade["side"] for trade in found.trades} <= {"short"}
    assert found.deflated_sharpe is None or found.deflated_sharpe["trials"] == 50
    assert found.rules["account"]["allow_short"]


def test_instruments_and_rules_are_followed(registry: MemoryRegistry) -> None:
    found = result_of(registry, mints=["COIN1"], rules={"exits": {"max_bars": 1}, "account": {"cash": 5.0}})

    assert {trade["symbol"] for trade in found.trades} <= {"COIN1"}
    assert all(trade["bars"] <= 1 for trade in found.trades)
    assert found.rules == TradingRules.model_validate(found.rules).model_dump(mode="json")


def test_the_kind_of_job_checks_runs_and_keeps_the_result(registry: MemoryRegistry) -> None:
    stores = stores_of(PANEL, registry)
    kind = backtest_kind(stores)
    checked = kind.check(request_of(model_id=registry.get(1).name))
    done = kind.run(None, checked, lambda *_: None)()  # type: ignore[arg-type]

    assert checked.model_id == 1
    assert isinstance(done.document, BacktestResult)
    assert done.document == result_of(registry)


def test_what_cannot_be_traded_is_refused(registry: MemoryRegistry) -> None:
    names = tuple(name for name in PANEL.columns if name != "price_high")
    without = Panel(PANEL.instruments, PANEL.offsets, PANEL.timestamps, names, PANEL.values[: len(names)])
    stores = stores_of(without, registry)

    with pytest.raises(UnknownNameError, match="price_high"):
        backtest_kind(stores).check(request_of())
    with pytest.raises(SpecError, match="before"):
        _ = request_of(test_end=format_timestamp(START_US)).trading
    assert isinstance(request_of().trading, ModelTrading)
