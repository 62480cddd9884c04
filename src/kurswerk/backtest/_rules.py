"""Under what rules a strategy trades: account, execution, costs, sizes of positions and exits."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from kurswerk.core.errors import SpecError

Share = Annotated[float, Field(gt=0, lt=1)]
Points = Annotated[float, Field(ge=0, lt=10_000)]
Rate = Annotated[float, Field(ge=0, le=10)]
Money = Annotated[float, Field(ge=0)]


class _Values(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Account(_Values):
    """The account that trades.

    Attributes
    ----------
    cash
        At the start, in the currency of the prices.
    leverage
        Gross exposure may grow to this many times the equity; 1 borrows nothing for long positions.
    maintenance
        A margin call closes everything when the equity falls below this share of the gross exposure.
    allow_short
        Whether a `SELL` signal without a position sells short. Target weights below 0 always do.
    cash_rate, margin_rate
        Interest a year on cash, and on cash below 0; proceeds of short sales count as cash.
    borrow_rate
        What borrowed shares cost a year, as a share of their value.
    delisted_after_days
        A position in what has not traded for so long is closed at the last known price times
        ``1 + delisting_return``; None never closes. It needs no knowledge of the future: what trades again later is
        traded again.
    delisting_return
        Shumway (1997) found -0.3 on average for delistings of stocks for poor performance.
    """

    cash: Annotated[float, Field(gt=0)] = 10_000.0
    leverage: Annotated[float, Field(gt=0, le=100)] = 1.0
    maintenance: Annotated[float, Field(ge=0, lt=1)] = 0.25
    allow_short: bool = False
    cash_rate: Rate = 0.0
    margin_rate: Rate = 0.0
    borrow_rate: Rate = 0.0
    delisted_after_days: Annotated[float, Field(gt=0)] | None = 30.0
    delisting_return: Annotated[float, Field(ge=-1, le=0)] = 0.0


class Execution(_Values):
    """How orders are filled.

    Attributes
    ----------
    fill
        A signal at the close is filled at the open of the next bar, or at that close itself, which supposes that the
        order went out before the close was known.
    order
        What opens positions on signals: a market order; a limit order ``offset`` below the close (above it to sell
        short); or a stop order ``offset`` above it (below). Positions are closed by market orders.
    offset
        Distance of limit and stop orders from the close, as a share of it.
    valid_bars
        How many bars a limit or stop order waits.
    participation
        At most this share of a bar's volume is traded; None knows no limit. Of opening orders the rest lapses, of
        closing ones it waits for the next open. Without it a market of unknown volume has no limit.
    lot
        Quantities are multiples of it; 0 allows fractions of shares.
    """

    fill: Literal["next_open", "close"] = "next_open"
    order: Literal["market", "limit", "stop"] = "market"
    offset: Annotated[float, Field(ge=0, lt=1)] = 0.0
    valid_bars: Annotated[int, Field(ge=1, le=10_000)] = 1
    participation: Annotated[float, Field(gt=0, le=1)] | None = 1.0
    lot: Money = 0.0

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.fill == "close" and self.order != "market":
            raise SpecError("backtest.resting_order_at_close", order=self.order)
        return self


class TradingCosts(_Values):
    """What a fill costs.

    Attributes
    ----------
    commission_bps, commission_per_share, commission_minimum, fixed
        Basis points of the amount plus so much per share, at least the minimum; and what each fill costs besides, such
        as a network's fee.
    spread_bps
        Between bid and ask; half of it is paid by market and stop orders.
    slippage_bps, slippage_range
        What market and stop orders pay besides: of the price, and as a share of high minus low of their bar.
    price_impact
        Whether a fill moves the price along a constant-product curve: buying for an amount A beside reserves R pays
        ``1 + A / R`` times the price on average (Angeris et al., 2019, section 2).
    """

    commission_bps: Points = 10.0
    commission_per_share: Money = 0.0
    commission_minimum: Money = 0.0
    fixed: Money = 0.0
    spread_bps: Points = 0.0
    slippage_bps: Points = 5.0
    slippage_range: Annotated[float, Field(ge=0, le=1)] = 0.0
    price_impact: bool = False

    @property
    def is_free(self) -> bool:
        """Whether trading costs nothing at all."""
        return not any(self.model_dump().values())


class Sizing(_Values):
    """How large a position is that a signal opens, decided at the close of the signal.

    Attributes
    ----------
    kind
        ``shares`` and ``cash``: ``value`` of them. ``fraction``: ``value`` of the equity. ``volatility``: as much of
        the equity as would fluctuate by ``value`` a year, by the last ``window`` bars. ``kelly``: ``value`` times mean
        over variance of the last ``window`` returns (Thorp, 2006, section 7). ``risk``: as much as loses ``value`` of
        the equity at the stop loss or, without one, by a fall of the average true range of ``window`` bars.
    value
        See there; 1.0 of the equity by default.
    window
        Bars that are looked back on, the one of the signal included.
    cap
        The largest share of the equity that a computed size may come to.
    """

    kind: Literal["shares", "cash", "fraction", "volatility", "kelly", "risk"] = "fraction"
    value: Annotated[float, Field(gt=0)] = 1.0
    window: Annotated[int, Field(ge=2, le=10_000)] = 20
    cap: Annotated[float, Field(gt=0, le=100)] = 1.0


class Exits(_Values):
    """What closes a position besides signals; None does not.

    Inside a bar a stop comes before a target. A bar that opens beyond a level fills at its open.

    Attributes
    ----------
    stop_loss, take_profit
        Distance from the average entry price, as a share of it.
    trailing_stop
        Distance from the best price since the entry, of the bars before, as a share of it.
    max_bars
        Bars that a position is held.
    """

    stop_loss: Share | None = None
    take_profit: Annotated[float, Field(gt=0)] | None = None
    trailing_stop: Share | None = None
    max_bars: Annotated[int, Field(ge=1)] | None = None


class TradingRules(_Values):
    """All rules of a back-test."""

    account: Account = Account()
    execution: Execution = Execution()
    costs: TradingCosts = TradingCosts()
    sizing: Sizing = Sizing()
    exits: Exits = Exits()

    @model_validator(mode="after")
    def _possible(self) -> Self:
        account = self.account
        if self.costs.price_impact and (account.leverage > 1 or account.allow_short or self.costs.commission_per_share):
            raise SpecError("backtest.impact_needs_plain_account")
        return self
