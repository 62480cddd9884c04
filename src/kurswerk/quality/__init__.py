"""The quality of stored market data: what is missing, stands still, leaps or cannot be."""

from collections.abc import Iterable

from kurswerk.quality._checks import CHECKS, Subject
from kurswerk.quality._finding import (
    ACCEPTED,
    ERROR,
    MOST_EXAMPLES,
    NOTE,
    QUARANTINED,
    SEVERITIES,
    WARNING,
    Example,
    Finding,
    QualityReport,
)

__all__ = [
    "ACCEPTED",
    "ERROR",
    "MOST_EXAMPLES",
    "NOTE",
    "QUARANTINED",
    "SEVERITIES",
    "WARNING",
    "Example",
    "Finding",
    "QualityReport",
    "Subject",
    "check_quality",
]


def check_quality(subject: Subject, quarantined: Iterable[Finding] = ()) -> QualityReport:
    """Run all checks over a market's rows.

    Parameters
    ----------
    quarantined
        What was kept apart when rows were ingested; follows the checks' own findings.
    """
    panel = subject.panel
    found = [check(subject) for check in CHECKS] if len(panel) else []
    times = panel.timestamps
    first, last = (int(times.min()), int(times.max())) if len(panel) else (None, None)
    return QualityReport(subject.market.name, len(panel), len(panel.instruments), first, last, (*found, *quarantined))
