"""505 stocks that share cash against vectorbt, and a sweep over them on two threads against one, in one run."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._markets import daily_bars
from benchmarks._measure import compare
from benchmarks.backtest import peer_libraries
from kurswerk.backtest import (
    Account,
    Execution,
    MarketBars,
    Metrics,
    Signals,
    Sizing,
    TradingCosts,
    TradingRules,
    metrics_of,
    sweep,
)
from kurswerk.backtest import (
    run as run_backtest,
)

BARS, SYMBOLS = 1_259, 505
CASH, AMOUNT = 10_000_000.0, 10_000.0
_RULES = TradingRules(
    account=Account(cash=CASH),
    execution=Execution(fill="close", participation=None),
    costs=TradingCosts(commission_bps=10, slippage_bps=0),
    sizing=Sizing(kind="cash", value=AMOUNT),
)


def run(*, bars: int = BARS, symbols: int = SYMBOLS, repeats: int = 7, sets: int = 16) -> list[dict[str, Any]]:
    """Measure one signal matrix with shared cash, and a sweep over several on one thread and on two.

    Returns
    -------
    list of dict
        As from `benchmarks._measure.compare`.

    Raises
    ------
    InvalidInputError
        If vectorbt is not installed.
    """
    market = daily_bars(bars, symbols)
    values = random_signals((bars, symbols), 1)
    several = [Signals(random_signals((bars, symbols), seed)) for seed in range(sets)]
    ours, theirs = our_run(market, values), peer_run(market, values)
    if not np.isclose(ours.total_return, theirs["total_return"], rtol=1e-9):
        raise AssertionError(f"a return of {ours.total_return} instead of {theirs['total_return']}")
    sweep(market, several[:1], _RULES)
    note = f"{bars:,} bars × {symbols} symbols"
    one = compare(
        "universe",
        lambda: our_run(market, values),
        ("vectorbt", lambda: peer_run(market, values)),
        (repeats, min(3, repeats)),
        (3.0, f"{note} that share cash, one thread each"),
    )
    one["note"] += f", {bars * symbols / one['ours_s'] / 1e6:.0f} M bars/s"
    return [
        one,
        compare(
            "universe, two threads",
            lambda: sweep(market, several, _RULES, threads=2),
            ("one thread", lambda: sweep(market, several, _RULES, threads=1)),
            (min(5, repeats), min(5, repeats)),
            (1.8, f"sweep of {sets} signal matrices, {note}"),
        ),
    ]


def random_signals(shape: tuple[int, int], seed: int) -> NDArray[np.int8]:
    """Return purchases and sales at random, one in forty bars each."""
    return np.random.default_rng(seed).choice(np.array([0] * 38 + [1, -1], dtype=np.int8), shape)


def our_run(market: MarketBars, values: NDArray[np.int8]) -> Metrics:
    """Trade one signal matrix and return its metrics."""
    return metrics_of(run_backtest(market, Signals(values), _RULES))


def peer_run(market: MarketBars, values: NDArray[np.int8]) -> dict[str, float]:
    """Do the same with vectorbt."""
    vbt, pd = peer_libraries()
    done = vbt.Portfolio.from_signals(
        pd.DataFrame(market.close),
        pd.DataFrame(values == 1),
        pd.DataFrame(values == -1),
        size=AMOUNT,
        size_type="value",
        fees=0.001,
        init_cash=CASH,
        cash_sharing=True,
        group_by=True,
        freq="1D",
    )
    return {"total_return": float(done.total_return()), "sharpe": float(done.sharpe_ratio())}
