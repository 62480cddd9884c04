"""The part of the kernel that decides at the close: signals, target weights and margin calls become orders."""

from typing import Any

import numpy as np

from kurswerk.backtest._fills import rounded
from kurswerk.backtest._state import (
    CASH_AMOUNT,
    CLOSE,
    DUST,
    EXIT_REASON,
    FRACTION,
    LEVEL,
    LIMIT,
    MARGIN_CALL,
    NONE,
    OPENED,
    ORDER,
    POSITIONS,
    RANK,
    REBALANCE,
    SHARES,
    SIGNAL,
    TIME_STOP,
    UNTIL,
    WAITING,
)
from kurswerk.core.jit import inlined_kernel

_BUY, _SELL, _EXIT = 1, -1, 2


@inlined_kernel
def _sized(r: Any, value: float, equity: float, price: float) -> Any:
    """Return how many shares a size stands for."""
    if r.size_unit == FRACTION:
        return value * equity / price
    return value / price if r.size_unit == CASH_AMOUNT else value


@inlined_kernel
def _order_position(
    r: Any, b: Any, a: Any, t: int, s: int, side: float, price: float, equity: float, size: Any, ranks: Any
) -> None:
    """Order a position; NaN and sizes below nothing order none."""
    value = size[t if size.shape[0] > 1 else 0, s if size.shape[1] > 1 else 0]
    wanted = rounded(r, _sized(r, value, equity, price))
    b[ORDER, s] = side * wanted if wanted * price > DUST * abs(equity) else 0.0
    b[LEVEL, s] = price * (1.0 - side * r.order_offset if r.order_kind == LIMIT else 1.0 + side * r.order_offset)
    b[UNTIL, s] = t + r.valid_bars
    b[RANK, s] = ranks[t, s] if ranks.shape[0] > 0 else 0.0
    a[WAITING] += 1.0


@inlined_kernel
def _decide(
    r: Any, b: Any, a: Any, t: int, s: int, signal: int, price: float, equity: float, size: Any, ranks: Any
) -> None:  # fmt: skip
    """Turn one signal into orders."""
    held = b[SHARES, s]
    side = 1.0 if signal == _BUY else -1.0
    if signal == _EXIT or held * side < 0.0:
        b[ORDER, s] = 0.0
        if held != 0.0 and b[EXIT_REASON, s] == NONE:
            b[EXIT_REASON, s] = SIGNAL
            a[WAITING] += 1.0
    elif signal == _SELL and not r.allow_short:
        b[ORDER, s] = 0.0
    if signal != _EXIT and held * side <= 0.0 and (signal == _BUY or r.allow_short):
        _order_position(r, b, a, t, s, side, price, equity, size, ranks)


@inlined_kernel
def decide_signals(
    m: Any, r: Any, b: Any, a: Any, t: int, signals: Any, size: Any, ranks: Any, equity: float
) -> None:  # fmt: skip
    """End positions that were held long enough, and follow the signals of symbols with a price."""
    if r.max_bars >= 0 and a[POSITIONS] > 0.0:
        for s in range(m.shape[2]):
            held_bars = t - b[OPENED, s] + (0 if r.at_close else 1)
            if b[SHARES, s] != 0.0 and b[EXIT_REASON, s] == NONE and held_bars >= r.max_bars:
                b[EXIT_REASON, s] = TIME_STOP
                a[WAITING] += 1.0
    for s in range(m.shape[2]):
        signal = signals[t, s]
        if signal != 0:
            price = m[t, CLOSE, s]
            if not np.isnan(price):
                _decide(r, b, a, t, s, signal, price, equity, size, ranks)


@inlined_kernel
def decide_weights(m: Any, r: Any, b: Any, a: Any, t: int, weights: Any, equity: float) -> None:
    """Order what brings symbols with a price to their target weights; NaN leaves one as it is."""
    for s in range(m.shape[2]):
        weight, price = weights[t, s], m[t, CLOSE, s]
        if np.isnan(weight) or np.isnan(price):
            continue
        if weight == 0.0:
            b[ORDER, s] = 0.0
            b[EXIT_REASON, s] = REBALANCE if b[SHARES, s] != 0.0 else NONE
            a[WAITING] += 1.0
            continue
        target = rounded(r, abs(weight) * max(equity, 0.0) / price)
        change = (target if weight > 0.0 else -target) - b[SHARES, s]
        b[EXIT_REASON, s] = NONE
        b[ORDER, s] = change if abs(change) * price > DUST * abs(equity) else 0.0
        b[RANK, s] = weight if weight > 0.0 else -weight
        a[WAITING] += 1.0


@inlined_kernel
def call_margin(m: Any, r: Any, b: Any, a: Any, equity: float, gross: float) -> bool:
    """Order the end of all positions where the equity does not carry them; return whether it does not."""
    if not (gross > 0.0 and equity < r.maintenance * gross):
        return False
    for s in range(m.shape[2]):
        b[ORDER, s] = 0.0
        if b[SHARES, s] != 0.0:
            b[EXIT_REASON, s] = MARGIN_CALL
            a[WAITING] += 1.0
    return True
