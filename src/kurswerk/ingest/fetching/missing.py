"""Which bars there should be, and which of them are missing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.timestamps import MICROSECONDS
from kurswerk.market import INTERVALS
from kurswerk.market.calendar import Calendar

Int = NDArray[np.int64]
Dates = NDArray[np.datetime64]


@dataclass(frozen=True, eq=False)
class ExpectedBars:
    """The bars of some sessions: by when each ends, and the session that it belongs to.

    Attributes
    ----------
    ends_us
        Microseconds UTC, shape (n,), ascending.
    days
        Local date of the session, ``datetime64[D]``, shape (n,).
    """

    ends_us: Int
    days: Dates


def expected_bars(calendar: Calendar, first: np.datetime64, last: np.datetime64, interval: str) -> ExpectedBars:
    """Return the bars of all sessions between two days, both included; the last bar of a session ends with it.

    Raises
    ------
    DataError
        If a day lies beyond the calendar.
    """
    days = calendar.sessions_between(first, last)
    places = np.searchsorted(calendar.sessions.dates, days)
    opens, closes = calendar.sessions.opens_us[places], calendar.sessions.closes_us[places]
    step = INTERVALS[interval] * MICROSECONDS
    if interval == "1d":
        return ExpectedBars(closes, days)
    counts = -((opens - closes) // step)
    which = np.repeat(np.arange(len(days)), counts)
    number = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    ends = np.minimum(opens[which] + (number + 1) * step, closes[which])
    return ExpectedBars(ends.astype(np.int64), days[which])


def bar_ends(calendar: Calendar, starts: NDArray[np.datetime64], interval: str) -> tuple[Int, NDArray[np.bool_]]:
    """Return when bars end, and which of them lie in a session at all; the others have no meaningful end.

    Parameters
    ----------
    starts
        ``datetime64[us]``: the local day of daily bars, the moment UTC at which shorter ones begin; shape (n,).
    """
    sessions = calendar.sessions
    if interval == "1d":
        days = starts.astype("datetime64[D]")
        place = np.minimum(np.searchsorted(sessions.dates, days), len(sessions) - 1)
        return sessions.closes_us[place], sessions.dates[place] == days
    begins = starts.astype("datetime64[us]").astype(np.int64)
    place = np.minimum(np.searchsorted(sessions.closes_us, begins, side="right"), len(sessions) - 1)
    inside = (begins >= sessions.opens_us[place]) & (begins < sessions.closes_us[place])
    step = INTERVALS[interval] * MICROSECONDS
    # Only bars of the session's own grid: a bar that overlaps two of them is none.
    inside &= (begins - sessions.opens_us[place]) % step == 0
    return np.minimum(begins + step, sessions.closes_us[place]), inside
