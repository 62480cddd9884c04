"""Run a strategy over bars."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kurswerk.backtest._bars import MarketBars
from kurswerk.backtest._kernel import simulate
from kurswerk.backtest._orders import Orders, Signals
from kurswerk.backtest._result import Backtest, OpenPosition
from kurswerk.backtest._rules import TradingRules
from kurswerk.backtest._sizes import position_sizes
from kurswerk.backtest._state import (
    ACCOUNT,
    ENTRY,
    FILLS,
    FLOW,
    LAST,
    LIMIT,
    MARKET,
    OPENED,
    RULES,
    SHARES,
    STOP,
    TRADES,
    new_state,
)
from kurswerk.core.errors import DataError

Float = NDArray[np.float64]
Int8 = NDArray[np.int8]

_KINDS = {"market": MARKET, "limit": LIMIT, "stop": STOP}
_NO_SIGNALS: Int8 = np.empty((0, 0), dtype=np.int8)
_NONE: Float = np.empty((0, 0))
# Room for fills at first; a run that needs more is made again with as much as it needs.
_ROOM = 100_000


def run(bars: MarketBars, orders: Orders, rules: TradingRules | None = None) -> Backtest:
    """Trade signals or target weights over bars and account for every fill.

    Decisions see bars up to their own. The same inputs give the same result, bit for bit.

    Parameters
    ----------
    bars
        Prices of all symbols.
    orders
        `Signals` or `TargetWeights` of shape (n_bars, n_symbols).
    rules
        The defaults of `TradingRules` if None.

    Raises
    ------
    DataError
        If shapes differ, or the bars lack volume or reserves that a rule needs.

    Examples
    --------
    >>> bars = MarketBars.of_closes(np.arange(4) * 86_400_000_000, ["A"], np.array([10.0, 20.0, 30.0, 40.0]))
    >>> done = run(bars, Signals(np.array([1, 0, -1, 0])), TradingRules(costs={"commission_bps": 0, "slippage_bps": 0}))
    >>> done.equity.tolist(), [(trade.entry_price, trade.exit_price, trade.profit) for trade in done.trades]
    ([10000.0, 10000.0, 15000.0, 20000.0], [(20.0, 40.0, 10000.0)])
    """
    rules = rules or TradingRules()
    unit, size = position_sizes(bars, rules.sizing, rules.exits)
    record = record_of(bars, rules, unit)
    values = orders_of(orders, bars)
    wanted = np.count_nonzero(values.signals) + np.count_nonzero(~np.isnan(values.weights))
    fills = trades = min(2 * int(wanted) + 2 * len(bars.symbols), _ROOM)
    while True:
        state = new_state(bars.close.shape, rules.account.cash, fills, trades)
        simulate(bars.fields, bars.clock, record, *state, values.signals, values.weights, size, values.ranks)
        made, ended = int(state.account[FILLS]), int(state.account[TRADES])
        if made <= fills and ended <= trades:
            break
        fills, trades = made, ended
    equity, cash, gross, net = state.out
    return Backtest(
        bars=bars,
        rules=rules,
        equity=equity,
        cash=cash,
        gross=gross,
        net=net,
        fill_table=state.fills[:made].copy(),
        trade_table=state.trades[:ended].copy(),
        open_positions=_open_positions(bars, state.book),
        totals=dict(zip(ACCOUNT, state.account.tolist(), strict=True)),
    )


class OrderValues(NamedTuple):
    """Orders as the kernel reads them; what is not given has shape (0, 0)."""

    signals: Int8
    weights: Float
    ranks: Float


def orders_of(orders: Orders, bars: MarketBars) -> OrderValues:
    """Return the arrays of orders; DataError if they have another shape than the bars."""
    if orders.values.shape != bars.close.shape:
        found, expected = list(orders.values.shape), list(bars.close.shape)
        raise DataError("backtest.shape", name=type(orders).__name__, found=found, expected=expected)
    if isinstance(orders, Signals):
        return OrderValues(orders.values, _NONE, orders.ranks)
    return OrderValues(_NO_SIGNALS, orders.values, _NONE)


def record_of(bars: MarketBars, rules: TradingRules, size_unit: int) -> Any:
    """Return rules as the kernel reads them, a record of `RULES`.

    Raises
    ------
    DataError
        If price impact is asked for and the bars have no reserves.
    """
    account, execution, costs, exits = rules.account, rules.execution, rules.costs, rules.exits
    if costs.price_impact and bars.reserves.shape[0] == 0:
        raise DataError("backtest.no_reserves")
    limited = execution.participation is not None and bars.volume.shape[0] > 0
    days = account.delisted_after_days
    stops = (exits.stop_loss, exits.take_profit, exits.trailing_stop)
    values = {
        "leverage": account.leverage,
        "maintenance": account.maintenance,
        "lot": execution.lot,
        "order_offset": execution.offset,
        "participation": execution.participation if limited else np.inf,
        "commission": costs.commission_bps / 10_000,
        "per_share": costs.commission_per_share,
        "minimum": costs.commission_minimum,
        "fixed": costs.fixed,
        "half_spread": costs.spread_bps / 20_000,
        "slippage": costs.slippage_bps / 10_000,
        "range_share": costs.slippage_range,
        "stop_loss": _or_never(exits.stop_loss),
        "take_profit": _or_never(exits.take_profit),
        "trailing_stop": _or_never(exits.trailing_stop),
        "borrow_rate": account.borrow_rate,
        "cash_rate": account.cash_rate,
        "margin_rate": account.margin_rate,
        "delisted_after": np.inf if days is None else days / 365.25,
        "delisting_return": account.delisting_return,
        "order_kind": _KINDS[execution.order],
        "valid_bars": execution.valid_bars,
        "max_bars": -1 if exits.max_bars is None else exits.max_bars,
        "size_unit": size_unit,
        "allow_short": account.allow_short,
        "at_close": execution.fill == "close",
        "volume_in_currency": bars.volume_in_currency,
        "price_impact": costs.price_impact,
        "has_exits": any(level is not None for level in stops),
        "has_actions": bars.split.shape[0] > 0 or bars.dividend.shape[0] > 0,
    }
    return np.rec.array([tuple(values[name] for name in RULES.names or ())], dtype=RULES)[0]


def _or_never(level: float | None) -> float:
    return np.inf if level is None else level


def _open_positions(bars: MarketBars, book: Float) -> tuple[OpenPosition, ...]:
    return tuple(
        OpenPosition(
            symbol=bars.symbols[s],
            shares=float(book[SHARES, s]),
            entry_price=float(book[ENTRY, s]),
            last_price=float(book[LAST, s]),
            opened_us=int(bars.times[int(book[OPENED, s])]),
            profit=float(book[FLOW, s] + book[SHARES, s] * book[LAST, s]),
        )
        for s in np.flatnonzero(book[SHARES])
    )
