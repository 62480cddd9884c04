"""How well the service is: one report, a status for each thing it depends on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from kurswerk.core.messages import Message
from kurswerk.observability._resources import free_disk_bytes, memory_available_bytes, memory_limit_bytes

CheckStatus = Literal["ok", "degraded", "failed"]
# Below the first PostgreSQL soon cannot write; below the second somebody should look.
LEAST_DISK_BYTES = 200 * 1024**2
LOW_DISK_BYTES = 2 * 1024**3
_HIGH_MEMORY_PERCENT = 95.0


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Attributes
    ----------
    status
        ``failed`` means that the service cannot serve; ``degraded`` that it can, but somebody should look.
    message
        What was found, for a person.
    details
        The same for programs, as JSON.
    """

    status: CheckStatus
    message: Message
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class HealthReport:
    """All checks together.

    Examples
    --------
    >>> report = HealthReport({"disk": Check("ok", Message("health.disk", gigabytes=12))}, uptime_seconds=60)
    >>> report.status, report.able_to_serve
    ('healthy', True)
    """

    checks: Mapping[str, Check]
    uptime_seconds: float
    active_models: int | None = None
    predictions_last_hour: int | None = None

    @property
    def status(self) -> Literal["healthy", "degraded", "unhealthy"]:
        """The worst of the checks."""
        found = {check.status for check in self.checks.values()}
        return "unhealthy" if "failed" in found else "degraded" if "degraded" in found else "healthy"

    @property
    def able_to_serve(self) -> bool:
        """Whether requests can be answered; a load balancer should look elsewhere if not."""
        return self.status != "unhealthy"

    @property
    def db_connected(self) -> bool:
        """Whether the database answered."""
        check = self.checks.get("database")
        return check is not None and check.status != "failed"

    def as_json(self) -> dict[str, Any]:
        """Return the answer of ``/health`` (contracts.md), with the checks beside it."""
        return {
            "status": self.status,
            "active_models": self.active_models,
            "predictions_last_hour": self.predictions_last_hour,
            "uptime_seconds": round(self.uptime_seconds, 3),
            "db_connected": self.db_connected,
            "checks": {
                name: {"status": check.status, "message": str(check.message), **check.details}
                for name, check in self.checks.items()
            },
        }


def disk_check(path: Path) -> Check:
    """Report how much disk is left where the data lie."""
    free = free_disk_bytes(path)
    status: CheckStatus = "failed" if free < LEAST_DISK_BYTES else "degraded" if free < LOW_DISK_BYTES else "ok"
    return Check(status, Message("health.disk", gigabytes=free / 1e9), {"free_bytes": free})


def memory_check() -> Check:
    """Report how much memory is in use, of the machine's or of what a container may take."""
    available, limit = memory_available_bytes(), memory_limit_bytes()
    percent = 100.0 * (1.0 - min(1.0, available / limit))
    status: CheckStatus = "degraded" if percent >= _HIGH_MEMORY_PERCENT else "ok"
    return Check(status, Message("health.memory", percent=percent), {"available_bytes": available})


def database_check(seconds: float) -> Check:
    """Report a database that answered, and after how long."""
    milliseconds = round(1000 * seconds, 3)
    return Check("ok", Message("health.database_answered", milliseconds=milliseconds), {"round_trip_ms": milliseconds})


def migrations_check(revision: str | None, supported: str) -> Check:
    """Compare the revision of the tables, None without tables, with the one that this program supports.

    Examples
    --------
    >>> [migrations_check(revision, "0009").status for revision in ("0009", "0010", "0008", None)]
    ['ok', 'degraded', 'failed', 'failed']
    """
    if revision == supported:
        return Check("ok", Message("health.at_revision", revision=revision), {"revision": revision})
    if revision is not None and revision > supported:
        # A newer service is being rolled out beside this one; its tables hold all that this one knows.
        newer = Message("health.newer_revision", revision=revision, supported=supported)
        return Check("degraded", newer, {"revision": revision})
    return Check("failed", Message("health.other_revision", revision=revision or "none", wanted=supported))


def backups_check(due: datetime | None, completed: datetime | None, error: str | None, *, overdue: bool) -> Check:
    """Report the last backup: ``degraded`` where one is overdue or the last attempt failed.

    Parameters
    ----------
    due
        When the next one is due; None without a schedule.
    completed
        When the last one that succeeded began; None without one.
    error
        Why the last attempt failed; None if it did not.

    Examples
    --------
    >>> backups_check(None, None, None, overdue=False).status
    'ok'
    >>> backups_check(None, None, "the disk is full", overdue=False).status
    'degraded'
    """
    moments = {"due": due and due.isoformat(), "last": completed and completed.isoformat()}
    if error is not None:
        return Check("degraded", Message("health.backup_failed", reason=error), moments)
    if overdue:
        return Check("degraded", Message("health.backup_overdue", due=due), moments)
    code = "health.backup_none" if completed is None else "health.backup_last"
    return Check("ok", Message(code, **({} if completed is None else {"moment": completed})), moments)
