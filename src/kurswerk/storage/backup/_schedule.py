"""When backups are made by themselves, and how the last ones went."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg.rows import dict_row

from kurswerk.core.errors import InvalidInputError
from kurswerk.core.messages import Message
from kurswerk.storage.backup._keep import KeepRule
from kurswerk.storage.backup._manifest import Header
from kurswerk.storage.server import Database, jsonb

_UNITS = {"m": 1, "h": 60, "d": 1440}
_FAILED_PAUSE = timedelta(minutes=5)
# A backup takes its time; one that takes this long beyond the last one's is overdue.
_GRACE = timedelta(minutes=30)
_KEPT_RUNS = 1000


def parse_interval(text: str) -> int:
    """Read an interval as minutes.

    Raises
    ------
    InvalidInputError
        If it is none, or less than a minute.

    Examples
    --------
    >>> parse_interval("30m"), parse_interval("6h"), parse_interval("1d")
    (30, 360, 1440)
    """
    found = re.fullmatch(r"(\d{1,6})\s*([mhd])", text.strip())
    if not found or int(found[1]) < 1:
        raise InvalidInputError("backup.no_interval", text=text)
    return int(found[1]) * _UNITS[found[2]]


@dataclass(frozen=True)
class Schedule:
    """When a backup is due: each so many minutes after the last one began, or at the times of a cron expression in UTC.

    Attributes
    ----------
    since
        When it was set; the first backup is due at once or, by cron, at the first time after it.

    Raises
    ------
    InvalidInputError
        If there is neither interval nor expression, or both, or the expression is none.
    """

    store: str
    every_minutes: int | None
    cron: str | None
    keep: KeepRule
    since: datetime

    def __post_init__(self) -> None:
        # Imported here: most commands have no use for it.
        from croniter import croniter  # noqa: PLC0415

        if (self.every_minutes is None) == (self.cron is None):
            raise InvalidInputError("backup.interval_or_cron")
        if self.cron is not None and (len(self.cron.split()) != 5 or not croniter.is_valid(self.cron)):
            raise InvalidInputError("backup.no_cron", text=self.cron)

    def due(self, last_started: datetime | None) -> datetime:
        """Return when the next backup is due.

        Examples
        --------
        >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
        >>> Schedule("/backups", None, "0 3 * * *", KeepRule(), noon).due(noon).isoformat()
        '2026-01-02T03:00:00+00:00'
        >>> Schedule("/backups", 90, None, KeepRule(), noon).due(noon).isoformat()
        '2026-01-01T13:30:00+00:00'
        """
        from croniter import croniter  # noqa: PLC0415 - as above

        if self.every_minutes is not None:
            return self.since if last_started is None else last_started + timedelta(minutes=self.every_minutes)
        after = max(self.since, last_started or self.since)
        found: datetime = croniter(self.cron, after.astimezone(UTC)).get_next(datetime)
        return found


@dataclass(frozen=True)
class BackupRun:
    """One backup that was made, or failed; sizes in bytes, None of a failed one."""

    started_at: datetime
    finished_at: datetime
    store: str
    name: str | None
    rows: int | None
    raw_bytes: int | None
    stored_bytes: int | None
    error: str | None

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.finished_at - self.started_at).total_seconds()


@dataclass(frozen=True)
class BackupState:
    """The schedule, the last run whatever its outcome, and the last one that succeeded; None where there is none."""

    schedule: Schedule | None
    last: BackupRun | None
    completed: BackupRun | None

    @property
    def due(self) -> datetime | None:
        """When the next backup is due; None without a schedule."""
        if self.schedule is None:
            return None
        return self.schedule.due(self.completed.started_at if self.completed else None)

    def is_due(self, now: datetime) -> bool:
        """Whether a backup is to be made now; five minutes after one that failed at the earliest."""
        failed = self.last is not None and self.last.error is not None
        pause_ends = self.last.finished_at + _FAILED_PAUSE if self.last is not None and failed else now
        return self.due is not None and max(self.due, pause_ends) <= now

    def is_overdue(self, now: datetime) -> bool:
        """Whether the next backup should have been made by now."""
        took = timedelta(seconds=self.completed.seconds) if self.completed else timedelta()
        return self.due is not None and now > self.due + _GRACE + took


class PostgresBackupStates:
    """The schedule and the runs of a database's backups, in the database itself."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self) -> BackupState:
        """Return the state as it is now."""
        with self._database.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            schedule = cursor.execute("SELECT * FROM backup_schedule").fetchone()
            last = cursor.execute("SELECT * FROM backup_runs ORDER BY id DESC LIMIT 1").fetchone()
            completed = cursor.execute(
                "SELECT * FROM backup_runs WHERE name IS NOT NULL ORDER BY id DESC LIMIT 1"
            ).fetchone()
        return BackupState(
            _schedule(schedule) if schedule else None,
            _run(last) if last else None,
            _run(completed) if completed else None,
        )

    def set_schedule(self, schedule: Schedule | None) -> None:
        """Set the schedule in place of the one before; None ends it."""
        with self._database.connection() as connection:
            connection.execute("DELETE FROM backup_schedule")
            if schedule is not None:
                connection.execute(
                    "INSERT INTO backup_schedule (store, every_minutes, cron, keep_last, keep_days, created_at)"
                    " VALUES (%s, %s, %s, %s, %s, %s)",
                    [
                        schedule.store,
                        schedule.every_minutes,
                        schedule.cron,
                        schedule.keep.last,
                        schedule.keep.days,
                        schedule.since,
                    ],
                )

    def note(self, started: datetime, store: str, outcome: Header | Message) -> None:
        """Note a backup that was made, or why there is none."""
        made = outcome if isinstance(outcome, Header) else None
        failed = outcome if isinstance(outcome, Message) else None
        with self._database.connection() as connection:
            connection.execute(
                "INSERT INTO backup_runs (started_at, store, name, row_count, raw_bytes, stored_bytes, error_msg,"
                " error_detail) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    started,
                    store,
                    made and made.name,
                    made and made.rows,
                    made and made.raw_bytes,
                    made and made.stored_bytes,
                    failed and str(failed),
                    jsonb(failed.as_json()) if failed else None,
                ],
            )
            connection.execute(
                "DELETE FROM backup_runs WHERE id <= (SELECT max(id) FROM backup_runs) - %s", [_KEPT_RUNS]
            )


def _schedule(row: dict[str, Any]) -> Schedule:
    keep = KeepRule(row["keep_last"], row["keep_days"])
    return Schedule(row["store"], row["every_minutes"], row["cron"], keep, row["created_at"].astimezone(UTC))


def _run(row: dict[str, Any]) -> BackupRun:
    return BackupRun(
        started_at=row["started_at"].astimezone(UTC),
        finished_at=row["finished_at"].astimezone(UTC),
        store=row["store"],
        name=row["name"],
        rows=row["row_count"],
        raw_bytes=row["raw_bytes"],
        stored_bytes=row["stored_bytes"],
        error=row["error_msg"],
    )
