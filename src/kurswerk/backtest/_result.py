"""What a back-test brings forth."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kurswerk.backtest._bars import MarketBars
from kurswerk.backtest._rules import TradingRules
from kurswerk.backtest._state import FILL_COLUMNS, REASONS, TRADE_COLUMNS

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Fill:
    """One fill.

    Attributes
    ----------
    time_us
        Of its bar.
    quantity
        Shares bought, below 0 sold.
    price, market_price
        What was paid for a share, and what the bar had.
    commission, spread, slippage, impact
        What it cost, by kind; all but the commission are in ``price``.
    reason
        Why, such as ``signal`` or ``stop_loss``.
    """

    time_us: int
    symbol: str
    quantity: float
    price: float
    market_price: float
    commission: float
    spread: float
    slippage: float
    impact: float
    reason: str


@dataclass(frozen=True)
class Trade:
    """A position from its first fill until it was flat.

    Attributes
    ----------
    opened_us, closed_us
        Times of the bars of its first and last fill.
    side
        ``long`` or ``short``.
    quantity
        Shares entered, in shares of the end where they were split meanwhile.
    entry_price, exit_price
        Averages of what was paid for a share, slippage included.
    profit
        After all costs, with dividends and borrow costs.
    return_pct
        Profit in per cent of what was invested.
    bars
        From the first to the last fill.
    reason
        Of the last fill.
    """

    symbol: str
    opened_us: int
    closed_us: int
    side: str
    quantity: float
    entry_price: float
    exit_price: float
    profit: float
    return_pct: float
    bars: int
    reason: str


@dataclass(frozen=True)
class OpenPosition:
    """A position that is open after the last bar; ``profit`` is valued at the last known price."""

    symbol: str
    shares: float
    entry_price: float
    last_price: float
    opened_us: int
    profit: float


@dataclass(frozen=True, eq=False)
class Backtest:
    """Equity, fills and trades.

    Attributes
    ----------
    equity, cash, gross, net
        At the close of each bar, after fills at it; gross exposure adds up absolute values of positions, net signed
        ones. ``cash + net == equity``. Shape (n_bars,).
    fill_table, trade_table
        One row each, columns as in `FILL_COLUMNS` and `TRADE_COLUMNS`; `fills` and `trades` are the same as objects.
    open_positions
        After the last bar.
    totals
        Of the account: cash, costs by kind, turnover, counts.
    """

    bars: MarketBars
    rules: TradingRules
    equity: Float
    cash: Float
    gross: Float
    net: Float
    fill_table: Float
    trade_table: Float
    open_positions: tuple[OpenPosition, ...]
    totals: Mapping[str, float]

    @cached_property
    def fills(self) -> tuple[Fill, ...]:
        """Every fill, in order."""
        return tuple(self._fill(dict(zip(FILL_COLUMNS, row, strict=True))) for row in self.fill_table.tolist())

    def _fill(self, row: dict[str, float]) -> Fill:
        time_us = int(self.bars.times[int(row.pop("bar"))])
        symbol, reason = self.bars.symbols[int(row.pop("symbol"))], REASONS[int(row.pop("reason"))]
        return Fill(time_us, symbol, **row, reason=reason)

    @cached_property
    def trades(self) -> tuple[Trade, ...]:
        """Every position that was opened and closed, in the order of their ends."""
        return tuple(self._trade(dict(zip(TRADE_COLUMNS, row, strict=True))) for row in self.trade_table.tolist())

    def _trade(self, row: Mapping[str, float]) -> Trade:
        opened, closed = int(row["opened"]), int(row["closed"])
        return Trade(
            symbol=self.bars.symbols[int(row["symbol"])],
            opened_us=int(self.bars.times[opened]),
            closed_us=int(self.bars.times[closed]),
            side="long" if row["side"] > 0 else "short",
            quantity=row["quantity"],
            entry_price=row["entry_price"],
            exit_price=row["exit_price"],
            profit=row["profit"],
            return_pct=100 * row["profit"] / row["invested"],
            bars=closed - opened,
            reason=REASONS[int(row["reason"])],
        )

    def column(self, name: str) -> Float:
        """Return one column of the fills, shape (n_fills,)."""
        found: Float = self.fill_table[:, FILL_COLUMNS.index(name)]
        return found

    @cached_property
    def drawdown(self) -> Float:
        """How far the equity is below its highest value until then, the starting cash included, as a share of it."""
        peak = np.maximum(np.maximum.accumulate(self.equity), self.rules.account.cash)
        return 1.0 - self.equity / peak

    @property
    def exposure(self) -> Float:
        """Gross exposure as a share of the equity, shape (n_bars,)."""
        return self.gross / self.equity

    @property
    def costs(self) -> dict[str, float]:
        """Return what was paid, by kind."""
        kinds = ("commission", "spread", "slippage", "impact", "borrow", "margin_interest", "delisting")
        return {kind: self.totals[kind] for kind in kinds}
