"""What the kernel reads and keeps: fields of bars, rules, the book of positions and the account.

All of them are plain arrays: numba passes a tuple of arrays slowly, and compiles it slowly.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]

# Why a fill happened.
REASONS: Final = (
    "none",
    "signal",
    "rebalance",
    "stop_loss",
    "trailing_stop",
    "take_profit",
    "time_stop",
    "margin_call",
    "delisting",
)
NONE, SIGNAL, REBALANCE, STOP_LOSS, TRAILING_STOP, TAKE_PROFIT, TIME_STOP, MARGIN_CALL, DELISTING = range(len(REASONS))
MARKET, LIMIT, STOP = 0, 1, 2
"""Kinds of entry orders."""
SHARES_UNIT, CASH_AMOUNT, FRACTION = 0, 1, 2
"""What a size counts: shares, currency, or a share of the equity."""

# Fields of bars. A bar without a price is NaN in all four.
FIELDS: Final = ("open", "high", "low", "close", "volume", "reserves", "split", "dividend")
OPEN, HIGH, LOW, CLOSE, VOLUME, RESERVES, SPLIT, DIVIDEND = range(len(FIELDS))

# Of the account: cash, what was paid by kind, counts.
ACCOUNT: Final = (
    "cash",
    "commission",
    "spread",
    "slippage",
    "impact",
    "borrow",
    "margin_interest",
    "cash_interest",
    "dividends",
    "delisting",
    "turnover",
    "trades",
    "wins",
    "gains",
    "losses",
    "bars_held",
    "fills",
    "exposed_bars",
    "positions",
    "waiting",
)
(CASH, COMMISSION, SPREAD, SLIPPAGE, IMPACT, BORROW, MARGIN_INTEREST, CASH_INTEREST, DIVIDENDS, DELISTED, TURNOVER,
 TRADES, WINS, GAINS, LOSSES, BARS_HELD, FILLS, EXPOSED, POSITIONS, WAITING) = range(len(ACCOUNT))  # fmt: skip

# Of each symbol: shares; last known price, and when; reserves; average entry price; best price since; value and shares
# of all entries, value of all exits and cash that flowed since the position was opened; volume traded in this bar; a
# waiting order, its price, rank and last bar; when the position was opened; why it is to be closed.
BOOK: Final = (
    "shares", "last", "seen", "reserve", "entry", "extreme", "invested", "entered", "received", "flow", "traded",
    "order", "level", "rank", "until", "opened", "exit_reason",
)  # fmt: skip
(SHARES, LAST, SEEN, RESERVE, ENTRY, EXTREME, INVESTED, ENTERED, RECEIVED, FLOW, TRADED, ORDER, LEVEL, RANK, UNTIL,
 OPENED, EXIT_REASON) = range(len(BOOK))  # fmt: skip

FILL_COLUMNS: Final = (
    "bar", "symbol", "quantity", "price", "market_price", "commission", "spread", "slippage", "impact", "reason",
)  # fmt: skip
TRADE_COLUMNS: Final = (
    "symbol", "opened", "closed", "side", "quantity", "entry_price", "exit_price", "profit", "invested", "reason",
)  # fmt: skip

# Of the equity: orders worth less are rounding errors of earlier ones.
DUST: Final = 1e-9

# Scalars that govern orders, costs and exits; infinite where there is no such limit.
_FLAGS = ("allow_short", "at_close", "volume_in_currency", "price_impact", "has_exits", "has_actions")
_NUMBERS = ("order_kind", "valid_bars", "max_bars", "size_unit")
_VALUES = (
    "leverage", "maintenance", "lot", "order_offset", "participation", "commission", "per_share", "minimum", "fixed",
    "half_spread", "slippage", "range_share", "stop_loss", "take_profit", "trailing_stop", "borrow_rate", "cash_rate",
    "margin_rate", "delisted_after", "delisting_return",
)  # fmt: skip
RULES: Final = np.dtype(
    [*((name, "f8") for name in _VALUES), *((name, "i8") for name in _NUMBERS), *((name, "?") for name in _FLAGS)],
    align=True,
)


class State(NamedTuple):
    """What one run changes: book, room for a queue, account, and tables of fills, trades and values per bar."""

    book: Float
    queue: Int
    account: Float
    fills: Float
    trades: Float
    out: Float


def new_state(shape: Sequence[int], cash: float, fills: int = 0, trades: int = 0) -> State:
    """Return the state before the first bar, with room for so many fills and trades.

    Parameters
    ----------
    shape
        Numbers of bars and symbols.
    """
    num_bars, num_symbols = shape
    account = np.zeros(len(ACCOUNT))
    account[CASH] = cash
    return State(
        np.zeros((len(BOOK), num_symbols)),
        np.zeros(num_symbols, dtype=np.int64),
        account,
        np.empty((fills, len(FILL_COLUMNS))),
        np.empty((trades, len(TRADE_COLUMNS))),
        np.empty((4, num_bars)),
    )
