"""Partitions of ``predictions`` by the time of the row, each made when a row first needs it.

``forecasts`` has the same partitions, made and detached together with those of ``predictions``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from kurswerk.core.timestamps import DAY_US

Int = NDArray[np.int64]
_UNBOUNDED = np.iinfo(np.int64)
# Rows about now get a partition for each day. Of other times there are few, such as a file of old candles, and they
# must not leave a partition for each day of decades behind: every query plans all partitions.
_DAYS_APART = 31
_MONTHS_APART = 24
# Bounds as the server writes them: FOR VALUES FROM ('2026-11-26 00:00:00+00') TO (MAXVALUE).
_PARTITIONS = r"""
WITH part AS (
    SELECT c.relname::text AS name, pg_get_expr(c.relpartbound, c.oid) AS bounds
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'predictions'::regclass
), bound AS (
    SELECT name, substring(bounds FROM $re$FROM \('([^']+)'\)$re$)::timestamptz AS start,
        substring(bounds FROM $re$TO \('([^']+)'\)$re$)::timestamptz AS until FROM part
)
SELECT name, (extract(epoch FROM start) * 1000000)::bigint, (extract(epoch FROM until) * 1000000)::bigint
FROM bound ORDER BY start NULLS FIRST"""
_WITHOUT_FORECASTS = """
SELECT c.relname::text, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'predictions'::regclass AND to_regclass(quote_ident('forecasts' || substr(c.relname, 12))) IS NULL
ORDER BY 1"""
_COLUMNS = "INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING INDEXES"
# Beside writers: it conflicts with itself and with what changes the table alone.
_LOCK = "LOCK TABLE ONLY predictions IN SHARE UPDATE EXCLUSIVE MODE"


@dataclass(frozen=True)
class Partition:
    """A partition and its rows' timestamps: microseconds UTC from ``start_us`` to before ``until_us``."""

    name: str
    start_us: int
    until_us: int


def prediction_partitions(connection: psycopg.Connection) -> list[Partition]:
    """Return the partitions of ``predictions``, earliest first."""
    rows = connection.execute(_PARTITIONS.encode()).fetchall()
    return [
        Partition(name, _UNBOUNDED.min if start is None else start, _UNBOUNDED.max if until is None else until)
        for name, start, until in rows
    ]


def create_partitions(connection: psycopg.Connection, timestamps: Int) -> list[Partition]:
    """Create the partitions that rows of these times need and that are not there, in the caller's transaction.

    Of transactions that do it at once one creates them, and the others wait for its end. Writers of rows that have
    their partitions do not wait.

    Parameters
    ----------
    timestamps
        Microseconds UTC, in any order.

    Returns
    -------
    list
        All partitions, earliest first.
    """
    found = prediction_partitions(connection)
    lacking = connection.execute(_WITHOUT_FORECASTS.encode()).fetchone()
    if lacking is None and not len(_days_without(found, timestamps)):
        return found
    connection.execute(_LOCK)
    found = prediction_partitions(connection)
    row = connection.execute("SELECT (extract(epoch FROM now()) * 1000000)::bigint").fetchone()
    now_us = row[0] if row else 0
    for day in _days_without(found, timestamps).tolist():
        if not any(part.start_us <= day * DAY_US < part.until_us for part in found):
            found.append(_create(connection, _free_period(found, day, now_us // DAY_US)))
            found.sort(key=lambda part: part.start_us)
    _add_forecast_partitions(connection)
    return found


class PartitionsOfWriter:
    """The partitions that one writer knows to be there.

    What it knows may be out of date once a partition is detached, or a transaction that created one is rolled back. The
    server then refuses the rows, and `forget` has it look again.
    """

    def __init__(self) -> None:
        self._known: list[Partition] = []

    def require(self, connection: psycopg.Connection, timestamps: Int) -> None:
        """Create what rows of these times need, in the caller's transaction."""
        first, last = int(timestamps.min()), int(timestamps.max())
        if any(part.start_us <= first and last < part.until_us for part in self._known):
            return
        if len(_days_without(self._known, timestamps)):
            self._known = create_partitions(connection, timestamps)

    def forget(self) -> None:
        """Look again the next time."""
        self._known = []


def _days_without(partitions: Sequence[Partition], timestamps: Int) -> Int:
    """Return the days, counted from 1970, of the times that lie in no partition."""
    covered = np.zeros(len(timestamps), dtype=np.bool_)
    for part in partitions:
        covered |= (timestamps >= part.start_us) & (timestamps < part.until_us)
    return np.unique(timestamps[~covered] // DAY_US)


def _free_period(partitions: Sequence[Partition], day: int, today: int) -> tuple[int, int]:
    """Return the days from and until which a new partition reaches: as wide as is due, and as far as there is room."""
    moment = np.datetime64(day, "D")
    months_apart = abs(int((moment.astype("M8[M]") - np.datetime64(today, "D").astype("M8[M]")).astype(np.int64)))
    unit = "D" if abs(day - today) <= _DAYS_APART else "M" if months_apart <= _MONTHS_APART else "Y"
    period = moment.astype(f"M8[{unit}]")
    start, until = (int(edge.astype("M8[D]").astype(np.int64)) for edge in (period, period + 1))
    for part in partitions:
        if part.until_us <= day * DAY_US:
            start = max(start, -(-part.until_us // DAY_US))
        if part.start_us > day * DAY_US:
            until = min(until, part.start_us // DAY_US)
    return start, until


def _create(connection: psycopg.Connection, period: tuple[int, int]) -> Partition:
    start, until = period
    name = f"predictions_{_digits(start)}" + ("" if until == start + 1 else f"_{_digits(until)}")
    # Made by itself and then attached, which lets others read and write; to create it as a partition would not.
    connection.execute(sql.SQL("CREATE TABLE {} (LIKE predictions {})").format(sql.Identifier(name), sql.SQL(_COLUMNS)))
    connection.execute(
        sql.SQL(
            "ALTER TABLE predictions ATTACH PARTITION {} FOR VALUES"
            " FROM (timestamptz 'epoch' + {} * interval '24 hours') TO (timestamptz 'epoch' + {} * interval '24 hours')"
        ).format(sql.Identifier(name), sql.Literal(start), sql.Literal(until))
    )
    return Partition(name, start * DAY_US, until * DAY_US)


def _add_forecast_partitions(connection: psycopg.Connection) -> None:
    """Create the partitions of ``forecasts`` that are lacking, as after those of a service of an earlier version."""
    for name, bounds in connection.execute(_WITHOUT_FORECASTS.encode()).fetchall():
        found = sql.Identifier(forecasts_of(name))
        connection.execute(sql.SQL("CREATE TABLE {} (LIKE forecasts {})").format(found, sql.SQL(_COLUMNS)))
        connection.execute(sql.SQL("ALTER TABLE forecasts ATTACH PARTITION {} {}").format(found, sql.SQL(bounds)))


def forecasts_of(name: str) -> str:
    """Return the name of the table of forecasts beside one of predictions, attached or not.

    Examples
    --------
    >>> forecasts_of("predictions_20240101"), forecasts_of("predictions_detached_20240101_7")
    ('forecasts_20240101', 'forecasts_detached_20240101_7')
    """
    return "forecasts" + name.removeprefix("predictions")


def _digits(day: int) -> str:
    """Return a day as eight digits or more; one before the year 0 begins with ``bc``."""
    text = str(np.datetime64(day, "D"))
    return ("bc" if text.startswith("-") else "") + text.replace("-", "")
