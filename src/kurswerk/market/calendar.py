"""Trading calendars: which session a moment belongs to, and when the n-th session after it closes.

A moment belongs to the first session that has not closed before it: a daily bar at the close belongs to the session
that closes then, so does every bar inside it, and a row outside trading hours belongs to the session that it leads up
to. The same holds for rows that carry the session's date at midnight UTC instead of its close. *n* sessions later is
the close of the n-th session after that one.

Sessions come from the table that ships with the package (`session_table`), from 1990 on where exchange_calendars
reaches that far back; a moment beyond the table is an error. ``24/7`` has a session for every day UTC.
"""

from datetime import date
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kurswerk.core.errors import DataError, SpecError, UnknownNameError
from kurswerk.core.timestamps import to_datetime
from kurswerk.market.session_table import SHIPPED_TABLE, Sessions, daily_sessions, read_sessions, summarize_table

Int = NDArray[np.int64]
Dates = NDArray[np.datetime64]
Day = date | np.datetime64

# Every day from midnight to midnight UTC: what coins trade by.
ALWAYS_OPEN = "24/7"
# Exchanges that keep the sessions of another one, and names in use beside the market identifier code.
ALIASES = dict.fromkeys(("XNAS", "ARCX", "XASE", "BATS", "IEXG", "NYSE", "NASDAQ"), "XNYS") | {
    "XETRA": "XETR",
    "LSE": "XLON",
    "JPX": "XTKS",
    "HKEX": "XHKG",
    "KRX": "XKRX",
}
MAX_HORIZON_SESSIONS = 2_600
# The table in the data folder, if this process was given one; it is asked before the one of the package.
_updated_table: Path | None = None


class Calendar:
    """The trading sessions of an exchange, and questions about them.

    Examples
    --------
    >>> nyse = calendar_of("XNYS")
    >>> friday = nyse.closes(["2024-03-08"])  # the last before clocks changed
    >>> [str(to_datetime(int(moment))) for moment in (*friday, *nyse.deadlines(friday, 1))]
    ['2024-03-08 21:00:00+00:00', '2024-03-11 20:00:00+00:00']
    """

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions

    @property
    def exchange(self) -> str:
        """Market identifier code of the exchange whose sessions these are."""
        return self.sessions.exchange

    def closes(self, dates: ArrayLike) -> Int:
        """Return when the sessions of some dates close.

        Parameters
        ----------
        dates
            Local dates of sessions, ``datetime64[D]`` or what numpy reads as such; shape (n,).

        Returns
        -------
        ndarray
            Microseconds UTC, int64, shape (n,).

        Raises
        ------
        DataError
            If a date is no session of the exchange, or lies beyond the table.
        """
        wanted = np.asarray(dates, dtype="datetime64[D]")
        table = self.sessions.dates
        if wanted.size == 0:
            return np.zeros(wanted.shape, dtype=np.int64)
        for outside in (wanted[wanted < table[0]], wanted[wanted > table[-1]]):
            if outside.size:
                raise self._beyond(str(outside.flat[0]))
        found = np.searchsorted(table, wanted)
        missing = table[found] != wanted
        if missing.any():
            first = wanted[missing].flat[0]
            raise DataError(
                "calendar.no_session",
                count=int(missing.sum()),
                exchange=self.exchange,
                date=str(first),
                previous=str(self.previous_session(first)),
                following=str(self.next_session(first)),
            )
        return self.sessions.closes_us[found]

    def session_index(self, timestamps: Int) -> Int:
        """Return the number of the session that each moment belongs to: the first one that closes at or after it.

        Parameters
        ----------
        timestamps
            Microseconds UTC, shape (n,), in any order.

        Raises
        ------
        DataError
            If a moment lies beyond the table.
        """
        times = np.asarray(timestamps, dtype=np.int64)
        found = np.searchsorted(self.sessions.closes_us, times, side="left")
        first_us = min(int(self.sessions.opens_us[0]), int(self.sessions.dates[0].astype("datetime64[us]").astype(int)))
        self._refuse_beyond(times, (times < first_us) | (found == len(self.sessions)))
        return np.asarray(found, dtype=np.int64)

    def deadlines(self, timestamps: Int, horizon_sessions: int) -> Int:
        """Return for each moment the close of the n-th session after the one that it belongs to.

        Parameters
        ----------
        timestamps
            Microseconds UTC, shape (n,), in any order.
        horizon_sessions
            How many sessions later, from 0 on; 0 is the close of the moment's own session.

        Returns
        -------
        ndarray
            Microseconds UTC, int64, shape (n,); never before the moment, and never earlier for a later one.

        Raises
        ------
        SpecError
            If the number is negative.
        DataError
            If a moment or its deadline lies beyond the table.
        """
        if horizon_sessions < 0:
            raise SpecError("calendar.negative_sessions", sessions=horizon_sessions)
        reached = self.session_index(timestamps) + horizon_sessions
        self._refuse_beyond(np.asarray(timestamps, dtype=np.int64), reached >= len(self.sessions))
        return self.sessions.closes_us[reached]

    def latest_with_deadline(self, moment_us: int, horizon_sessions: int) -> int | None:
        """Return the last moment whose deadline has come by now: the close of the session n before the last closed one.

        None where the table does not reach back that far.
        """
        closed = int(np.searchsorted(self.sessions.closes_us, moment_us, side="right")) - 1 - horizon_sessions
        return int(self.sessions.closes_us[closed]) if closed >= 0 else None

    def next_session(self, day: Day) -> date:
        """Return the first session after a date.

        Raises
        ------
        DataError
            If it lies beyond the table.
        """
        place = int(np.searchsorted(self.sessions.dates, _as_day(day), side="right"))
        if place == len(self.sessions):
            raise self._beyond(str(day))
        return _as_date(self.sessions.dates[place])

    def previous_session(self, day: Day) -> date:
        """Return the last session before a date; DataError if it lies beyond the table."""
        place = int(np.searchsorted(self.sessions.dates, _as_day(day), side="left")) - 1
        if place < 0:
            raise self._beyond(str(day))
        return _as_date(self.sessions.dates[place])

    def sessions_between(self, start: date | np.datetime64, end: Day) -> Dates:
        """Return the dates of the sessions from one date to another, both included; empty if the end comes first.

        Raises
        ------
        DataError
            If either date lies beyond the table.
        """
        first, last = _as_day(start), _as_day(end)
        dates = self.sessions.dates
        for day in (first, last):
            if not dates[0] <= day <= dates[-1]:
                raise self._beyond(str(day))
        return dates[np.searchsorted(dates, first) : np.searchsorted(dates, last, side="right")]

    def _refuse_beyond(self, times: Int, beyond: NDArray[np.bool_]) -> None:
        if np.any(beyond):
            raise self._beyond(to_datetime(int(times[beyond].flat[0])).date().isoformat())

    def _beyond(self, day: str) -> DataError:
        first, last = str(self.sessions.dates[0]), str(self.sessions.dates[-1])
        return DataError("calendar.beyond_table", exchange=self.exchange, date=day, first=first, last=last)


def _as_day(day: Day) -> Dates:
    return np.asarray(day, dtype="datetime64[D]")


def _as_date(day: np.datetime64) -> date:
    found: date = day.astype("datetime64[D]").item()
    return found


def use_session_table(path: Path | None) -> None:
    """Let this process ask a file of sessions before the one of the package; it need not exist yet.

    A change of the file counts from the next question on. None asks the package alone.
    """
    global _updated_table  # noqa: PLW0603 - one per process, set where it starts
    _updated_table = path


def session_tables() -> tuple[Path, ...]:
    """Return the files of sessions that there are, in the order in which they are asked."""
    updated = (_updated_table,) if _updated_table is not None and _updated_table.is_file() else ()
    return (*updated, SHIPPED_TABLE)


def exchanges() -> tuple[str, ...]:
    """Return the exchanges whose sessions are known, without aliases."""
    known = {exchange for path in session_tables() for exchange in summarize_table(path).exchanges}
    return (ALWAYS_OPEN, *sorted(known))


def canonical_exchange(exchange: str) -> str:
    """Return the exchange whose sessions a name stands for.

    Raises
    ------
    UnknownNameError
        If there are none of that name; with the nearest.

    Examples
    --------
    >>> canonical_exchange("XNAS")
    'XNYS'
    """
    name = ALIASES.get(exchange, exchange)
    known = exchanges()
    if name not in known:
        raise UnknownNameError("calendar.unknown_exchange", name=exchange, known=(*known, *ALIASES))
    return name


def calendar_of(exchange: str) -> Calendar:
    """Return the calendar of an exchange.

    Parameters
    ----------
    exchange
        Market identifier code such as ``XNYS``, an alias such as ``XNAS``, or ``24/7``.

    Raises
    ------
    UnknownNameError
        If there is none of that name; with the nearest.
    DataFileError
        If the table in the data folder cannot be read.
    """
    name = ALIASES.get(exchange, exchange)
    if name == ALWAYS_OPEN:
        return _always_open()
    for path in session_tables():
        found = read_sessions(path, name)
        if found is not None:
            return Calendar(found)
    raise UnknownNameError("calendar.unknown_exchange", name=exchange, known=(*exchanges(), *ALIASES))


@lru_cache(maxsize=1)
def _always_open() -> Calendar:
    # As far as timestamps of market data may reach (`validation`), with a day before the first.
    return Calendar(daily_sessions(ALWAYS_OPEN, "1969-12-31", "2262-01-01"))


def session_closes(exchange: str, dates: ArrayLike) -> Int:
    """Return when the sessions of an exchange on some dates close; as `Calendar.closes`.

    Examples
    --------
    >>> closes = session_closes("XNYS", ["2018-07-03", "2018-07-05"])  # the day before Independence Day is a half day
    >>> [str(to_datetime(int(close)).time()) for close in closes]
    ['17:00:00', '20:00:00']
    """
    return calendar_of(exchange).closes(dates)
