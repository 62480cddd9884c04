"""Trades into rows: whatever is repeated, reordered, lost or interrupted, a row is what all trades make, or absent."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coin_trades import SECOND, TrueCoin, true_row, true_windows
from kurswerk.ingest.collector import (
    CoinCreated,
    CoinTrade,
    GapReason,
    Reserves,
    TradeWindows,
    Verdict,
)
from kurswerk.market import COINS

BORN = 1_700_000_000 * SECOND + 123
GRACE = 2 * SECOND
# Time since the trade before, whether it buys, its size, and who trades.
TRADES = st.lists(
    st.tuples(st.integers(1, 20 * SECOND), st.booleans(), st.floats(0.001, 0.9), st.integers(0, 4)),
    min_size=1,
    max_size=40,
)


def coin_of(moves, mint="A", *, bought=True) -> TrueCoin:
    coin = TrueCoin(mint, "wallet0", BORN, bought_at_creation=bought)
    if bought:
        coin.trade(BORN, "wallet0", is_buy=True, share=0.3)
    moment = BORN
    for pause, is_buy, share, wallet in moves:
        moment += pause
        coin.trade(moment, f"wallet{wallet}", is_buy=is_buy, share=share)
    return coin


def events_of(coin: TrueCoin) -> tuple[CoinCreated, list[CoinTrade]]:
    trades = [
        CoinTrade(coin.mint, one.signature, one.trader, one.is_buy, one.sol, one.tokens,
                  Reserves(one.sol_after, one.tokens_after), one.moment_us)
        for one in coin.trades
    ]  # fmt: skip
    first = trades.pop(0) if coin.bought_at_creation else None
    return CoinCreated(coin.mint, coin.creator, first.after if first else Reserves(30.0, 1.073e9), BORN, first), trades


def following(coin: TrueCoin) -> tuple[TradeWindows, list[CoinTrade]]:
    windows = TradeWindows()
    windows.begin(BORN - SECOND)
    created, trades = events_of(coin)
    assert windows.created(created)
    windows.following([coin.mint], BORN + 1)
    return windows, trades


def assert_true(rows, coin: TrueCoin) -> None:
    """Every row must be what all trades of its window make."""
    bounds = {
        end: (start, end, phase)
        for start, end, phase in true_windows(coin, max((row.timestamp_us for row in rows), default=BORN))
    }
    for row in rows:
        expected = true_row(coin, *bounds[row.timestamp_us])
        assert set(row.values) == set(expected) == set(COINS.columns)
        assert row.values == pytest.approx(expected, rel=1e-6, abs=1e-12), row.timestamp_us
    assert len({row.timestamp_us for row in rows}) == len(rows)


@given(TRADES, st.booleans(), st.randoms(use_true_random=False))
def test_repeats_and_reordered_trades_make_the_same_rows_and_every_window_one(moves, bought, rng):
    coin = coin_of(moves, bought=bought)
    windows, trades = following(coin)
    delivered = sorted(trades + rng.sample(trades, len(trades) // 2), key=lambda one: one.moment_us)
    delivered.sort(key=lambda one: one.moment_us + rng.randrange(GRACE))
    verdicts = Counter()
    newest = BORN
    for trade in delivered:
        newest = max(newest, trade.moment_us)
        windows.advance(newest - GRACE)
        verdicts[windows.trade(trade)] += 1
    end = coin.trades[-1].moment_us + 100 * SECOND
    windows.advance(end)
    found = windows.drain()
    assert verdicts[Verdict.COUNTED] == len(trades)
    assert verdicts[Verdict.REPEATED] == len(trades) // 2
    assert_true(found.rows, coin)
    # The creation proves itself by a trade of its first window; without one rows begin with the first trade.
    later = [one.moment_us for one in coin.trades if one.moment_us > BORN]
    expected = [stop for start, stop, _ in true_windows(coin, end) if later[0] < stop]
    assert [row.timestamp_us for row in found.rows] == expected
    assert sum(gap.windows for gap in found.gaps) == len(true_windows(coin, end)) - len(expected)


@given(TRADES, st.data())
def test_without_some_trades_no_row_is_wrong_and_each_missing_one_is_counted(moves, data):
    coin = coin_of(moves)
    windows, trades = following(coin)
    lost = data.draw(st.sets(st.integers(0, len(trades) - 1)))
    for number, trade in enumerate(trades):
        windows.advance(trade.moment_us)
        if number not in lost:
            windows.trade(trade)
    # Only a trade after it shows that one was lost, so the last of all arrives.
    last_us = max((one.moment_us for number, one in enumerate(trades) if number not in lost), default=BORN)
    end = max(stop for start, stop, _ in true_windows(coin, last_us + 70 * SECOND) if start <= last_us)
    windows.advance(coin.trades[-1].moment_us + 100 * SECOND)
    found = windows.drain()
    counted = [row for row in found.rows if row.timestamp_us <= end]
    wrong = lost_without_a_sign(coin, [one for number, one in enumerate(trades) if number in lost])
    assert_true([row for row in counted if row.timestamp_us not in wrong], coin)
    total = len(true_windows(coin, coin.trades[-1].moment_us + 100 * SECOND))
    assert len(found.rows) + sum(gap.windows for gap in found.gaps) == total


def lost_without_a_sign(coin: TrueCoin, lost: list[CoinTrade]) -> set[int]:
    """Return windows of which the last trades were lost: only the next window's trades can show that."""
    found = set()
    gone = {one.signature for one in lost}
    for start, end, _ in true_windows(coin, coin.trades[-1].moment_us + 200 * SECOND):
        inside = [one for one in coin.trades if start <= one.moment_us < end]
        before = [one for one in coin.trades if one.moment_us < start]
        if (inside and inside[-1].signature in gone) or (not inside and before[-1].signature in gone):
            found.add(end)
    return found


@given(TRADES, st.lists(st.tuples(st.integers(0, 300), st.integers(1, 60)), max_size=3))
def test_windows_that_an_interruption_touches_have_no_row_and_all_others_are_true(moves, spans):
    coin = coin_of(moves)
    windows, trades = following(coin)
    breaks = sorted((BORN + start * SECOND, BORN + (start + length) * SECOND) for start, length in spans)
    end = max(coin.trades[-1].moment_us, *(stop for _, stop in breaks), BORN) + 100 * SECOND
    steps = [(one.moment_us, 1, one) for one in trades]
    for start, stop in breaks:
        steps += [(start, 0, None), (stop, 2, None)]
    is_down, touched, down_since = 0, [], 0
    for moment, kind, trade in sorted(steps, key=lambda step: step[:2]):
        windows.advance(moment)
        if kind == 0:
            windows.interrupted()
            down_since = down_since if is_down else moment
            is_down += 1
        elif kind == 2:
            is_down -= 1
            if not is_down:
                windows.following(windows.coins, moment)
                touched.append((down_since, moment))
        elif not is_down:
            windows.trade(trade)
    windows.advance(end)
    found = windows.drain()
    assert_true(found.rows, coin)
    bounds = true_windows(coin, end)
    for row in found.rows:
        start = next(start for start, stop, _ in bounds if stop == row.timestamp_us)
        assert not any(start < up and row.timestamp_us > down for down, up in touched)
    assert len(found.rows) + sum(gap.windows for gap in found.gaps) == len(true_windows(coin, end))
    assert len([gap for gap in found.gaps if gap.reason is GapReason.INTERRUPTED]) <= len(breaks)


@given(TRADES, st.integers(0, 40))
def test_another_process_goes_on_with_the_coins_and_counts_no_trade_again(moves, cut):
    coin = coin_of(moves)
    windows, trades = following(coin)
    cut = min(cut, len(trades))
    for trade in trades[:cut]:
        windows.trade(trade)
    moment = trades[cut - 1].moment_us if cut else BORN
    windows.advance(moment)
    left = windows.drain()
    following_ = {one.mint: one for one in left.coins}
    again = TradeWindows()
    again.restore(following_.values(), left.trades, left.until_us)
    again.following(again.coins, moment + SECOND)
    verdicts = [again.trade(trade) for trade in trades]
    assert verdicts[:cut] == [Verdict.REPEATED] * cut
    assert Verdict.REPEATED not in verdicts[cut:]
    end = coin.trades[-1].moment_us + 100 * SECOND
    again.advance(end)
    found = again.drain()
    assert {row.timestamp_us for row in left.rows}.isdisjoint(row.timestamp_us for row in found.rows)
    assert_true([*left.rows, *found.rows], coin)
    gaps = {gap.id: gap for gap in (*left.gaps, *found.gaps)}
    windows_in_all = len(true_windows(coin, end))
    assert len(left.rows) + len(found.rows) + sum(gap.windows for gap in gaps.values()) == windows_in_all


def test_a_late_trade_changes_no_row_and_is_noted():
    coin = coin_of([(SECOND, True, 0.1, 1), (SECOND, True, 0.2, 2), (20 * SECOND, True, 0.3, 3)])
    windows, trades = following(coin)
    windows.trade(trades[0])
    windows.advance(BORN + 6 * SECOND)
    assert windows.trade(trades[1]) is Verdict.LATE
    windows.trade(trades[2])
    windows.advance(BORN + 60 * SECOND)
    found = windows.drain()
    assert [gap.reason for gap in found.gaps] == [GapReason.LATE_TRADE]
    assert (found.gaps[0].start_us, found.gaps[0].end_us) == (BORN, BORN + 5 * SECOND)
    assert_true(found.rows[1:], coin)
    assert len(found.rows) == 12


def test_phases_follow_the_age_and_a_coin_that_goes_silent_is_closed():
    coin = coin_of([(SECOND, True, 0.1, 1), (3590 * SECOND, True, 0.2, 2)])
    windows, trades = following(coin)
    for trade in trades:
        windows.trade(trade)
    windows.advance(BORN + 9000 * SECOND)
    found = windows.drain()
    assert_true(found.rows, coin)
    assert [row.values["phase_id_at_time"] for row in found.rows] == [1] * 120 + [2] * 100 + [3] * 60
    assert windows.left() == [coin.mint]
    assert windows.coins == ()
    assert [(one.phase, one.is_followed) for one in found.coins] == [(99, False)]


def test_a_migrated_coin_ends_with_the_window_under_way():
    coin = coin_of([(SECOND, True, 0.1, 1), (11 * SECOND, True, 0.2, 2)])
    windows, trades = following(coin)
    for trade in trades:
        windows.trade(trade)
    windows.advance(BORN + 12 * SECOND)
    windows.migrated(coin.mint)
    windows.advance(BORN + 60 * SECOND)
    found = windows.drain()
    assert [row.values["phase_id_at_time"] for row in found.rows] == [1, 1, 100]
    assert (found.coins[0].phase, found.coins[0].is_followed) == (100, False)


def test_memory_is_bounded_by_giving_up_the_longest_silent_coin():
    windows = TradeWindows(most_coins=2)
    windows.begin(BORN)
    coins = [coin_of([(SECOND, True, 0.1, 1)], mint) for mint in "ABC"]
    events = [events_of(coin) for coin in coins]
    windows.created(events[0][0])
    windows.created(events[1][0])
    windows.trade(events[0][1][0])
    windows.created(events[2][0])
    assert windows.left() == ["B"]
    assert set(windows.coins) == {"A", "C"}
    assert [(gap.reason, gap.mint) for gap in windows.drain().gaps] == [(GapReason.EVICTED, "B")]
    assert not windows.created(events[1][0])


def test_a_long_interruption_costs_no_more_than_a_short_one():
    windows = TradeWindows()
    windows.begin(BORN)
    for number in range(2000):
        coin = TrueCoin(f"coin{number}", "w", BORN)
        windows.created(events_of(coin)[0])
    windows.interrupted()
    windows.advance(BORN + 3600 * SECOND)
    windows.following(windows.coins, BORN + 3600 * SECOND)
    windows.advance(BORN + 3700 * SECOND)
    (gap,) = windows.drain().gaps
    assert gap.windows == 2000 * (120 + 100 + 1)
    assert (gap.start_us, gap.end_us) == (BORN, BORN + 3600 * SECOND)


def test_trades_of_unknown_coins_are_not_counted():
    windows = TradeWindows()
    created, trades = events_of(coin_of([(SECOND, True, 0.1, 1)]))
    assert windows.trade(trades[0]) is Verdict.UNKNOWN_COIN
    assert not windows.drain().trades
    assert created.purchase is not None


def test_the_same_rows_come_out_however_often_windows_are_closed():
    rng = random.Random(1)
    moves = [
        (rng.randrange(1, 9 * SECOND), rng.random() < 0.6, rng.uniform(0.01, 0.9), rng.randrange(9)) for _ in range(300)
    ]
    coin = coin_of(moves)
    runs = []
    for step in (SECOND // 3, 70 * SECOND):
        windows, trades = following(coin)
        for trade in trades:
            windows.trade(trade)
        for moment in range(BORN, coin.trades[-1].moment_us + 200 * SECOND, step):
            windows.advance(moment)
        windows.advance(coin.trades[-1].moment_us + 200 * SECOND)
        runs.append(windows.drain().rows)
    assert runs[0] == runs[1]
    assert_true(runs[0], coin)
    assert len(runs[0]) > 100
