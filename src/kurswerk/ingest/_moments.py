"""Cells of any type to moments in microseconds UTC."""

import re
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kurswerk.core.errors import DataFileError
from kurswerk.core.jit import kernel
from kurswerk.core.timestamps import DAY_US, to_us
from kurswerk.ingest._cells import MISSING_WORDS, is_text, plain
from kurswerk.market.calendar import Calendar
from kurswerk.market.validation import END_MOMENT_US, FIRST_MOMENT_US, Violation

Int = NDArray[np.int64]
Moments = tuple[Int, NDArray[np.uint8]]

_OUTSIDE = -1  # before the first moment there is
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_DIGITS = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?", re.ASCII)
_YEAR_FIRST = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})(.*)", re.ASCII)


def read_moments(cells: pa.Array, column: str, *, date_format: str | None = None) -> Moments:
    """Read cells as moments.

    Timestamps and dates of Arrow; numbers as seconds, milli-, micro- or nanoseconds since 1970, distinguished by their
    magnitude (11, 14 and 17 digits begin the next unit; eight digits that form a date are ``yyyymmdd``); text as ISO
    8601, as such a number, or by ``date_format`` alone if that is given. What has no offset is UTC. A date with slashes
    and the year last is unreadable without ``date_format``: day and month cannot be distinguished.

    Returns
    -------
    moments, violations
        Microseconds since 1970 UTC, and the `Violation` of the time, if any.

    Raises
    ------
    DataFileError
        If the column's type cannot hold moments at all.
    """
    cells = plain(cells)
    kind = cells.type
    if is_text(kind):
        moments, violations = _from_formatted(cells, date_format) if date_format else _from_text(cells)
    elif pa.types.is_timestamp(kind):
        moments, violations = _scaled(cells, 1_000_000, _PER_SECOND[kind.unit])
    elif pa.types.is_date32(kind):
        moments, violations = _scaled(cells.cast(pa.int32()), DAY_US, 1)
    elif pa.types.is_date64(kind):
        moments, violations = _scaled(cells, 1_000, 1)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        moments, violations = _from_numbers(cells)
    elif pa.types.is_null(kind):
        moments, violations = _scaled(cells.cast(pa.int64()), 1, 1)
    else:
        raise DataFileError("file.column_not_temporal", column=column, kind=kind)
    outside = (violations == Violation.NONE) & ((moments < FIRST_MOMENT_US) | (moments >= END_MOMENT_US))
    violations[outside] = Violation.TIME_OUT_OF_RANGE
    return moments, violations


def to_session_closes(moments: Int, violations: NDArray[np.uint8], calendar: Calendar) -> Moments:
    """Turn dates (midnight UTC) into the closes of their sessions; a moment with a time of day stays as it is.

    Parameters
    ----------
    moments, violations
        As from `read_moments`, shape (n_rows,).
    calendar
        The exchange whose sessions the dates are.

    Returns
    -------
    moments, violations
        With ``NO_SESSION`` for dates on which the exchange is closed, or of which the calendar knows nothing.
    """
    dates = (moments % DAY_US == 0) & (violations == Violation.NONE)
    days = (moments // DAY_US).astype("datetime64[D]")
    sessions = calendar.sessions
    place = np.minimum(np.searchsorted(sessions.dates, days), len(sessions.dates) - 1)
    found = sessions.dates[place] == days
    closed = np.where(dates & ~found, np.uint8(Violation.NO_SESSION), violations).astype(np.uint8)
    return np.where(dates & found, sessions.closes_us[place], moments), closed


def _integers(cells: pa.Array) -> Moments:
    violations = cells.is_null().to_numpy(zero_copy_only=False).astype(np.uint8) * np.uint8(Violation.TIME_MISSING)
    if cells.null_count:
        cells = cells.cast(pa.int64()).fill_null(0)
    return cells.cast(pa.int64()).to_numpy(zero_copy_only=False), violations


def _scaled(cells: pa.Array, factor: int, divisor: int) -> Moments:
    """Multiply whole numbers by factor / divisor, rounding down; what does not fit becomes a moment before 1970."""
    raw, violations = _integers(cells)
    if factor >= divisor:
        times = factor // divisor
        limit = END_MOMENT_US // times
        return np.where(np.abs(raw) <= limit, raw * np.int64(times), _OUTSIDE).astype(np.int64), violations
    return raw // np.int64(divisor // factor), violations


def _from_numbers(cells: pa.Array) -> Moments:
    if not pa.types.is_floating(cells.type):
        try:
            raw, violations = _integers(cells)
            return from_epochs(raw), violations
        except pa.ArrowInvalid:  # past int64, or decimals with a fraction
            pass
    cells = cells.cast(pa.float64(), safe=False)
    values = cells.fill_null(0.0).to_numpy(zero_copy_only=False)
    violations = cells.is_null().to_numpy(zero_copy_only=False).astype(np.uint8) * np.uint8(Violation.TIME_MISSING)
    violations[~np.isfinite(values)] = Violation.TIME_UNREADABLE
    return from_fractional_epochs(values), violations


@kernel
def from_epochs(raw: Int) -> Int:
    """Turn whole seconds, milli-, micro- or nanoseconds since 1970 into microseconds; before 1970 is -1."""
    moments = np.empty(len(raw), dtype=np.int64)
    for i in range(len(raw)):
        value = raw[i]
        if value < 0:
            moments[i] = -1
        elif value < 100_000_000_000:
            year, month, day = value // 10_000, value // 100 % 100, value % 100
            date = 1970 <= year <= 2261 and 1 <= month <= 12 and 1 <= day <= _days_in(year, month)
            moments[i] = _days_to(year, month, day) * 86_400_000_000 if date else value * 1_000_000
        elif value < 100_000_000_000_000:
            moments[i] = value * 1_000
        elif value < 100_000_000_000_000_000:
            moments[i] = value
        else:
            moments[i] = value // 1_000
    return moments


@kernel
def _days_to(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 in the Gregorian calendar (H. Hinnant, "chrono-compatible low-level date algorithms")."""
    y = year - 1 if month <= 2 else year
    era = y // 400
    of_era = y - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


@kernel
def _days_in(year: int, month: int) -> int:
    """Days of a month."""
    following = _days_to(year + 1, 1, 1) if month == 12 else _days_to(year, month + 1, 1)
    return following - _days_to(year, month, 1)


@kernel
def from_fractional_epochs(raw: NDArray[np.float64]) -> Int:
    """Turn numbers with a fraction into microseconds, unit by magnitude; NaN, ±inf and before 1970 are -1."""
    moments = np.empty(len(raw), dtype=np.int64)
    for i in range(len(raw)):
        value = raw[i]
        if not (0.0 <= value < 9.2e18):
            moments[i] = -1
        elif value < 1e11:
            moments[i] = np.int64(np.rint(value * 1e6))
        elif value < 1e14:
            moments[i] = np.int64(np.rint(value * 1e3))
        elif value < 1e17:
            moments[i] = np.int64(np.rint(value))
        else:
            moments[i] = np.int64(np.floor(value / 1e3))
    return moments


def _from_formatted(cells: pa.Array, date_format: str) -> Moments:
    parsed = pc.strptime(cells, format=date_format, unit="us", error_is_null=True)
    moments, violations = _integers(parsed)
    for i in np.flatnonzero(violations):
        text = cells[i].as_py()
        if text is not None and text.strip().lower() not in MISSING_WORDS:
            violations[i] = Violation.TIME_UNREADABLE
    return moments, violations


def _from_text(cells: pa.Array) -> Moments:
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return _integers(cells.cast(kind))
        except pa.ArrowInvalid:
            continue
    moments = np.zeros(len(cells), dtype=np.int64)
    violations = np.zeros(len(cells), dtype=np.uint8)
    for i, text in enumerate(cells.to_pylist()):
        word = "" if text is None else text.strip()
        if word.lower() in MISSING_WORDS:
            violations[i] = Violation.TIME_MISSING
        elif _DIGITS.fullmatch(word):
            moments[i] = _epoch_in(word)
        else:
            moment = _moment_in(word)
            moments[i], violations[i] = (0, Violation.TIME_UNREADABLE) if moment is None else (moment, Violation.NONE)
    return moments, violations


def _epoch_in(word: str) -> int:
    if word.lstrip("+-").isdigit():
        value = int(word)
        return int(from_epochs(np.array([value], dtype=np.int64))[0]) if abs(value) < 2**63 else _OUTSIDE
    return int(from_fractional_epochs(np.array([float(word)]))[0])


def _moment_in(word: str) -> int | None:
    match = _YEAR_FIRST.fullmatch(word)
    if match:
        year, month, day, rest = match.groups()
        word = f"{year}-{int(month):02}-{int(day):02}{rest}"
    try:
        return to_us(datetime.fromisoformat(word))
    except (ValueError, OverflowError):
        return None
