"""What a back-test takes for granted, and which of it its own data contradict."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kurswerk.backtest._bars import MarketBars
from kurswerk.backtest._orders import Orders
from kurswerk.backtest._result import Backtest
from kurswerk.backtest._state import DELISTING, REBALANCE, SIGNAL
from kurswerk.core.messages import Message

Float = NDArray[np.float64]

# An honest signal is right about the direction of the next bar in little more than half of the cases.
_FORESIGHT_SHARE: Final = 0.7
_FEWEST_ENTRIES: Final = 20
_FEWEST_TRADES: Final = 30
# Of 20 large companies some are taken over within two years.
_UNIVERSE, _UNIVERSE_YEARS = 20, 2.0
# One-sided, 99.9 %.
_CAUTION: Final = 3.09


@dataclass(frozen=True)
class Finding:
    """An assumption of a back-test.

    Attributes
    ----------
    message
        Which one, in words.
    violated
        Whether the data contradict it, so that the result is not to be believed; otherwise it is only to be known.
    """

    message: Message
    violated: bool

    @property
    def code(self) -> str:
        """Code of the message."""
        return self.message.code


def check_assumptions(done: Backtest) -> tuple[Finding, ...]:
    """Return what is wrong with a back-test, and what else it supposes; violated assumptions first."""
    found = [finding for check in _CHECKS for finding in check(done)]
    return tuple(sorted(found, key=lambda finding: not finding.violated))


def _costs(done: Backtest) -> Iterator[Finding]:
    if done.rules.costs.is_free and len(done.fill_table):
        yield Finding(Message("backtest.finding.no_costs", count=len(done.fill_table)), violated=True)


def _foresight(done: Backtest) -> Iterator[Finding]:
    """Find entries that are right about the bar they are filled in, or about the one after a fill at the close."""
    moves = _moves_after_fills(done)
    reasons = done.column("reason")
    entries = np.isin(reasons, (SIGNAL, REBALANCE)) & np.isfinite(moves) & (moves != 0)
    right = np.sign(done.column("quantity")[entries]) == np.sign(moves[entries])
    if len(right) < _FEWEST_ENTRIES:
        return
    share = float(right.mean())
    if share - _CAUTION * sqrt(share * (1 - share) / len(right)) > _FORESIGHT_SHARE:
        yield Finding(Message("backtest.finding.foresight", share=100 * share, count=len(right)), violated=True)


def _moves_after_fills(done: Backtest) -> Float:
    """Return how the market price moved in the bar of each fill, or from its close to the next; shape (n_fills,)."""
    bars = done.bars
    rows, symbols = done.column("bar").astype(np.int64), done.column("symbol").astype(np.int64)
    if done.rules.execution.fill == "close":
        later = np.minimum(rows + 1, bars.num_bars - 1)
        return np.where(later > rows, bars.close[later, symbols] - bars.close[rows, symbols], np.nan)
    return np.asarray(bars.close[rows, symbols] - done.column("market_price"))


def _survivors(done: Backtest) -> Iterator[Finding]:
    bars = done.bars
    years = float(bars.clock[-1])
    if len(bars.symbols) < _UNIVERSE or years < _UNIVERSE_YEARS:
        return
    lasting = bars.present[-max(1, bars.num_bars // 50) :].any(axis=0)
    if lasting.all():
        yield Finding(Message("backtest.finding.survivors", count=len(bars.symbols), years=years), violated=True)


def _adjusted_prices(done: Backtest) -> Iterator[Finding]:
    """Find splits or dividends that the prices contain already, and share counts on adjusted prices."""
    bars, rules = done.bars, done.rules
    applied = _splits_in_prices(bars)
    if applied:
        yield Finding(Message("backtest.finding.split_twice", count=applied), violated=True)
    if bars.price_basis == "adjusted" and bars.dividend.shape[0] and bool((bars.dividend != 0).any()):
        yield Finding(Message("backtest.finding.dividends_twice"), violated=True)
    counts_shares = rules.execution.lot > 0 or rules.costs.commission_per_share > 0 or rules.sizing.kind == "shares"
    if bars.price_basis in {"adjusted", "split_adjusted"} and counts_shares:
        yield Finding(Message("backtest.finding.adjusted_shares", basis=bars.price_basis), violated=True)


def _splits_in_prices(bars: MarketBars) -> int:
    """Return at how many splits the price did not move as unadjusted prices do."""
    if bars.split.shape[0] == 0:
        return 0
    count, last = 0, np.full(len(bars.symbols), np.nan)
    for t in range(bars.num_bars):
        factor = bars.split[t]
        with np.errstate(invalid="ignore"):
            move = np.log(bars.open[t] / last)
            count += int(np.sum((factor != 1) & (np.abs(move) < np.abs(move + np.log(factor)))))
        last = np.where(np.isnan(bars.close[t]), last, bars.close[t])
    return count


def _fills(done: Backtest) -> Iterator[Finding]:
    bars, execution = done.bars, done.rules.execution
    if execution.fill == "close" and len(done.fill_table):
        yield Finding(Message("backtest.finding.filled_at_close"), violated=False)
    if bars.volume.shape[0] == 0:
        yield Finding(Message("backtest.finding.no_volume"), violated=False)
    elif execution.participation is None and (above := _above_volume(done)):
        yield Finding(Message("backtest.finding.above_volume", count=above), violated=True)


def _above_volume(done: Backtest) -> int:
    """Return how many fills trade more than their bar did."""
    rows, symbols = done.column("bar").astype(np.int64), done.column("symbol").astype(np.int64)
    traded = np.abs(done.column("quantity"))
    if done.bars.volume_in_currency:
        traded = traded * done.column("market_price")
    return int(np.sum(traded > done.bars.volume[rows, symbols]))


def _ends(done: Backtest) -> Iterator[Finding]:
    delisted = int(np.sum(done.column("reason") == DELISTING))
    if delisted:
        loss = -100 * done.rules.account.delisting_return
        yield Finding(Message("backtest.finding.delisted", count=delisted, loss=loss), violated=False)
    if len(done.trade_table) < _FEWEST_TRADES:
        yield Finding(Message("backtest.finding.few_trades", count=len(done.trade_table)), violated=False)


_CHECKS: Final[tuple[Callable[[Backtest], Iterator[Finding]], ...]] = (
    _costs,
    _foresight,
    _survivors,
    _adjusted_prices,
    _fills,
    _ends,
)


def first_look_ahead_bar(make_orders: Callable[[MarketBars], Orders], bars: MarketBars, *, cuts: int = 5) -> int | None:
    """Return the first bar at which orders differ when later bars are not there; None where they never do.

    Parameters
    ----------
    make_orders
        The strategy: orders from bars. It is called once for all bars and once for each cut.
    cuts
        At how many places, evenly spaced, the bars are cut off.

    Examples
    --------
    >>> from kurswerk.backtest import Signals
    >>> bars = MarketBars.of_closes(np.arange(9) * 10**9, ["A"], np.arange(1.0, 10.0))
    >>> first_look_ahead_bar(lambda some: Signals((some.close > 3).astype(int)), bars) is None
    True
    >>> first_look_ahead_bar(lambda some: Signals((some.close > some.close.mean()).astype(int)), bars)
    1
    """
    whole, found = make_orders(bars).values, []
    for cut in np.unique(np.linspace(2, bars.num_bars - 1, cuts).astype(np.int64)):
        part = make_orders(bars.until(int(cut))).values
        same = (part == whole[:cut]) | (np.isnan(part) & np.isnan(whole[:cut]))
        different = np.flatnonzero(~same.all(axis=1))
        found += [int(different[0])] if len(different) else []
    return min(found, default=None)
