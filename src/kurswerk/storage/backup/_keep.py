"""Which backups are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kurswerk.core.errors import InvalidInputError


@dataclass(frozen=True)
class KeepRule:
    """Keep the newest ones, and those of the last days; a rule without either keeps all.

    Raises
    ------
    InvalidInputError
        If a number is less than 1.
    """

    last: int | None = None
    days: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("last", self.last), ("days", self.days)):
            if value is not None and not value >= (1 if name == "last" else 0):
                raise InvalidInputError("backup.keep_too_little", name=name, value=value)


def surplus(moments: Sequence[datetime], rule: KeepRule, now: datetime) -> list[datetime]:
    """Return the moments of the backups that a rule does not keep; the newest is always kept.

    Examples
    --------
    >>> from datetime import UTC
    >>> days = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3, 4)]
    >>> [moment.day for moment in surplus(days, KeepRule(last=2), days[-1])]
    [1, 2]
    >>> [moment.day for moment in surplus(days, KeepRule(last=1, days=2.5), days[-1])]
    [1]
    """
    if rule.last is None and rule.days is None:
        return []
    newest_first = sorted(moments, reverse=True)
    kept = set(newest_first[: max(1, rule.last or 1)])
    if rule.days is not None:
        kept.update(moment for moment in moments if now - moment <= timedelta(days=rule.days))
    return sorted(moment for moment in moments if moment not in kept)
