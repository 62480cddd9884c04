"""The table of trading sessions of an installation: which file is asked, and how it is brought up to date."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from kurswerk.core.errors import UnknownNameError
from kurswerk.market.calendar import ALWAYS_OPEN, calendar_of, canonical_exchange, session_tables, use_session_table
from kurswerk.market.session_table import (
    Sessions,
    changed_sessions,
    read_sessions,
    summarize_table,
    write_session_table,
)
from kurswerk.sources.exchange_sessions import FIRST_DATE, LAST_DATE, SHIPPED_EXCHANGES, fetch_sessions, library_version

# A horizon of a year, from the last row of the year after the next, lies within the table.
_YEARS_AHEAD = 4


@dataclass(frozen=True)
class KnownSessions:
    """What is known of one exchange.

    Attributes
    ----------
    source, path
        What its sessions were taken from, and the file that they are read from.
    changed
        After an update, the dates on which the table differs from the one before, as far as both reach.
    """

    exchange: str
    first: date
    last: date
    sessions: int
    half_days: int
    source: str
    path: Path | None
    changed: tuple[date, ...] = ()


def session_table_of(data_dir: Path) -> Path:
    """Return where an installation keeps sessions that are newer than the package's."""
    return data_dir / "calendar" / "sessions.parquet"


def use_sessions_of(data_dir: Path) -> None:
    """Let this process ask the installation's table before the one of the package."""
    use_session_table(session_table_of(data_dir))


def known_sessions() -> list[KnownSessions]:
    """Return every exchange, read from the first table that has it."""
    found = {ALWAYS_OPEN: _summary(calendar_of(ALWAYS_OPEN).sessions, "every day UTC", None)}
    for path in reversed(session_tables()):
        table = summarize_table(path)
        for exchange in table.exchanges:
            sessions = read_sessions(path, exchange)
            if sessions is not None:
                found[exchange] = _summary(sessions, table.source, path)
    return [found[name] for name in sorted(found)]


def update_sessions(
    data_dir: Path, exchanges: Sequence[str] = (), first: date | None = None, last: date | None = None
) -> list[KnownSessions]:
    """Take the sessions of exchanges from the installed exchange_calendars into the installation's table.

    Parameters
    ----------
    exchanges
        Names that `canonical_exchange` knows, or that exchange_calendars does; none means those of the package and
        those in the table already. The others in the table stay as they are.
    first, last
        From 1990 to the end of the fourth year from now where they are not given.

    Returns
    -------
    list of KnownSessions
        Of each exchange that was updated.

    Raises
    ------
    InvalidInputError, DataError
        As `fetch_sessions`; then the table is as before.
    """
    path = session_table_of(data_dir)
    there = summarize_table(path).exchanges if path.is_file() else ()
    chosen = [_name(exchange) for exchange in exchanges] or sorted({*SHIPPED_EXCHANGES, *there})
    end = last or max(LAST_DATE, date(datetime.now(UTC).year + _YEARS_AHEAD, 12, 31))
    fetched = list(fetch_sessions(list(dict.fromkeys(chosen)), first or FIRST_DATE, end))
    before = {one.exchange: _present(one.exchange) for one in fetched}
    kept = [sessions for name in there if name not in before and (sessions := read_sessions(path, name)) is not None]
    source = library_version()
    write_session_table(path, [*kept, *fetched], source)
    return [_summary(one, source, path, before[one.exchange]) for one in fetched]


def _name(exchange: str) -> str:
    try:
        return canonical_exchange(exchange)
    except UnknownNameError:
        return exchange  # perhaps one that the library has and the package has not


def _present(exchange: str) -> Sessions | None:
    """Return the sessions that are asked now."""
    found = (read_sessions(path, exchange) for path in session_tables())
    return next((sessions for sessions in found if sessions is not None), None)


def _summary(sessions: Sessions, source: str, path: Path | None, before: Sessions | None = None) -> KnownSessions:
    changed = () if before is None else tuple(changed_sessions(before, sessions).tolist())
    return KnownSessions(
        sessions.exchange,
        sessions.dates[0].item(),
        sessions.dates[-1].item(),
        len(sessions),
        int(np.count_nonzero(sessions.half_days)),
        source,
        path,
        changed,
    )
