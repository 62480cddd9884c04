"""Trading sessions from exchange_calendars, an extra that needs pandas."""

import warnings
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import numpy as np

from kurswerk.core.errors import DataError, InvalidInputError, UnknownNameError
from kurswerk.market.session_table import Sessions

FIRST_DATE = date(1990, 1, 1)
# Exchanges publish holidays a few years ahead at most; what lies beyond follows from rules and may change.
LAST_DATE = date(2030, 12, 31)
# Stock exchanges of the Americas, Europe, Asia and the Pacific, and Africa.
SHIPPED_EXCHANGES = (
    *("BVMF", "XBUE", "XMEX", "XNYS", "XSGO", "XTSE"),
    *("XAMS", "XBRU", "XBUD", "XCSE", "XDUB", "XETR", "XFRA", "XHEL", "XICE", "XIST", "XLIS", "XLON", "XMAD", "XMIL"),
    *("XOSL", "XPAR", "XPRA", "XSTO", "XSWX", "XWAR", "XWBO"),
    *("XASX", "XBKK", "XBOM", "XHKG", "XIDX", "XKLS", "XKRX", "XNZE", "XPHS", "XSES", "XSHG", "XTAI", "XTKS"),
    *("XJSE", "XSAU"),
)


def library_version() -> str:
    """Return what sessions are taken from, with its version.

    Raises
    ------
    InvalidInputError
        If the extra is not installed.
    """
    return f"exchange_calendars {_library().__version__}"


def fetch_sessions(
    exchanges: Sequence[str] = SHIPPED_EXCHANGES, first: date = FIRST_DATE, last: date = LAST_DATE
) -> Iterator[Sessions]:
    """Yield the sessions of each exchange, as far as the library knows them between two dates.

    Parameters
    ----------
    exchanges
        Market identifier codes.
    first, last
        Both included. The library's own limits count where they are narrower, such as 1997 for Tokyo.

    Raises
    ------
    InvalidInputError
        If the extra is not installed, or the dates are reversed.
    UnknownNameError
        If the library has no such exchange.
    DataError
        If the library has no session of an exchange between the dates, or contradicts itself about one.
    """
    if first > last:
        raise InvalidInputError("calendar.dates_reversed", first=first.isoformat(), last=last.isoformat())
    library = _library()
    known = library.get_calendar_names(include_aliases=False)
    for exchange in exchanges:
        if exchange not in known:
            raise UnknownNameError("calendar.unknown_exchange", name=exchange, known=known)
        yield _sessions_of(library, exchange, first, last)


def _sessions_of(library: Any, exchange: str, first: date, last: date) -> Sessions:
    # The class alone knows how far it reaches back and ahead; asking for more than that is an error of the library.
    kind = library.calendar_utils._default_calendar_factories[exchange]  # noqa: SLF001 - there is no public way
    lower, upper = kind.bound_min(), kind.bound_max()
    start = first if lower is None else max(first, lower.date())
    end = last if upper is None else min(last, upper.date())
    if start >= end:
        raise DataError(
            "calendar.source_has_no_sessions", exchange=exchange, first=first.isoformat(), last=last.isoformat()
        )
    try:
        with warnings.catch_warnings():  # about pandas' next version, which concern the library's authors
            warnings.simplefilter("ignore")
            found = library.get_calendar(exchange, start=start.isoformat(), end=end.isoformat())
            schedule = found.schedule
    except ValueError as error:
        raise DataError("calendar.source_failed", exchange=exchange, reason=str(error)[:200]) from error
    return Sessions(
        exchange,
        schedule.index.to_numpy().astype("datetime64[D]"),
        _microseconds(schedule["open"]),
        _microseconds(schedule["close"]),
        np.asarray(schedule.index.isin(found.early_closes), dtype=np.bool_),
    )


def _microseconds(moments: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    # The unit of pandas' timestamps differs between versions; numpy converts from whichever it is.
    return np.asarray(moments.dt.tz_convert(None).to_numpy().astype("datetime64[us]").astype(np.int64))


def _library() -> Any:
    try:
        import exchange_calendars  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise InvalidInputError("calendar.extra_missing") from error
    return exchange_calendars
