"""How much there is of one instrument."""

from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from kurswerk.market.calendar import Calendar


@dataclass(frozen=True)
class CoinCoverage:
    """What there is of one coin.

    Attributes
    ----------
    rows
        How many.
    first, last
        The oldest and the newest.
    gaps
        Places where three or more intervals of the coin's phase passed without a row.
    phase
        Of the newest row.
    """

    mint: str
    rows: int
    first: datetime
    last: datetime
    gaps: int
    phase: int | None = None


def missing_sessions(calendar: Calendar, first: date, last: date, bars: int) -> int:
    """Return how many of an exchange's sessions from the first to the last day have no daily bar.

    Parameters
    ----------
    bars
        Daily bars in this time, at most one for each session.

    Raises
    ------
    DataError
        If the calendar does not reach so far.

    Examples
    --------
    >>> from kurswerk.market.calendar import calendar_of
    >>> missing_sessions(calendar_of("XNYS"), date(2018, 1, 2), date(2018, 1, 16), 9)  # two weekends and a holiday
    1
    """
    return max(len(calendar.sessions_between(np.datetime64(first), np.datetime64(last))) - bars, 0)
