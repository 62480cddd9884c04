"""Trade by trade against backtesting.py where it can express the rules: one symbol, whole shares, stop or target."""

import warnings
from typing import Any

import numpy as np
import pytest

from benchmarks._markets import daily_bars
from kurswerk.backtest import Account, Execution, Exits, Signals, Sizing, TradingCosts, TradingRules, run

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    backtesting = pytest.importorskip(
        "backtesting", reason="backtesting.py, an extra for development, is not installed"
    )
    import pandas as pd

SIZE, CASH, COMMISSION = 100, 1_000_000.0, 0.001


def peer_trades(bars: Any, signals: np.ndarray, stop: float | None, target: float | None) -> Any:
    """Run backtesting.py on the same signals; levels follow from the entry, the next bar's open, as ours do."""
    frame = pd.DataFrame(
        {name.capitalize(): getattr(bars, name)[:, 0] for name in ("open", "high", "low", "close")},
        index=pd.to_datetime(bars.times, unit="us"),
    )
    opens = bars.open[:, 0]

    class Replay(backtesting.Strategy):  # type: ignore[misc, name-defined]
        def init(self) -> None:
            pass

        def next(self) -> None:
            bar = len(self.data) - 1
            signal = signals[bar]
            if bar + 1 == len(opens) or signal == 0:
                return
            side = 1 if signal == 1 else -1
            if self.position and self.position.size * side < 0:
                self.position.close()
            if signal == 2:
                self.position.close()
            elif self.position.size * side <= 0:
                levels = {
                    "sl": stop and opens[bar + 1] * (1 - side * stop),
                    "tp": target and opens[bar + 1] * (1 + side * target),
                }
                (self.buy if side > 0 else self.sell)(size=SIZE, **levels)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return backtesting.Backtest(frame, Replay, cash=CASH, commission=COMMISSION).run()


@pytest.mark.parametrize(("stop", "target"), [(None, None), (0.03, None), (None, 0.03)])
def test_trades_are_those_of_backtesting_py(stop: float | None, target: float | None) -> None:
    bars = daily_bars(300, 1)
    rng = np.random.default_rng(4)
    signals = rng.choice([0, 1, -1, 2], 300, p=[0.7, 0.12, 0.12, 0.06])
    stats = peer_trades(bars, signals, stop, target)
    rules = TradingRules(
        account=Account(cash=CASH, allow_short=True),
        execution=Execution(participation=None),
        costs=TradingCosts(commission_bps=1e4 * COMMISSION, slippage_bps=0),
        sizing=Sizing(kind="shares", value=SIZE),
        exits=Exits(stop_loss=stop, take_profit=target),
    )
    done = run(bars, Signals(signals), rules)
    theirs = stats["_trades"].sort_values(["ExitBar", "EntryBar"])
    ours = done.trade_table

    assert len(ours) == len(theirs) > 30
    assert ours[:, 1].tolist() == theirs["EntryBar"].tolist()
    assert ours[:, 2].tolist() == theirs["ExitBar"].tolist()
    assert (ours[:, 3] * SIZE).tolist() == theirs["Size"].tolist()
    assert ours[:, 5] == pytest.approx(theirs["EntryPrice"].to_numpy())
    assert ours[:, 6] == pytest.approx(theirs["ExitPrice"].to_numpy())
    assert ours[:, 7] == pytest.approx(theirs["PnL"].to_numpy())
