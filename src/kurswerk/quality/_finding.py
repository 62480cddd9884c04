"""What a check of stored market data reports."""

from dataclasses import dataclass, field
from typing import Any

from kurswerk.core.timestamps import format_timestamp

ERROR, WARNING, NOTE = "error", "warning", "note"
SEVERITIES = (ERROR, WARNING, NOTE)
ACCEPTED, QUARANTINED = "accepted", "quarantined"
# Of one finding, where nobody asks for more.
MOST_EXAMPLES = 10


@dataclass(frozen=True)
class Example:
    """One place where something was found.

    Attributes
    ----------
    instrument
        Whose rows.
    timestamp_us
        Moment of the row, or of the first of several; None where it is of no row.
    values
        What was found there, by name.
    """

    instrument: str
    timestamp_us: int | None = None
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """What one check found, or that it found nothing.

    Attributes
    ----------
    check
        Its name, such as ``gaps``.
    severity
        ``error`` where rows cannot be right, ``warning`` where somebody should look, ``note`` for what is good to know.
    count
        Places; 0 where nothing was found.
    instruments
        How many instruments they are of.
    done
        ``accepted``: the rows are stored; ``quarantined``: they are kept apart.
    examples
        The gravest places.
    reason
        Why rows were quarantined, in English; empty for accepted ones.
    """

    check: str
    severity: str
    count: int
    instruments: int
    examples: tuple[Example, ...] = ()
    done: str = ACCEPTED
    reason: str = ""


@dataclass(frozen=True)
class QualityReport:
    """What all checks of a market found.

    Attributes
    ----------
    market
        Its name.
    rows, instruments
        How many were looked at.
    first_us, last_us
        Moments of the oldest and the newest row; None without rows.
    findings
        One for each check, then one for each reason of quarantined rows.
    """

    market: str
    rows: int
    instruments: int
    first_us: int | None
    last_us: int | None
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> int:
        """Places among the stored rows that cannot be right."""
        return sum(one.count for one in self.findings if one.severity == ERROR and one.done == ACCEPTED)

    def document(self) -> dict[str, Any]:
        """Return the report as JSON, moments in ISO 8601."""
        return {
            "market": self.market,
            "rows": self.rows,
            "instruments": self.instruments,
            "first_timestamp": _written(self.first_us),
            "last_timestamp": _written(self.last_us),
            "findings": [
                {
                    "check": one.check,
                    "severity": one.severity,
                    "count": one.count,
                    "instruments": one.instruments,
                    "done": one.done,
                    "reason": one.reason,
                    "examples": [
                        {"instrument": at.instrument, "timestamp": _written(at.timestamp_us), "values": at.values}
                        for at in one.examples
                    ],
                }
                for one in self.findings
            ],
        }


def _written(timestamp_us: int | None) -> str | None:
    return None if timestamp_us is None else format_timestamp(timestamp_us)
