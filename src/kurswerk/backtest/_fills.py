"""The part of the kernel that fills orders: costs, what cash and volume allow, cash, positions and trades."""

from typing import Any

import numpy as np

from kurswerk.backtest._state import (
    BARS_HELD,
    CASH,
    COMMISSION,
    DUST,
    ENTERED,
    ENTRY,
    EXTREME,
    FILLS,
    FLOW,
    GAINS,
    HIGH,
    IMPACT,
    INVESTED,
    LAST,
    LOSSES,
    LOW,
    OPENED,
    ORDER,
    POSITIONS,
    RECEIVED,
    RESERVE,
    SHARES,
    SLIPPAGE,
    SPREAD,
    TRADED,
    TRADES,
    TURNOVER,
    VOLUME,
    WINS,
)
from kurswerk.core.jit import inlined_kernel, kernel


@inlined_kernel
def _end_trade(b: Any, a: Any, trades: Any, t: int, s: int, side: float, reason: int) -> None:
    """Count a position that has become flat as a trade."""
    profit = b[FLOW, s]
    n = int(a[TRADES])
    if n < trades.shape[0]:
        row = trades[n]
        row[0], row[1], row[2], row[3], row[4] = s, b[OPENED, s], t, side, b[ENTERED, s]
        row[5], row[6] = b[INVESTED, s] / b[ENTERED, s], b[RECEIVED, s] / b[ENTERED, s]
        row[7], row[8], row[9] = profit, b[INVESTED, s], reason
    a[TRADES] += 1.0
    a[BARS_HELD] += t - b[OPENED, s]
    if profit > 0.0:
        a[WINS] += 1.0
        a[GAINS] += profit
    else:
        a[LOSSES] -= profit
    a[POSITIONS] -= 1.0


@inlined_kernel
def _enter(b: Any, a: Any, t: int, s: int, before: float, size: float, paid: float) -> None:
    """Open a position, or add to one."""
    if before == 0.0:
        b[ENTRY, s] = b[EXTREME, s] = paid
        b[OPENED, s] = t
        b[INVESTED, s] = b[ENTERED, s] = b[RECEIVED, s] = b[FLOW, s] = 0.0
        a[POSITIONS] += 1.0
    else:
        held = abs(before)
        b[ENTRY, s] = (b[ENTRY, s] * held + paid * size) / (held + size)
    b[INVESTED, s] += paid * size
    b[ENTERED, s] += size


@inlined_kernel
def book_fill(
    b: Any,
    a: Any,
    fills: Any,
    trades: Any,
    t: int,
    s: int,
    quantity: float,
    paid: float,
    market: float,
    costs: Any,
    reason: int,
) -> None:
    """Enter a fill into cash, position, ledger and trades; costs are commission, spread, slippage and impact."""
    before, size = b[SHARES, s], abs(quantity)
    if before * quantity >= 0.0:
        _enter(b, a, t, s, before, size, paid)
    else:
        b[RECEIVED, s] += paid * size
    flow = -quantity * paid - costs[0]
    a[CASH] += flow
    b[FLOW, s] += flow
    a[COMMISSION] += costs[0]
    a[SPREAD] += costs[1]
    a[SLIPPAGE] += costs[2]
    a[IMPACT] += costs[3]
    a[TURNOVER] += size * paid
    b[TRADED, s] += size
    n = int(a[FILLS])
    if n < fills.shape[0]:
        row = fills[n]
        row[0], row[1], row[2], row[3], row[4] = t, s, quantity, paid, market
        row[5], row[6], row[7], row[8], row[9] = costs[0], costs[1], costs[2], costs[3], reason
    a[FILLS] += 1.0
    after = before + quantity
    b[SHARES, s] = after
    if after == 0.0:
        _end_trade(b, a, trades, t, s, 1.0 if before > 0.0 else -1.0, reason)


@inlined_kernel
def _shares_of_costs(m: Any, r: Any, t: int, s: int, price: float, taker: bool) -> Any:
    """Return half the spread and the slippage as shares of the price, together at most 1."""
    if not taker:
        return 0.0, 0.0
    slip = r.slippage
    if r.range_share > 0.0:
        slip += r.range_share * (m[t, HIGH, s] - m[t, LOW, s]) / price
    return r.half_spread, min(slip, 1.0 - r.half_spread)


@kernel
def fill_order(
    m: Any,
    r: Any,
    b: Any,
    a: Any,
    fills: Any,
    trades: Any,
    t: int,
    s: int,
    quantity: float,
    price: float,
    taker: bool,
    reason: int,
) -> None:
    """Fill a signed quantity at a market price, with all costs."""
    size = abs(quantity)
    side = 1.0 if quantity > 0.0 else -1.0
    spread, slip = _shares_of_costs(m, r, t, s, price, taker)
    paid = price * (1.0 + side * (spread + slip))
    impact = 0.0
    if r.price_impact:
        moved = paid / (1.0 - side * size * paid / b[RESERVE, s])
        impact = size * abs(moved - paid)
        paid = moved
    commission = max(r.commission * size * paid + r.per_share * size, r.minimum) + r.fixed
    costs = (commission, size * price * spread, size * price * slip, impact)
    book_fill(b, a, fills, trades, t, s, quantity, paid, price, costs, reason)


@inlined_kernel
def rounded(r: Any, quantity: float) -> Any:
    return np.floor(quantity / r.lot) * r.lot if r.lot > 0.0 else quantity


@inlined_kernel
def tradable(m: Any, r: Any, b: Any, t: int, s: int, price: float) -> Any:
    """Return how many shares the volume of the bar still allows."""
    if r.participation == np.inf:
        return np.inf
    volume = m[t, VOLUME, s]
    if not volume > 0.0:
        return 0.0
    if r.volume_in_currency:
        volume /= price
    return max(rounded(r, r.participation * volume - b[TRADED, s]), 0.0)


@inlined_kernel
def _affordable(
    m: Any, r: Any, b: Any, a: Any, t: int, s: int, side: float, price: float, taker: bool, equity: float, gross: float
) -> Any:
    """Return how many shares may be added so that gross exposure stays within leverage times equity after costs."""
    spread, slip = _shares_of_costs(m, r, t, s, price, taker)
    quoted = price * (1.0 + side * (spread + slip))
    if r.price_impact:
        budget = a[CASH] - r.fixed
        amount = budget / (1.0 + r.commission)
        if r.commission * amount < r.minimum:
            amount = budget - r.minimum
        return max(amount / (quoted * (1.0 + amount / b[RESERVE, s])), 0.0) if b[RESERVE, s] > 0.0 else 0.0
    room = r.leverage * (equity - r.fixed) - gross
    moved = price + r.leverage * abs(quoted - price)
    size = room / (moved + r.leverage * (r.commission * quoted + r.per_share))
    if r.commission * quoted * size + r.per_share * size < r.minimum:
        size = (room - r.leverage * r.minimum) / moved
    return max(size, 0.0)


@inlined_kernel
def valued(m: Any, b: Any, a: Any, t: int, at: int) -> Any:
    """Return equity and gross exposure at the open or close, at last known prices where a bar is missing."""
    equity, gross = a[CASH], 0.0
    for s in range(m.shape[2]):
        if b[SHARES, s] != 0.0:
            price = m[t, at, s]
            value = b[SHARES, s] * (b[LAST, s] if np.isnan(price) else price)
            equity += value
            gross += abs(value)
    return equity, gross


@kernel
def increase(
    m: Any, r: Any, b: Any, a: Any, fills: Any, trades: Any, t: int, s: int, price: float, taker: bool, equity: float,
    gross: float, reason: int,
) -> Any:  # fmt: skip
    """Fill an order that opens or adds as far as cash and volume allow; return equity and gross exposure after it."""
    quantity = b[ORDER, s]
    b[ORDER, s] = 0.0
    side = 1.0 if quantity > 0.0 else -1.0
    size = min(abs(quantity), _affordable(m, r, b, a, t, s, side, price, taker, equity, gross))
    size = min(rounded(r, size), tradable(m, r, b, t, s, price))
    if size * price <= DUST * abs(equity) or (r.price_impact and not b[RESERVE, s] > 0.0):
        return equity, gross
    cash = a[CASH]
    fill_order(m, r, b, a, fills, trades, t, s, side * size, price, taker, reason)
    return equity + (a[CASH] - cash) + side * size * price, gross + size * price
