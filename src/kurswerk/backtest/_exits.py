"""The part of the kernel that looks inside a bar: stops and targets, and resting limit and stop orders."""

from typing import Any

import numpy as np

from kurswerk.backtest._fills import fill_order, increase, tradable, valued
from kurswerk.backtest._state import (
    CLOSE,
    ENTRY,
    EXIT_REASON,
    EXTREME,
    HIGH,
    LEVEL,
    LIMIT,
    LOW,
    NONE,
    OPEN,
    ORDER,
    SHARES,
    SIGNAL,
    STOP_LOSS,
    TAKE_PROFIT,
    TRAILING_STOP,
    UNTIL,
    WAITING,
)
from kurswerk.core.jit import inlined_kernel, kernel


@inlined_kernel
def _stop_level(r: Any, b: Any, s: int, side: float) -> Any:
    """Return the level of the nearer stop and which one it is."""
    loss = b[ENTRY, s] * (1.0 - side * r.stop_loss)
    trail = b[EXTREME, s] * (1.0 - side * r.trailing_stop)
    if (trail > loss) if side > 0.0 else (trail < loss):
        return trail, TRAILING_STOP
    return loss, STOP_LOSS


@inlined_kernel
def _exit_price(m: Any, t: int, s: int, side: float, stop: float, target: float) -> Any:
    """Return at what price a position leaves inside the bar: -1 if not at all; and whether by its stop."""
    opened = m[t, OPEN, s]
    worst = m[t, LOW, s] if side > 0.0 else m[t, HIGH, s]
    best = m[t, HIGH, s] if side > 0.0 else m[t, LOW, s]
    if side * (opened - stop) <= 0.0:
        return opened, True
    if side * (opened - target) >= 0.0:
        return opened, False
    if side * (worst - stop) <= 0.0:
        return stop, True
    if side * (best - target) >= 0.0:
        return target, False
    return -1.0, False


@kernel
def _leave(
    m: Any, r: Any, b: Any, a: Any, fills: Any, trades: Any, t: int, s: int, price: float, taker: bool, reason: int
) -> None:
    """Close a position inside the bar; what the volume does not allow is left to the next open."""
    held = b[SHARES, s]
    size = min(abs(held), tradable(m, r, b, t, s, price))
    if size > 0.0:
        fill_order(m, r, b, a, fills, trades, t, s, -size if held > 0.0 else size, price, taker, reason)
    b[ORDER, s] = 0.0
    if b[SHARES, s] != 0.0:
        b[EXIT_REASON, s] = reason
        a[WAITING] += 1.0


@inlined_kernel
def exits_inside(m: Any, r: Any, b: Any, a: Any, fills: Any, trades: Any, t: int) -> None:
    """Close positions whose stop or target the bar reaches; the others' trailing stops follow."""
    for s in range(m.shape[2]):
        price = m[t, CLOSE, s]
        if b[SHARES, s] == 0.0 or b[EXIT_REASON, s] != NONE or np.isnan(price):
            continue
        side = 1.0 if b[SHARES, s] > 0.0 else -1.0
        stop, reason = _stop_level(r, b, s, side)
        price, by_stop = _exit_price(m, t, s, side, stop, b[ENTRY, s] * (1.0 + side * r.take_profit))
        if price >= 0.0:
            _leave(m, r, b, a, fills, trades, t, s, price, by_stop, reason if by_stop else TAKE_PROFIT)
        elif side > 0.0:
            b[EXTREME, s] = max(b[EXTREME, s], m[t, HIGH, s])
        else:
            b[EXTREME, s] = min(b[EXTREME, s], m[t, LOW, s])


@inlined_kernel
def _resting_price(m: Any, r: Any, t: int, s: int, side: float, level: float) -> Any:
    """Return at what price the bar fills a limit or stop order, -1 if it does not."""
    opened = m[t, OPEN, s]
    if r.order_kind == LIMIT:
        worst = m[t, LOW, s] if side > 0.0 else m[t, HIGH, s]
        if side * (opened - level) <= 0.0:
            return opened
        return level if side * (worst - level) <= 0.0 else -1.0
    best = m[t, HIGH, s] if side > 0.0 else m[t, LOW, s]
    if side * (opened - level) >= 0.0:
        return opened
    return level if side * (best - level) >= 0.0 else -1.0


@kernel
def resting_orders(m: Any, r: Any, b: Any, a: Any, fills: Any, trades: Any, t: int) -> None:
    """Fill limit and stop orders that the bar reaches; the stop of such a position may be reached in the same bar."""
    equity, gross = valued(m, b, a, t, OPEN)
    for s in range(m.shape[2]):
        quantity, close = b[ORDER, s], m[t, CLOSE, s]
        if quantity == 0.0:
            continue
        side = 1.0 if quantity > 0.0 else -1.0
        if not np.isnan(close) and b[SHARES, s] == 0.0:
            price = _resting_price(m, r, t, s, side, b[LEVEL, s])
            if price >= 0.0:
                taker = r.order_kind != LIMIT
                equity, gross = increase(m, r, b, a, fills, trades, t, s, price, taker, equity, gross, SIGNAL)
                if b[SHARES, s] != 0.0:
                    _first_bar(m, r, b, a, fills, trades, t, s, side, price)
        if t >= b[UNTIL, s]:
            b[ORDER, s] = 0.0


@inlined_kernel
def _first_bar(
    m: Any, r: Any, b: Any, a: Any, fills: Any, trades: Any, t: int, s: int, side: float, entered: float
) -> None:
    """Look at the stop of a position that was opened inside the bar; what came before its entry is not known."""
    stop, reason = _stop_level(r, b, s, side)
    worst = m[t, LOW, s] if side > 0.0 else m[t, HIGH, s]
    if side * (worst - stop) <= 0.0:
        # With much slippage the stop lies beyond the price that the market had at the entry.
        price = min(stop, entered) if side > 0.0 else max(stop, entered)
        _leave(m, r, b, a, fills, trades, t, s, price, True, reason)
    elif side > 0.0:
        b[EXTREME, s] = max(b[EXTREME, s], m[t, CLOSE, s])
    else:
        b[EXTREME, s] = min(b[EXTREME, s], m[t, CLOSE, s])
