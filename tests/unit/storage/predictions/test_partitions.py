"""Where a new partition begins and ends."""

from datetime import date, timedelta
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.core.timestamps import DAY_US
from kurswerk.storage.predictions._partitions import Partition, _days_without, _free_period

TODAY = 20_000  # 4 October 2024
DAYS = st.integers(-10_000, 60_000)


def parted(days: list[int], today: int) -> list[Partition]:
    """Create what rows of these days need, one after the other."""
    found: list[Partition] = []
    for day in days:
        if not any(part.start_us <= day * DAY_US < part.until_us for part in found):
            start, until = _free_period(found, day, today)
            found.append(Partition("", start * DAY_US, until * DAY_US))
            found.sort(key=lambda part: part.start_us)
    return found


@given(st.lists(DAYS, max_size=60), st.integers(19_000, 21_000))
def test_every_day_lies_in_one_partition_and_none_overlap(days: list[int], today: int):
    found = parted(days, today)
    for day in days:
        assert sum(part.start_us <= day * DAY_US < part.until_us for part in found) == 1
    for one, following in pairwise(found):
        assert one.start_us < one.until_us <= following.start_us


@given(st.integers(-31, 31))
def test_about_now_each_day_has_its_own(away: int):
    assert _free_period([], TODAY + away, TODAY) == (TODAY + away, TODAY + away + 1)


@given(st.lists(st.integers(TODAY - 20_000, TODAY), max_size=300))
def test_decades_leave_few_partitions(days: list[int]):
    assert len(parted(days, TODAY)) <= 32 + 26 + 56


@given(DAYS)
def test_a_wide_partition_is_a_month_or_a_year(day: int):
    start, until = _free_period([], day, TODAY)
    first, last = (date(1970, 1, 1) + timedelta(edge) for edge in (start, until))
    if until > start + 1:
        assert (first.day, last.day) == (1, 1)
        assert until - start < 32 or (first.month, last.month, last.year - first.year) == (1, 1, 1)


def test_a_gap_is_filled_and_no_more():
    around = [Partition("", 19_600 * DAY_US, 19_605 * DAY_US), Partition("", 19_607 * DAY_US, 19_608 * DAY_US)]
    assert _free_period(around, 19_605, TODAY) == (19_605, 19_607)


def test_days_without_a_partition():
    times = np.array([5 * DAY_US, 6 * DAY_US - 1, 6 * DAY_US, 9 * DAY_US + 7, -1], dtype=np.int64)
    assert _days_without([Partition("", 5 * DAY_US, 6 * DAY_US)], times).tolist() == [-1, 6, 9]
