"""A market that goes on hands out, piece by piece, what the same market simulated at once has."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurswerk.core.errors import SpecError
from kurswerk.market import COINS
from kurswerk.sources import CoinMarket, LiveMarket, live_market
from kurswerk.sources.coin_market import MOST_HOURS

BIRTHS = 12.0
NOW = 1_700_000_000_000_000


def stamps(rows):
    return rows.column("timestamp").cast(pa.int64()).to_numpy()


def expected(seed, seconds):
    """Return the rows up to a second of the market simulated at once, by time, and their seconds."""
    whole = CoinMarket(round(BIRTHS * MOST_HOURS), MOST_HOURS, seed)
    rows = whole.rows_of(range(int(np.searchsorted(whole.births, seconds))))
    passed = (stamps(rows) - whole.start_us) // 1_000_000
    order = np.lexsort((rows.column("mint").to_pylist(), passed))
    order = order[passed[order] <= seconds]
    return rows.take(pa.array(order)), passed[order]


def sorted_rows(batches):
    rows = pa.Table.from_batches(batches).combine_chunks()
    order = np.lexsort((rows["mint"].to_pylist(), rows["timestamp"].cast(pa.int64()).to_numpy()))
    return rows.take(pa.array(order))


@settings(max_examples=8)
@given(
    seed=st.integers(0, 2**40),
    speed=st.sampled_from([0.5, 1.0, 10.0, 600.0]),
    cuts=st.lists(st.integers(0, 4 * 3600), min_size=1, max_size=6),
)
def test_its_rows_are_those_of_the_market_however_it_is_asked(seed, speed, cuts):
    market = LiveMarket(seed, births_per_hour=BIRTHS, speed=speed)
    batches = [market.begin(NOW, 1.0)]
    batches += [market.until(NOW + round(cut / speed * 1e6)) for cut in sorted(cuts)]
    got = sorted_rows(batches)
    want, seconds = expected(seed, 3600 + max(cuts))
    assert got.num_rows == want.num_rows
    for name in ("mint", *COINS.columns):
        assert got[name].combine_chunks().equals(want.column(name)), name
    assert np.abs(stamps(got) - (NOW + (seconds - 3600) / speed * 1e6)).max(initial=0) <= len(cuts) + 1
    for mint in set(got["mint"].to_pylist()):
        own = stamps(got.filter(pa.compute.equal(got["mint"], mint)))
        assert (np.diff(own) > 0).all()


def test_rows_come_by_time_and_none_before_or_after_its_moment():
    market = LiveMarket(3, births_per_hour=60, speed=10)
    head = market.begin(NOW, 2.0)
    assert (np.diff(stamps(head)) >= 0).all()
    assert stamps(head).max() <= NOW
    assert stamps(head).min() >= NOW - 720_000_000
    later = market.until(NOW + 60_000_000)
    assert (np.diff(stamps(later)) >= 0).all()
    assert stamps(later).min() > NOW
    assert stamps(later).max() <= NOW + 60_000_000
    assert market.until(NOW).num_rows == 0  # a clock set back stops it and does no more


def test_it_can_wait_and_go_on_from_another_moment():
    market = LiveMarket(3, births_per_hour=60, speed=10)
    market.begin(NOW, 2.0)
    assert market.begin(NOW + 30_000_000, 0.0).num_rows == 0
    later = market.until(NOW + 31_000_000)
    assert stamps(later).min() > NOW + 30_000_000
    other = LiveMarket(3, births_per_hour=60, speed=10)
    other.begin(NOW, 2.0)
    assert stamps(other.until(NOW + 1_000_000)).tolist() == (stamps(later) - 30_000_000).tolist()


def test_coins_come_and_go(monkeypatch):
    monkeypatch.setattr(live_market, "MOST_HOURS", 3.0)
    market = LiveMarket(3, births_per_hour=60, speed=10)
    assert market.coins == 0
    market.begin(NOW, 1.0)
    assert 20 < market.coins < 120
    market.until(NOW + 24 * 3600 * 1_000_000)
    assert market.coins == 0  # the market is over
    assert market.until(NOW + 25 * 3600 * 1_000_000).num_rows == 0


@pytest.mark.parametrize("options", [{"speed": 0}, {"speed": -1.0}, {"births_per_hour": 0}, {"speed": float("nan")}])
def test_what_cannot_be_is_refused(options):
    with pytest.raises(SpecError, match="simulate more than 0"):
        LiveMarket(1, **options)
