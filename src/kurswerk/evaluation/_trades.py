"""Trades that follow from predictions, net of fees and slippage."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import DataError, SpecError
from kurswerk.core.timestamps import format_timestamp
from kurswerk.evaluation._curves import evenly

Float = NDArray[np.float64]
Int = NDArray[np.int64]


@dataclass(frozen=True)
class TradeCosts:
    """Costs of each side of a trade in basis points, at least 0 and together below 10000, and its direction.

    The default fee is that of a taker on a large spot exchange.
    """

    fee_bps: float = 10.0
    slippage_bps: float = 5.0
    direction: Literal["up", "down"] = "up"

    def __post_init__(self) -> None:
        for name, value in (("fee_bps", self.fee_bps), ("slippage_bps", self.slippage_bps)):
            if not 0 <= value < 10_000:
                raise SpecError("evaluation.cost_out_of_range", name=name, value=value)
        if self.direction not in {"up", "down"}:
            raise SpecError("evaluation.unknown_direction", direction=self.direction)


@dataclass(frozen=True)
class Trades:
    """What predicted trades would have brought; returns in percent of the stake, None without trades.

    Every trade stakes the same amount and trades may overlap, so the equity is the sum of net returns in percent of
    one stake, not the growth of an account.

    Attributes
    ----------
    count, skipped
        Trades made, and positive predictions without a usable price at entry or exit.
    simulated_profit_pct, median_pct, best_pct, worst_pct
        Net return per trade: mean, median and extremes.
    hit_rate
        Share of trades with a net gain.
    gross_profit_pct
        Mean return per trade before costs.
    max_drawdown_pct
        Deepest fall of the equity from its running high (which starts at 0).
    equity
        Equity after the trades that ended up to each time, in order, at most 200 points.
    """

    count: int
    skipped: int
    simulated_profit_pct: float | None
    median_pct: float | None
    best_pct: float | None
    worst_pct: float | None
    hit_rate: float | None
    gross_profit_pct: float | None
    max_drawdown_pct: float | None
    equity: tuple[tuple[int, float], ...]
    costs: TradeCosts

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON; times as ISO 8601."""
        return {
            "count": self.count,
            "skipped": self.skipped,
            "simulated_profit_pct": self.simulated_profit_pct,
            "median_pct": self.median_pct,
            "best_pct": self.best_pct,
            "worst_pct": self.worst_pct,
            "hit_rate": self.hit_rate,
            "gross_profit_pct": self.gross_profit_pct,
            "max_drawdown_pct": self.max_drawdown_pct,
            "fee_bps": self.costs.fee_bps,
            "slippage_bps": self.costs.slippage_bps,
            "direction": self.costs.direction,
            "equity": [{"timestamp": format_timestamp(moment), "equity_pct": value} for moment, value in self.equity],
            "note": "equal stake per trade; trades may overlap, so equity adds up returns and is no account's growth",
        }


def trade_returns(price: Float, exit_row: Int, costs: TradeCosts) -> Float:
    """Net return in percent of a trade entered at each row's price and left at its exit row's.

    With fee f and slippage s per side as fractions, bought at ``b = p (1 + s)(1 + f)`` and sold at
    ``q = p (1 - s)(1 - f)``: a long trade earns ``q_exit / b_entry - 1``; a short one
    ``(q_entry - b_exit) / p_entry``, which has no lower bound.

    Parameters
    ----------
    price
        Shape (n_rows,).
    exit_row
        Row the trade ends on, -1 for none; shape (n_rows,).
    costs
        Fee, slippage and direction.

    Returns
    -------
    ndarray
        Shape (n_rows,); NaN where there is no exit, or a price is missing or not positive.

    Examples
    --------
    >>> trade_returns(np.array([100.0, 110.0]), np.array([1, -1]), TradeCosts(0, 0)).round(9).tolist()
    [10.0, nan]
    """
    usable = np.isfinite(price) & (price > 0)
    rows = np.flatnonzero((exit_row >= 0) & usable & usable[exit_row])
    entry, exit_ = price[rows], price[exit_row[rows]]
    fee, slippage = costs.fee_bps / 10_000, costs.slippage_bps / 10_000
    buying, selling = (1 + slippage) * (1 + fee), (1 - slippage) * (1 - fee)
    found = np.full(len(price), np.nan)
    if costs.direction == "up":
        found[rows] = 100 * (exit_ * selling / (entry * buying) - 1)
    else:
        found[rows] = 100 * (selling - exit_ / entry * buying)
    return found


def simulate_trades(
    price: Float,
    timestamps: Int,
    exit_row: Int,
    decisions: NDArray[np.bool_],
    costs: TradeCosts | None = None,
) -> Trades:
    """Enter a trade on each positive decision at that row's price and hold it to the horizon.

    Parameters
    ----------
    price, timestamps, exit_row, decisions
        Of all rows of a panel (``exit_row`` as in `Labels`); shape (n_rows,).
    costs
        Fee, slippage and direction; the defaults of `TradeCosts` if None.

    Raises
    ------
    DataError
        If lengths differ.

    Examples
    --------
    >>> done = simulate_trades(
    ...     np.array([100.0, 110.0]), np.array([0, 1]), np.array([1, -1]), np.array([True, False]), TradeCosts(0, 0)
    ... )
    >>> done.count, round(done.simulated_profit_pct, 9)
    (1, 10.0)
    """
    costs = costs or TradeCosts()
    if not len(price) == len(timestamps) == len(exit_row) == len(decisions):
        raise DataError("evaluation.trades_not_one_per_row")
    net = trade_returns(price, exit_row, costs)
    rows = np.flatnonzero(decisions & np.isfinite(net))
    skipped = int(np.count_nonzero(decisions)) - len(rows)
    if len(rows) == 0:
        return Trades(0, skipped, None, None, None, None, None, None, None, (), costs)
    returns = net[rows]
    gross = trade_returns(price, exit_row, TradeCosts(0, 0, costs.direction))[rows]
    exits = timestamps[exit_row[rows]]
    times, index = np.unique(exits, return_inverse=True)
    equity = np.cumsum(np.bincount(index, weights=returns))
    drawdown = np.maximum.accumulate(np.maximum(equity, 0.0)) - equity
    return Trades(
        count=len(rows),
        skipped=skipped,
        simulated_profit_pct=float(returns.mean()),
        median_pct=float(np.median(returns)),
        best_pct=float(returns.max()),
        worst_pct=float(returns.min()),
        hit_rate=float(np.mean(returns > 0)),
        gross_profit_pct=float(gross.mean()),
        max_drawdown_pct=float(drawdown.max()),
        equity=tuple((int(times[i]), float(equity[i])) for i in evenly(len(times))),
        costs=costs,
    )
