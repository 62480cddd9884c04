"""Up to which moment the label of each row looks: the one place that adds a horizon to a timestamp."""

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import DataError, SpecError
from kurswerk.core.timestamps import MINUTE_US
from kurswerk.labels._spec import LabelSpec
from kurswerk.market import Panel
from kurswerk.market.calendar import Calendar, calendar_of

Int = NDArray[np.int64]

_LEAST_EMBARGO_US = MINUTE_US


def deadlines(panel: Panel, spec: LabelSpec) -> Int | None:
    """Return the moment up to which each row's label looks; None where labels look at the next row.

    A horizon in minutes ends so much time after the row. One of n sessions ends with the close of the n-th session
    after the one that the row belongs to, by the calendar of the row's instrument: the exchange that the panel states,
    else the label's ``calendar``. All bars of a session therefore share a deadline (`kurswerk.market.calendar`).

    Returns
    -------
    ndarray or None
        Microseconds UTC, int64, shape (n_rows,); never before the row's own time, ascending within an instrument.

    Raises
    ------
    SpecError
        If the horizon is in sessions, and neither panel nor label states an instrument's exchange.
    UnknownNameError, DataError
        If an exchange is unknown, or a deadline lies beyond the table of sessions.
    """
    if spec.sessions is not None:
        return _after_sessions(panel, panel.timestamps, spec, spec.sessions)
    return None if spec.horizon_us is None else panel.timestamps + spec.horizon_us


def embargoes(panel: Panel, end_us: Int, spec: LabelSpec) -> Int:
    """Return how far the label of each row must stay from a test part: the horizon once more, at least a minute.

    Parameters
    ----------
    panel, spec
        As in `deadlines`.
    end_us
        Moment up to which each row's label looks, microseconds UTC, shape (n_rows,).

    Returns
    -------
    ndarray
        Microseconds, int64, shape (n_rows,); read-only.
    """
    if spec.sessions is not None:
        return _after_sessions(panel, end_us, spec, spec.sessions) - end_us
    embargo_us = max(int((spec.minutes or 0) * MINUTE_US), _LEAST_EMBARGO_US)
    return np.broadcast_to(np.int64(embargo_us), end_us.shape)


def latest_deadline(moment_us: int, spec: LabelSpec, exchanges: tuple[str, ...] = ()) -> int | None:
    """Return the latest moment up to which the label of a row at a moment looks, whatever its instrument's exchange.

    None where that is not known: beyond the table of sessions, or without any exchange.

    Parameters
    ----------
    moment_us
        Microseconds UTC.
    exchanges
        Of the instruments in question, where they state any.
    """
    if spec.sessions is None:
        return moment_us + (spec.horizon_us or 0)
    times = np.array([moment_us], dtype=np.int64)
    try:
        return max((int(one.deadlines(times, spec.sessions)[0]) for one in _calendars(spec, exchanges)), default=None)
    except DataError:
        return None


def latest_due(now_us: int, spec: LabelSpec, exchanges: tuple[str, ...] = ()) -> int | None:
    """Return the last moment whose deadline has come by now on every exchange; None where that is not known.

    Rows up to it can have an outcome by now, as far as the calendar is concerned.
    """
    if spec.sessions is None:
        return now_us - (spec.horizon_us or 0)
    found = [one.latest_with_deadline(now_us, spec.sessions) for one in _calendars(spec, exchanges)]
    known = [moment for moment in found if moment is not None]
    return min(known, default=None) if len(known) == len(found) else None


def _calendars(spec: LabelSpec, exchanges: tuple[str, ...]) -> list[Calendar]:
    return [calendar_of(name) for name in sorted({name for name in (*exchanges, spec.calendar) if name})]


def _after_sessions(panel: Panel, moments: Int, spec: LabelSpec, sessions: int) -> Int:
    """Return the close of the n-th session after each row's moment, by the calendar of its instrument."""
    found = np.empty(len(moments), dtype=np.int64)
    for name, rows in _rows_by_exchange(panel, spec):
        found[rows] = calendar_of(name).deadlines(moments[rows], sessions)
    return found


def _rows_by_exchange(panel: Panel, spec: LabelSpec) -> list[tuple[str, slice | Int]]:
    """Return each exchange with the rows of its instruments; one of all rows is a slice, which copies nothing."""
    own = panel.exchanges or ("",) * len(panel.instruments)
    stated = [exchange or spec.calendar for exchange in own]
    for instrument, exchange in zip(panel.instruments, stated, strict=True):
        if not exchange:
            raise SpecError("label.no_calendar", instrument=instrument)
    names = sorted({exchange for exchange in stated if exchange})
    if len(names) == 1:
        return [(names[0], slice(None))]
    number = {name: k for k, name in enumerate(names)}
    of_row = np.array([number[exchange] for exchange in stated if exchange], dtype=np.int64)[panel.codes]
    return [(name, np.flatnonzero(of_row == k)) for k, name in enumerate(names)]
