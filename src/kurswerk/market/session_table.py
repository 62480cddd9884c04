"""The table of trading sessions: a Parquet file in the package, and one in the data folder that replaces it.

One row group per exchange, in the order of ``exchanges`` in the file's metadata: the session's date, open and close in
UTC, and whether it is a half day. `tools/session_table.py` writes the file of the package, ``kurswerk calendar update``
the one in the data folder; both take the sessions from exchange_calendars.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import DataError, DataFileError
from kurswerk.core.timestamps import DAY_US

Int = NDArray[np.int64]
Dates = NDArray[np.datetime64]

SHIPPED_TABLE = Path(__file__).with_name("sessions.parquet")
_METADATA_KEY = b"kurswerk"


@dataclass(frozen=True, eq=False)
class Sessions:
    """Trading sessions of one exchange, in order.

    A session reaches from its open to its close; breaks within it, such as a lunch break, are part of it.

    Attributes
    ----------
    exchange
        Market identifier code (ISO 10383), such as ``XNYS``.
    dates
        Local dates, ``datetime64[D]``, shape (n,).
    opens_us, closes_us
        Microseconds UTC, shape (n,).
    half_days
        Whether the session closes early, shape (n,).

    Raises
    ------
    DataError
        If there is no session, lengths differ, or a session does not lie after the one before it.
    """

    exchange: str
    dates: Dates
    opens_us: Int
    closes_us: Int
    half_days: NDArray[np.bool_]

    def __post_init__(self) -> None:
        lengths = {len(self.dates), len(self.opens_us), len(self.closes_us), len(self.half_days)}
        if len(lengths) != 1 or lengths == {0}:
            raise DataError("calendar.sessions_incomplete", exchange=self.exchange)
        overlapping = self.opens_us >= self.closes_us
        overlapping[1:] |= (self.opens_us[1:] < self.closes_us[:-1]) | (self.dates[1:] <= self.dates[:-1])
        if overlapping.any():
            first = str(self.dates[int(np.argmax(overlapping))])
            raise DataError("calendar.sessions_overlap", exchange=self.exchange, date=first)

    def __len__(self) -> int:
        return len(self.dates)


@dataclass(frozen=True)
class TableSummary:
    """What a file of sessions holds: where its rows come from, and its exchanges in the order of its row groups."""

    path: Path
    source: str
    exchanges: tuple[str, ...]


def write_session_table(path: Path, sessions: Iterable[Sessions], source: str) -> None:
    """Write a table of sessions; the file appears whole or not at all.

    Parameters
    ----------
    path
        The file; its folder is made where it is missing.
    sessions
        Of each exchange; sorted by exchange in the file.
    source
        What they were taken from, with its version.
    """
    import pyarrow as pa  # noqa: PLC0415 - most processes never read or write the file
    import pyarrow.parquet as pq  # noqa: PLC0415 - see above

    ordered = sorted(sessions, key=lambda one: one.exchange)
    note = json.dumps({"source": source, "exchanges": [one.exchange for one in ordered]})
    moment = pa.timestamp("us", "UTC")
    fields = [("session", pa.date32()), ("open", moment), ("close", moment), ("half_day", pa.bool_())]
    schema = pa.schema([("exchange", pa.string()), *fields], metadata={_METADATA_KEY: note.encode()})
    encoding = dict.fromkeys(("session", "open", "close"), "DELTA_BINARY_PACKED")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with pq.ParquetWriter(
        part, schema, compression="zstd", compression_level=19, use_dictionary=["exchange"], column_encoding=encoding
    ) as writer:
        for one in ordered:
            columns = [
                pa.array([one.exchange] * len(one)),
                pa.array(one.dates),
                pa.array(one.opens_us, moment),
                pa.array(one.closes_us, moment),
                pa.array(one.half_days),
            ]
            writer.write_table(pa.table(columns, schema=schema))
    part.replace(path)


def summarize_table(path: Path) -> TableSummary:
    """Return what a file of sessions holds.

    Raises
    ------
    DataFileError
        If it is no such file.
    """
    import pyarrow as pa  # noqa: PLC0415 - most processes never read or write the file
    import pyarrow.parquet as pq  # noqa: PLC0415 - see above

    try:
        note = json.loads((pq.read_schema(path).metadata or {})[_METADATA_KEY])
        return TableSummary(path, str(note["source"]), tuple(note["exchanges"]))
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise DataFileError("calendar.no_session_table", path=path, reason=str(error)) from error


def read_sessions(path: Path, exchange: str) -> Sessions | None:
    """Return the sessions of an exchange in a file; None where it has none.

    Raises
    ------
    DataFileError
        If it is no file of sessions.
    """
    return _read(path, path.stat().st_mtime_ns if path.is_file() else 0, exchange)


@lru_cache(maxsize=256)
def _read(path: Path, _changed_ns: int, exchange: str) -> Sessions | None:
    """Read one row group, once for each state of the file."""
    import pyarrow as pa  # noqa: PLC0415 - most processes never read or write the file
    import pyarrow.parquet as pq  # noqa: PLC0415 - see above

    summary = summarize_table(path)
    if exchange not in summary.exchanges:
        return None
    try:
        with pq.ParquetFile(path) as file:
            rows = file.read_row_group(summary.exchanges.index(exchange))
        return Sessions(
            exchange,
            rows["session"].to_numpy().astype("datetime64[D]"),
            rows["open"].cast(pa.int64()).to_numpy(),
            rows["close"].cast(pa.int64()).to_numpy(),
            rows["half_day"].to_numpy(),
        )
    except (OSError, pa.ArrowException, KeyError) as error:
        raise DataFileError("calendar.no_session_table", path=path, reason=str(error)) from error


def changed_sessions(old: Sessions, new: Sessions) -> Dates:
    """Return the dates that both tables reach and on which they differ: another close, or a session that one lacks.

    Examples
    --------
    >>> day = np.array(["2024-07-01", "2024-07-02", "2024-07-03"], dtype="datetime64[D]")
    >>> opens = day.astype("datetime64[us]").astype(np.int64)
    >>> whole = Sessions("XNYS", day, opens, opens + 1, np.zeros(3, dtype=np.bool_))
    >>> part = Sessions("XNYS", day[::2], opens[::2], opens[::2] + 1, np.zeros(2, dtype=np.bool_))
    >>> changed_sessions(whole, part).tolist()
    [datetime.date(2024, 7, 2)]
    """
    start, end = max(old.dates[0], new.dates[0]), min(old.dates[-1], new.dates[-1])
    closes = [dict(zip(one.dates.tolist(), one.closes_us.tolist(), strict=True)) for one in (old, new)]
    differing = [date for date in closes[0].keys() | closes[1].keys() if closes[0].get(date) != closes[1].get(date)]
    dates: Dates = np.array(sorted(differing), dtype="datetime64[D]")
    within: Dates = dates[(dates >= start) & (dates <= end)]
    return within


def daily_sessions(exchange: str, first: str, end: str) -> Sessions:
    """Return a session for every day from midnight to midnight UTC, the end not included.

    Examples
    --------
    >>> days = daily_sessions("24/7", "2024-01-01", "2024-01-03")
    >>> days.closes_us.astype("datetime64[us]").astype(str).tolist()
    ['2024-01-02T00:00:00.000000', '2024-01-03T00:00:00.000000']
    """
    dates = np.arange(np.datetime64(first), np.datetime64(end), dtype="datetime64[D]")
    opens = dates.astype("datetime64[us]").astype(np.int64)
    return Sessions(exchange, dates, opens, opens + DAY_US, np.zeros(len(dates), dtype=np.bool_))
