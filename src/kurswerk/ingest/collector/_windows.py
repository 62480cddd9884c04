"""Trades into rows: each coin's windows, closed once all of their trades must have been received.

A window becomes a row only if it is complete: its coin was followed for all of its length without an interruption, and
its trades continue each other on the curve from the reserves that the window before left. Any other window leaves no
row but is counted in a `Gap`.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from heapq import heappop, heappush

from kurswerk.core.timestamps import MINUTE_US
from kurswerk.ingest.collector._events import CoinCreated, CoinTrade, Reserves
from kurswerk.ingest.collector._grid import WINDOWS, phase_of, window_of, window_start_us
from kurswerk.ingest.collector._records import Collected, CollectedRow, FollowedCoin, Gap, GapReason, Verdict
from kurswerk.ingest.collector._rows import chained, coin_row, continues
from kurswerk.market.phases import FINISHED, GRADUATED

# Signatures are kept for so long, and no more than so many.
_REPEATS_WITHIN_US = 15 * MINUTE_US
_MOST_SIGNATURES = 500_000


class _Coin:
    """A coin with its open windows: the next one, its trades so far, and from when on they are all there."""

    __slots__ = (
        "complete_from_us",
        "end_us",
        "gap",
        "is_unproven",
        "purchase",
        "reserves",
        "start_us",
        "state",
        "trades",
        "window",
    )

    def __init__(self, state: FollowedCoin, window: int) -> None:
        self.state = state
        # At the start of the window; None where trades may have been missed.
        self.reserves: Reserves | None = None
        self.complete_from_us: int | None = None
        # A subscription takes a moment: trades right after the creation may be missing, until a later one continues it.
        self.is_unproven = False
        self.purchase: CoinTrade | None = None
        self.gap: Gap | None = None
        self.trades: list[CoinTrade] = []
        self.turn_to(window)

    def turn_to(self, window: int) -> None:
        self.window = window
        self.start_us, self.end_us = (self.state.created_us + window_start_us(window + place) for place in (0, 1))


class TradeWindows:
    """Builds rows from trades; knows no clock and no database.

    Parameters
    ----------
    silence_us
        A coin without a trade for so long is followed no more.
    most_coins
        How many coins are followed at most; beyond it the one that has been silent for longest is given up.
    """

    def __init__(self, *, silence_us: int = 60 * MINUTE_US, most_coins: int = 20_000) -> None:
        self._silence_us, self._most_coins = silence_us, most_coins
        self._coins: OrderedDict[str, _Coin] = OrderedDict()  # the longest silent first
        self._due: list[tuple[int, str]] = []  # the end of each coin's next window, as a heap
        self._signatures: OrderedDict[tuple[str, str, float], int] = OrderedDict()
        self._until_us = 0
        self._gap: Gap | None = None
        self._rows: list[CollectedRow] = []
        self._new_trades: list[CoinTrade] = []
        self._changed: dict[str, FollowedCoin] = {}
        self._changed_gaps: dict[str, Gap] = {}
        self._left: list[str] = []

    @property
    def coins(self) -> tuple[str, ...]:
        """The coins followed, the longest silent first."""
        return tuple(self._coins)

    @property
    def until_us(self) -> int:
        """All windows that end up to here are closed."""
        return self._until_us

    @property
    def waiting(self) -> int:
        """How many trades and rows wait for `drain`."""
        return len(self._new_trades) + len(self._rows)

    def restore(self, coins: Iterable[FollowedCoin], trades: Iterable[CoinTrade], until_us: int) -> None:
        """Go on where another process ended: with its coins, its latest trades, and up to where its rows reach."""
        for state in sorted(coins, key=lambda coin: coin.last_trade_us):
            self._add(_Coin(state, window_of(until_us - state.created_us)))
        for trade in trades:
            self._signatures[_identity(trade)] = trade.moment_us
        self._until_us = until_us
        self.interrupted(GapReason.STOPPED)

    def begin(self, moment_us: int) -> None:
        """Begin where nobody collected before."""
        self._until_us = moment_us

    def created(self, event: CoinCreated) -> bool:
        """Begin to follow a coin; False if it is followed already, or was a moment ago."""
        identity = (event.mint, event.creator, -1.0)
        if event.mint in self._coins or identity in self._signatures:
            return False
        self._signatures[identity] = event.moment_us
        state = FollowedCoin(event.mint, event.creator, event.moment_us, event.moment_us, phase_of(0).id)
        coin = _Coin(state, 0)
        self._add(coin)
        coin.reserves = event.purchase.before if event.purchase else event.reserves
        coin.is_unproven = True
        self._changed[event.mint] = state
        if event.purchase and self.trade(event.purchase) is Verdict.COUNTED:
            coin.purchase = coin.trades[-1]
        while len(self._coins) > self._most_coins:
            self._evict()
        return True

    def trade(self, trade: CoinTrade) -> Verdict:
        """Count a trade in its window."""
        coin = self._coins.get(trade.mint)
        if coin is None:
            return Verdict.UNKNOWN_COIN
        if _identity(trade) in self._signatures:
            return Verdict.REPEATED
        trade = replace(trade, moment_us=max(trade.moment_us, coin.state.created_us))
        self._signatures[_identity(trade)] = trade.moment_us
        self._new_trades.append(trade)
        coin.state.last_trade_us = max(coin.state.last_trade_us, trade.moment_us)
        self._coins.move_to_end(trade.mint)
        self._changed[trade.mint] = coin.state
        if trade.moment_us < coin.start_us:
            self._count_late(coin, trade)
            return Verdict.LATE
        coin.trades.append(trade)
        return Verdict.COUNTED

    def migrated(self, mint: str) -> None:
        """Note that a coin left its curve: the window under way is its last."""
        if coin := self._coins.get(mint):
            coin.state.is_migrated = True
            self._changed[mint] = coin.state

    def following(self, mints: Iterable[str], moment_us: int) -> None:
        """Note that from a moment on all trades of some coins are received."""
        for mint in mints:
            if (coin := self._coins.get(mint)) and coin.complete_from_us is None:
                coin.complete_from_us = moment_us
        if self._gap and all(coin.complete_from_us is not None for coin in self._coins.values()):
            self._gap.end_us = max(moment_us, self._gap.start_us)
            self._changed_gaps[self._gap.id] = self._gap
            self._gap = None

    def interrupted(self, reason: GapReason = GapReason.INTERRUPTED) -> None:
        """Note that trades after `until_us` may be missing, of every coin, until they are followed again."""
        if self._gap is None:
            self._gap = Gap(reason, self._until_us)
        self._changed_gaps[self._gap.id] = self._gap
        for coin in self._coins.values():
            coin.complete_from_us, coin.reserves, coin.is_unproven = None, None, False
            coin.gap = self._gap
            coin.trades.clear()

    def advance(self, until_us: int) -> None:
        """Close all windows that end up to a moment: later trades of them are late."""
        if until_us <= self._until_us:
            return
        self._until_us = until_us
        while self._due and self._due[0][0] <= until_us:
            mint = heappop(self._due)[1]
            if (coin := self._coins.get(mint)) is not None:
                self._close_until(coin, until_us)
        self._forget_signatures()

    def left(self) -> list[str]:
        """Return the coins that are followed no more, since the last call."""
        found, self._left = self._left, []
        return found

    def drain(self) -> Collected:
        """Return what is to be stored since the last call."""
        found = Collected(
            tuple(self._rows),
            tuple(self._new_trades),
            tuple(replace(coin) for coin in self._changed.values()),
            tuple(replace(gap) for gap in self._changed_gaps.values()),
            self._until_us,
        )
        self._rows, self._new_trades, self._changed, self._changed_gaps = [], [], {}, {}
        return found

    def _close_until(self, coin: _Coin, until_us: int) -> None:
        while coin.end_us <= until_us and coin.state.is_followed:
            if not self._skipped(coin, until_us):
                self._close(coin)
        if coin.state.is_followed:
            heappush(self._due, (coin.end_us, coin.state.mint))
        else:
            del self._coins[coin.state.mint]
            self._left.append(coin.state.mint)

    def _add(self, coin: _Coin) -> None:
        self._coins[coin.state.mint] = coin
        heappush(self._due, (coin.end_us, coin.state.mint))

    def _close(self, coin: _Coin) -> None:
        end_us = coin.end_us
        trades = sorted((one for one in coin.trades if one.moment_us < end_us), key=lambda one: one.moment_us)
        coin.trades = [one for one in coin.trades if one.moment_us >= end_us]
        opening = coin.reserves or (trades[0].before if trades else None)
        ordered = chained(trades, opening) if opening else None
        is_proof = any(one is not coin.purchase for one in trades)
        if opening is not None and ordered is not None and _is_complete(coin, is_proven=is_proof):
            coin.reserves = ordered[-1].after if ordered else opening
            coin.gap = None
            self._write(coin, ordered, opening, coin.reserves)
        else:
            self._withhold(coin, has_loss=opening is not None and ordered is None)
            coin.reserves = (ordered or trades)[-1].after if trades else opening if coin.is_unproven else None
        coin.is_unproven = coin.is_unproven and not is_proof
        self._go_on(coin, end_us)

    def _skipped(self, coin: _Coin, until_us: int) -> bool:
        """Pass over windows that nothing can complete, all at once: a long interruption has many."""
        number = window_of(until_us - coin.state.created_us)
        if coin.gap is None or coin.reserves is not None or coin.trades or number <= coin.window + 1:
            return False
        coin.gap.windows += number - coin.window
        self._changed_gaps[coin.gap.id] = coin.gap
        coin.turn_to(number - 1)
        self._go_on(coin, coin.end_us)
        return True

    def _write(self, coin: _Coin, trades: Sequence[CoinTrade], opening: Reserves, closing: Reserves) -> None:
        state, end_us = coin.state, coin.end_us
        phase = GRADUATED.id if state.is_migrated else phase_of(coin.window).id
        values = coin_row(trades, opening, closing, phase=phase, creator=state.creator)
        self._rows.append(CollectedRow(state.mint, end_us, values))
        if state.high is None or float(values["price_high"]) > state.high:
            state.high, state.high_us = float(values["price_high"]), end_us
            self._changed[state.mint] = state

    def _withhold(self, coin: _Coin, *, has_loss: bool) -> None:
        """Count a window that leaves no row, in the gap that is to blame or in one of its own."""
        is_followed = coin.complete_from_us is not None and coin.complete_from_us <= coin.start_us
        if coin.gap is None or (has_loss and is_followed):
            reason = GapReason.MISSED_TRADES if has_loss else GapReason.UNPROVEN_START
            coin.gap = Gap(reason, coin.start_us, mint=coin.state.mint)
        coin.gap.windows += 1
        if coin.gap.mint is not None:
            coin.gap.end_us = coin.end_us
        self._changed_gaps[coin.gap.id] = coin.gap

    def _go_on(self, coin: _Coin, end_us: int) -> None:
        """Turn to the next window, or to no other if the coin is followed no more."""
        state = coin.state
        coin.turn_to(coin.window + 1)
        quiet_since = max(state.last_trade_us, coin.complete_from_us or end_us)
        if state.is_migrated:
            self._leave(state, GRADUATED.id)
        elif coin.window >= WINDOWS or end_us - quiet_since >= self._silence_us:
            self._leave(state, FINISHED.id)
        elif phase_of(coin.window).id != state.phase:
            state.phase = phase_of(coin.window).id
            self._changed[state.mint] = state

    def _leave(self, state: FollowedCoin, phase: int) -> None:
        state.phase, state.is_followed = phase, False
        self._changed[state.mint] = state

    def _evict(self) -> None:
        mint, coin = self._coins.popitem(last=False)
        gap = Gap(GapReason.EVICTED, coin.start_us, coin.end_us, mint, windows=1)
        self._changed_gaps[gap.id] = gap
        self._leave(coin.state, coin.state.phase)
        self._left.append(mint)

    def _count_late(self, coin: _Coin, trade: CoinTrade) -> None:
        """Note a trade whose window is closed already; the next window begins with what it left."""
        if coin.gap is None or coin.gap.mint is not None:
            window = _Coin(coin.state, window_of(trade.moment_us - coin.state.created_us))
            gap = Gap(GapReason.LATE_TRADE, window.start_us, window.end_us, coin.state.mint)
            self._changed_gaps[gap.id] = gap
        if coin.reserves and continues(trade, coin.reserves.tokens):
            coin.reserves = trade.after

    def _forget_signatures(self) -> None:
        while self._signatures and (
            next(iter(self._signatures.values())) < self._until_us - _REPEATS_WITHIN_US
            or len(self._signatures) > _MOST_SIGNATURES
        ):
            self._signatures.popitem(last=False)


def _is_complete(coin: _Coin, *, is_proven: bool) -> bool:
    """Return whether all trades of a coin's window must have been received."""
    if coin.complete_from_us is None:
        return False
    # A trade that continues the creation shows that none was missed until the subscription took effect.
    return is_proven if coin.is_unproven else coin.complete_from_us <= coin.start_us


def _identity(trade: CoinTrade) -> tuple[str, str, float]:
    return trade.mint, trade.signature, trade.after.tokens
