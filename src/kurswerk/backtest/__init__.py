"""Back-tests: what signals or target weights would have earned, fill by fill.

Pure code: bars, orders and rules in, equity and trades out.
"""

from kurswerk.backtest._assumptions import Finding, check_assumptions, first_look_ahead_bar
from kurswerk.backtest._bars import MarketBars
from kurswerk.backtest._baselines import Comparison, RandomEntries, compare_with_baselines
from kurswerk.backtest._intervals import DeflatedSharpe, Interval, deflated_sharpe, intervals
from kurswerk.backtest._metrics import METRICS, Metrics, metrics_of
from kurswerk.backtest._orders import (
    BUY,
    EXIT,
    HOLD,
    SELL,
    Orders,
    Signals,
    TargetWeights,
    crossings,
    equal_weights,
    joined_symbols,
    top_of_ranking,
)
from kurswerk.backtest._result import Backtest, Fill, OpenPosition, Trade
from kurswerk.backtest._rules import Account, Execution, Exits, Sizing, TradingCosts, TradingRules
from kurswerk.backtest._run import run
from kurswerk.backtest._signal_rule import SignalRule, follow_rule, new_signal_state
from kurswerk.backtest._sweep import Sweep, sweep, sweep_crossings

__all__ = [
    "BUY",
    "EXIT",
    "HOLD",
    "METRICS",
    "SELL",
    "Account",
    "Backtest",
    "Comparison",
    "DeflatedSharpe",
    "Execution",
    "Exits",
    "Fill",
    "Finding",
    "Interval",
    "MarketBars",
    "Metrics",
    "OpenPosition",
    "Orders",
    "RandomEntries",
    "SignalRule",
    "Signals",
    "Sizing",
    "Sweep",
    "TargetWeights",
    "Trade",
    "TradingCosts",
    "TradingRules",
    "check_assumptions",
    "compare_with_baselines",
    "crossings",
    "deflated_sharpe",
    "equal_weights",
    "first_look_ahead_bar",
    "follow_rule",
    "intervals",
    "joined_symbols",
    "metrics_of",
    "new_signal_state",
    "run",
    "sweep",
    "sweep_crossings",
    "top_of_ranking",
]
