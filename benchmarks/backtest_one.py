"""One strategy with stops against backtesting.py, on the same bars, in one run."""

import warnings
from typing import Any

import numpy as np

from benchmarks._markets import daily_bars, moving_averages
from benchmarks._measure import compare
from kurswerk.backtest import (
    Exits,
    MarketBars,
    Metrics,
    Sizing,
    Trade,
    TradingCosts,
    TradingRules,
    crossings,
    metrics_of,
)
from kurswerk.backtest import (
    run as run_backtest,
)
from kurswerk.core.errors import InvalidInputError

BARS, FAST, SLOW = 2_148, 10, 30
STOP, TARGET, SIZE = 0.03, 0.06, 100
_RULES = TradingRules(
    costs=TradingCosts(commission_bps=10, slippage_bps=0),
    sizing=Sizing(kind="shares", value=SIZE),
    exits=Exits(stop_loss=STOP, take_profit=TARGET),
)


def run(*, bars: int = BARS, repeats: int = 7) -> list[dict[str, Any]]:
    """Measure a crossing of two averages with stop loss and take profit, from the averages to the list of trades.

    Returns
    -------
    list of dict
        As from `benchmarks._measure.compare`.

    Raises
    ------
    InvalidInputError
        If backtesting.py is not installed.
    """
    market = daily_bars(bars, 1)
    theirs = peer(market)
    our_run(market)
    trades = len(our_run(market)[1])
    return [
        compare(
            "backtest-one",
            lambda: our_run(market),
            ("backtesting.py", theirs),
            (repeats, min(3, repeats)),
            (100.0, f"{bars:,} bars, averages of {FAST} and {SLOW}, stop and target, metrics, {trades} trades"),
        )
    ]


def our_run(market: MarketBars) -> tuple[Metrics, tuple[Trade, ...]]:
    """Trade the strategy and return metrics and trades."""
    fast, slow = moving_averages(market.close[:, 0], np.array([FAST, SLOW]))
    done = run_backtest(market, crossings(fast, slow), _RULES)
    return metrics_of(done), done.trades


def peer(market: MarketBars) -> Any:
    """Return what runs the same strategy in backtesting.py; its stops are measured from the close of the signal."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pandas as pd  # noqa: PLC0415 - of the peer of the benchmark, not a dependency
            from backtesting import Backtest, Strategy  # noqa: PLC0415 - as above
            from backtesting.lib import crossover  # noqa: PLC0415 - as above
    except ImportError as error:
        raise InvalidInputError("the peer backtesting.py is not installed; pip install 'kurswerk[dev]'") from error
    frame = pd.DataFrame(
        {name.capitalize(): getattr(market, name)[:, 0] for name in ("open", "high", "low", "close")},
        index=pd.to_datetime(market.times, unit="us"),
    )

    class Crossing(Strategy):  # type: ignore[misc]  # the peer has no types
        def init(self) -> None:
            lines = moving_averages(np.asarray(self.data.Close), np.array([FAST, SLOW]))
            self.fast, self.slow = (self.I(lambda line=line: line, name=f"{k}") for k, line in enumerate(lines))

        def next(self) -> None:
            price = self.data.Close[-1]
            if crossover(self.fast, self.slow) and not self.position:
                self.buy(size=SIZE, sl=price * (1 - STOP), tp=price * (1 + TARGET))
            elif crossover(self.slow, self.fast):
                self.position.close()

    def work() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Backtest(frame, Crossing, cash=_RULES.account.cash, commission=0.001).run()

    return work
