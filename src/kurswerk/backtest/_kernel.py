"""The compiled loop over bars: orders, fills, exits and accounting of many symbols that share cash.

On each bar, in this order: interest, borrow costs and corporate actions; waiting market orders at the open (closing
before reducing before opening ones, those by rank); exits inside the bar, where the worse comes first; resting limit
and stop orders; then, at the close, valuation, delistings, the margin call, and decisions. With ``at_close`` decisions
are filled at the same close.
"""

from typing import Any

import numpy as np

from kurswerk.backtest._decisions import call_margin, decide_signals, decide_weights
from kurswerk.backtest._exits import exits_inside, resting_orders
from kurswerk.backtest._fills import book_fill, fill_order, increase, tradable, valued
from kurswerk.backtest._state import (
    BORROW,
    CASH,
    CASH_INTEREST,
    CLOSE,
    DELISTED,
    DELISTING,
    DIVIDEND,
    DIVIDENDS,
    ENTERED,
    ENTRY,
    EXIT_REASON,
    EXPOSED,
    EXTREME,
    FLOW,
    LAST,
    LEVEL,
    MARGIN_INTEREST,
    MARKET,
    NONE,
    OPEN,
    ORDER,
    POSITIONS,
    RANK,
    REBALANCE,
    RESERVE,
    RESERVES,
    SEEN,
    SHARES,
    SIGNAL,
    SPLIT,
    TRADED,
    WAITING,
)
from kurswerk.core.jit import inlined_kernel, kernel


@inlined_kernel
def _close_positions(m: Any, r: Any, b: Any, a: Any, fills: Any, trades: Any, t: int, at: int) -> None:
    """Sell or cover positions that are to be closed, as far as the volume allows."""
    for s in range(m.shape[2]):
        price = m[t, at, s]
        if b[EXIT_REASON, s] == NONE or np.isnan(price):
            continue
        held = b[SHARES, s]
        size = min(abs(held), tradable(m, r, b, t, s, price))
        if size > 0.0:
            fill_order(m, r, b, a, fills, trades, t, s, -size if held > 0.0 else size, price, True, b[EXIT_REASON, s])
        if b[SHARES, s] == 0.0:
            b[EXIT_REASON, s] = NONE


@inlined_kernel
def _reduce_positions(m: Any, r: Any, b: Any, q: Any, a: Any, fills: Any, trades: Any, t: int, at: int) -> int:
    """Fill the reducing part of waiting orders; return how many are left that open or add, in ``queue``."""
    left = 0
    for s in range(m.shape[2]):
        quantity, price = b[ORDER, s], m[t, at, s]
        if quantity == 0.0 or np.isnan(price):
            continue
        held = b[SHARES, s]
        if held * quantity < 0.0:
            wanted = min(abs(quantity), abs(held))
            size = min(wanted, tradable(m, r, b, t, s, price))
            b[ORDER, s] = quantity + held if size == abs(held) and abs(quantity) > abs(held) else 0.0
            if size > 0.0:
                fill_order(m, r, b, a, fills, trades, t, s, -size if held > 0.0 else size, price, True, REBALANCE)
        if b[ORDER, s] != 0.0:
            q[left] = s
            left += 1
    return left


@inlined_kernel
def _rank_queue(b: Any, q: Any, length: int) -> None:
    """Put the symbol of the highest rank first; equal ones keep their order."""
    for i in range(1, length):
        s = q[i]
        j = i - 1
        while j >= 0 and b[RANK, q[j]] < b[RANK, s]:
            q[j + 1] = q[j]
            j -= 1
        q[j + 1] = s


@inlined_kernel
def _market_orders(
    m: Any, r: Any, b: Any, q: Any, a: Any, fills: Any, trades: Any, t: int, at: int, reason: int
) -> None:
    """Fill what waits, at the open or at the close."""
    _close_positions(m, r, b, a, fills, trades, t, at)
    if r.order_kind == MARKET:
        length = _reduce_positions(m, r, b, q, a, fills, trades, t, at)
        if length > 0:
            _rank_queue(b, q, length)
            equity, gross = valued(m, b, a, t, at)
            for k in range(length):
                s = q[k]
                equity, gross = increase(m, r, b, a, fills, trades, t, s, m[t, at, s], True, equity, gross, reason)
    waiting = 0
    for s in range(m.shape[2]):
        waiting += int(b[EXIT_REASON, s] != NONE or b[ORDER, s] != 0.0)
    a[WAITING] = waiting


@inlined_kernel
def _accrue(m: Any, r: Any, b: Any, a: Any, years: float) -> None:
    """Pay interest and borrow costs for the time since the bar before."""
    cash = a[CASH]
    if cash > 0.0:
        a[CASH_INTEREST] += cash * r.cash_rate * years
        a[CASH] += cash * r.cash_rate * years
    else:
        a[MARGIN_INTEREST] -= cash * r.margin_rate * years
        a[CASH] += cash * r.margin_rate * years
    if r.borrow_rate > 0.0 and a[POSITIONS] > 0.0:
        for s in range(m.shape[2]):
            if b[SHARES, s] < 0.0:
                paid = -b[SHARES, s] * b[LAST, s] * r.borrow_rate * years
                a[CASH] -= paid
                a[BORROW] += paid
                b[FLOW, s] -= paid


@kernel
def _corporate_actions(m: Any, b: Any, a: Any, t: int) -> None:
    """Pay dividends on the shares held before the day, then split them."""
    for s in range(m.shape[2]):
        amount, factor = m[t, DIVIDEND, s], m[t, SPLIT, s]
        if amount != 0.0:
            paid = b[SHARES, s] * amount
            a[CASH] += paid
            a[DIVIDENDS] += paid
            b[FLOW, s] += paid
        if factor != 1.0:
            b[SHARES, s] *= factor
            b[ORDER, s] *= factor
            b[ENTERED, s] *= factor
            b[ENTRY, s] /= factor
            b[EXTREME, s] /= factor
            b[LEVEL, s] /= factor
            b[LAST, s] /= factor


@inlined_kernel
def _mark(m: Any, r: Any, b: Any, t: int, now: float) -> None:
    """Take note of the prices of a bar."""
    for s in range(m.shape[2]):
        close = m[t, CLOSE, s]
        if not np.isnan(close):
            b[LAST, s] = close
            b[SEEN, s] = now
    if r.price_impact:
        for s in range(m.shape[2]):
            reserve = m[t, RESERVES, s]
            if reserve > 0.0:
                b[RESERVE, s] = reserve


@kernel
def _close_delisted(m: Any, r: Any, b: Any, a: Any, fills: Any, trades: Any, t: int, now: float) -> None:
    """Close positions in what has not traded for so long."""
    for s in range(m.shape[2]):
        if b[SHARES, s] != 0.0 and now - b[SEEN, s] >= r.delisted_after:
            paid = b[LAST, s] * (1.0 + r.delisting_return)
            a[DELISTED] -= b[SHARES, s] * (paid - b[LAST, s])
            book_fill(b, a, fills, trades, t, s, -b[SHARES, s], paid, b[LAST, s], (0.0, 0.0, 0.0, 0.0), DELISTING)
            b[EXIT_REASON, s] = NONE
            b[ORDER, s] = 0.0


@inlined_kernel
def _during(m: Any, r: Any, b: Any, q: Any, a: Any, fills: Any, trades: Any, t: int, years: float, reason: int) -> None:
    """Do what happens from the close before to just before this close."""
    if years > 0.0:
        _accrue(m, r, b, a, years)
    if r.has_actions:
        _corporate_actions(m, b, a, t)
    if r.participation != np.inf:
        b[TRADED] = 0.0
    if a[WAITING] > 0.0 and not r.at_close:
        _market_orders(m, r, b, q, a, fills, trades, t, OPEN, reason)
    if r.has_exits and a[POSITIONS] > 0.0:
        exits_inside(m, r, b, a, fills, trades, t)
    if r.order_kind != MARKET and a[WAITING] > 0.0:
        resting_orders(m, r, b, a, fills, trades, t)


@kernel
def simulate(
    m: Any, clock: Any, r: Any, b: Any, q: Any, a: Any, fills: Any, trades: Any, out: Any, signals: Any, weights: Any,
    size: Any, ranks: Any,
) -> None:  # fmt: skip
    """Run the account over all bars.

    Parameters
    ----------
    m, clock
        Fields of the bars, shape (n_bars, n_fields, n_symbols), and years since the first bar, shape (n_bars,).
    r
        A record of `RULES`.
    b, q, a
        Book, shape (n_book_fields, n_symbols), room for a queue, shape (n_symbols,), and the account; changed.
    fills, trades
        Filled as far as there is room.
    out
        Equity, cash, gross and net exposure, shape (4, n_bars); filled.
    signals
        int8, shape (n_bars, n_symbols): 1 buy, -1 sell, 2 exit, 0 hold; (0, 0) where ``weights`` decide.
    weights
        Target shares of the equity, shape (n_bars, n_symbols), NaN to leave a symbol alone.
    size
        Of positions that signals open, in ``size_unit``; each axis full, or of length 1.
    ranks
        Who is filled first where cash is short, shape (n_bars, n_symbols), or (0, 0).
    """
    by_signals = signals.shape[0] > 0
    reason = SIGNAL if by_signals else REBALANCE
    before = clock[0]
    for t in range(m.shape[0]):
        now = clock[t]
        _during(m, r, b, q, a, fills, trades, t, now - before, reason)
        before = now
        _mark(m, r, b, t, now)
        if a[POSITIONS] > 0.0:
            _close_delisted(m, r, b, a, fills, trades, t, now)
        equity, gross = valued(m, b, a, t, CLOSE)
        if not call_margin(m, r, b, a, equity, gross):
            if by_signals:
                decide_signals(m, r, b, a, t, signals, size, ranks, equity)
            else:
                decide_weights(m, r, b, a, t, weights, equity)
        if r.at_close and a[WAITING] > 0.0:
            _market_orders(m, r, b, q, a, fills, trades, t, CLOSE, reason)
            equity, gross = valued(m, b, a, t, CLOSE)
        out[0, t], out[1, t], out[2, t], out[3, t] = equity, a[CASH], gross, equity - a[CASH]
        a[EXPOSED] += 1.0 if a[POSITIONS] > 0.0 else 0.0
