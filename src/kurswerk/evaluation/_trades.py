"""Trades that follow from predictions, net of fees, slippage, fixed costs and price impact."""

from dataclasses import dataclass, field
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
    """Costs of each side of a trade, and its direction.

    The default fee is that of a taker on a large spot exchange.

    Attributes
    ----------
    fee_bps, slippage_bps
        In basis points of the traded amount, each in [0, 10000).
    direction
        Long (``up``) or short.
    fixed_cost
        Paid for each side whatever the amount, such as a network's fee; in the currency of the price, at least 0.
    stake
        Amount that a trade enters with, in the currency of the price; needed by ``fixed_cost`` and ``price_impact``.
    price_impact
        Whether a trade moves the price along a constant-product curve, whose reserves the market states.

    Raises
    ------
    SpecError
        If a value is out of range, or the stake is missing.
    """

    fee_bps: float = 10.0
    slippage_bps: float = 5.0
    direction: Literal["up", "down"] = "up"
    fixed_cost: float = field(default=0.0, kw_only=True)
    stake: float | None = field(default=None, kw_only=True)
    price_impact: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        for name, value in (("fee_bps", self.fee_bps), ("slippage_bps", self.slippage_bps)):
            if not 0 <= value < 10_000:
                raise SpecError("evaluation.cost_out_of_range", name=name, value=value)
        if not 0 <= self.fixed_cost < np.inf:
            raise SpecError("evaluation.fixed_cost_out_of_range", value=self.fixed_cost)
        if self.stake is not None and not 0 < self.stake < np.inf:
            raise SpecError("evaluation.stake_out_of_range", value=self.stake)
        if self.stake is None and (self.fixed_cost or self.price_impact):
            raise SpecError("evaluation.stake_needed")
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
        Trades made, and positive predictions without a usable price, or reserves where they count, at entry or exit.
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
            "fixed_cost": self.costs.fixed_cost,
            "stake": self.costs.stake,
            "price_impact": self.costs.price_impact,
            "direction": self.costs.direction,
            "equity": [{"timestamp": format_timestamp(moment), "equity_pct": value} for moment, value in self.equity],
            "note": "equal stake per trade; trades may overlap, so equity adds up returns and is no account's growth",
        }


def trade_returns(price: Float, exit_row: Int, costs: TradeCosts, reserves: Float | None = None) -> Float:
    """Net return in percent of a trade entered at each row's price and left at its exit row's.

    With fee f and slippage s per side as fractions, bought at ``b = p (1 + s)(1 + f)`` and sold at
    ``q = p (1 - s)(1 - f)``: a long trade earns ``q_exit / b_entry - 1``; a short one
    ``(q_entry - b_exit) / p_entry``, which has no lower bound.

    With a stake, a fixed cost c is paid on each side, and with price impact a trade walks along the curve ``x y = k``:
    beside reserves R, all in the currency of the price, buying for an amount A takes the mean price ``p (1 + A / R)``,
    and selling tokens worth V at the price before brings ``V / (1 + V / R)``. A long trade of stake S spends ``S + c``
    and a short one sells tokens worth S. The curve at the exit is the one that the market had then: what the own entry
    moved is taken to be traded away by others in between.

    Parameters
    ----------
    price
        Shape (n_rows,).
    exit_row
        Row the trade ends on, -1 for none; shape (n_rows,).
    costs
        Fee, slippage, fixed cost, stake, price impact and direction.
    reserves
        Reserves of the curve in the currency of the price, shape (n_rows,); needed with price impact.

    Returns
    -------
    ndarray
        Shape (n_rows,); NaN where there is no exit, a price or a reserve that counts is missing or not positive, or
        the curve does not hold enough to buy back a short trade.

    Raises
    ------
    DataError
        If price impact is asked for without reserves.

    References
    ----------
    Angeris, Kao, Chiang, Noyes and Chitra (2019), "An analysis of Uniswap markets", section 2.

    Examples
    --------
    >>> trade_returns(np.array([100.0, 110.0]), np.array([1, -1]), TradeCosts(0, 0)).round(9).tolist()
    [10.0, nan]
    >>> costs = TradeCosts(0, 0, stake=1.0, price_impact=True)
    >>> trade_returns(np.array([2.0, 2.0]), np.array([1, -1]), costs, np.array([99.0, 99.0])).round(6).tolist()
    [-1.980198, nan]
    """
    if costs.price_impact and reserves is None:
        raise DataError("evaluation.no_reserves")
    usable = np.isfinite(price) & (price > 0)
    if costs.price_impact and reserves is not None:
        usable &= np.isfinite(reserves) & (reserves > 0)
    rows = np.flatnonzero((exit_row >= 0) & usable & usable[exit_row])
    entry, exit_ = price[rows], price[exit_row[rows]]
    found = np.full(len(price), np.nan)
    if costs.stake is None:
        found[rows] = _proportional_returns(entry, exit_, costs)
    elif costs.price_impact and reserves is not None:
        found[rows] = _stake_returns(entry, exit_, costs, reserves[rows], reserves[exit_row[rows]])
    else:
        deep = np.full(len(rows), np.inf)
        found[rows] = _stake_returns(entry, exit_, costs, deep, deep)
    return found


def change_of_costs(before: TradeCosts, after: TradeCosts) -> tuple[float, float] | None:
    """Return scale and offset that make of a mean return after some costs the mean of the same trades after others.

    Exact for costs that are shares of the amount: such a return is linear in the ratio of the prices.

    Parameters
    ----------
    before, after
        In the same direction.

    Returns
    -------
    tuple of float or None
        For returns in percent; None where the stake matters, whose trades have to be simulated again.

    Examples
    --------
    >>> change_of_costs(TradeCosts(0, 0), TradeCosts(100, 0))
    (0.9801980198019802, -1.980198019801982)
    """
    if any(costs.price_impact or costs.fixed_cost for costs in (before, after)):
        return None
    (bought, sold), (buying, selling) = _factors(before), _factors(after)
    if before.direction == "up":
        scale = (selling / buying) / (sold / bought)
        return scale, 100 * (scale - 1)
    scale = buying / bought
    return scale, 100 * (selling - sold * scale)


def _factors(costs: TradeCosts) -> tuple[float, float]:
    """Return by what the price is multiplied where it is bought, and where it is sold."""
    fee, slippage = costs.fee_bps / 10_000, costs.slippage_bps / 10_000
    return (1 + slippage) * (1 + fee), (1 - slippage) * (1 - fee)


def _proportional_returns(entry: Float, exit_: Float, costs: TradeCosts) -> Float:
    """Return what trades bring whose costs are shares of the amount, whatever it is."""
    buying, selling = _factors(costs)
    if costs.direction == "up":
        return np.asarray(100 * (exit_ * selling / (entry * buying) - 1))
    return np.asarray(100 * (selling - exit_ / entry * buying))


def _stake_returns(
    entry: Float, exit_: Float, costs: TradeCosts, reserves_at_entry: Float, reserves_at_exit: Float
) -> Float:
    """Return what trades of one stake bring; reserves are infinite where trades move no price."""
    fee, slippage, stake = costs.fee_bps / 10_000, costs.slippage_bps / 10_000, costs.stake or 0.0
    if costs.direction == "up":
        invested = stake / (1 + fee)
        tokens = invested / (entry * (1 + slippage) * (1 + invested / reserves_at_entry))
        value = tokens * exit_ * (1 - slippage)
        proceeds = value / (1 + value / reserves_at_exit) * (1 - fee)
        return np.asarray(100 * ((proceeds - costs.fixed_cost) / (stake + costs.fixed_cost) - 1))
    value = np.full(len(entry), stake * (1 - slippage))
    proceeds = value / (1 + value / reserves_at_entry) * (1 - fee)
    bought_back = stake * exit_ / entry * (1 + slippage)
    left = 1 - bought_back / reserves_at_exit
    spent = np.where(left > 0, bought_back / np.where(left > 0, left, 1.0), np.nan) * (1 + fee)
    return np.asarray(100 * (proceeds - spent - 2 * costs.fixed_cost) / stake)


def simulate_trades(
    price: Float,
    timestamps: Int,
    exit_row: Int,
    decisions: NDArray[np.bool_],
    costs: TradeCosts | None = None,
    reserves: Float | None = None,
) -> Trades:
    """Enter a trade on each positive decision at that row's price and hold it to the horizon.

    Parameters
    ----------
    price, timestamps, exit_row, decisions
        Of all rows of a panel (``exit_row`` as in `Labels`); shape (n_rows,).
    costs
        The defaults of `TradeCosts` if None.
    reserves
        As in `trade_returns`.

    Raises
    ------
    DataError
        If lengths differ, or as in `trade_returns`.

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
    net = trade_returns(price, exit_row, costs, reserves)
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
