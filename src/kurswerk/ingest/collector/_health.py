"""Whether collectors receive anything."""

from collections.abc import Sequence
from typing import Any

from kurswerk.core.messages import Message
from kurswerk.ingest.collector.ports import CollectorReport
from kurswerk.observability import Check

# A collector stores how it is at least every few seconds.
_LONGEST_UNSEEN_S = 30.0


def collectors_check(reports: Sequence[CollectorReport]) -> Check:
    """Report collectors whose source is silent or gone, or that ended without being stopped.

    Examples
    --------
    >>> collectors_check([]).status
    'ok'
    """
    running = [report for report in reports if not report.status.is_stopped]
    details = {"collectors": {report.name: _details(report) for report in running}}
    if not running:
        return Check("ok", Message("health.no_collector"), details)
    problems = [message for report in running if (message := _problem(report))]
    if problems:
        return Check("degraded", problems[0], details)
    return Check("ok", Message("health.collectors", names=[report.name for report in running]), details)


def _problem(report: CollectorReport) -> Message | None:
    status, silence = report.status, report.seconds_since_message
    if report.seconds_since_seen > _LONGEST_UNSEEN_S:
        return Message("health.collector_gone", name=report.name, seconds=report.seconds_since_seen)
    if not status.is_connected:
        return Message("health.collector_not_connected", name=report.name, reason=status.reason or "…")
    if silence is None or silence > status.silent_after_s:
        return Message("health.collector_silent", name=report.name, seconds=silence or report.seconds_since_seen)
    return None


def _details(report: CollectorReport) -> dict[str, Any]:
    return {
        "connected": report.status.is_connected,
        "coins": report.status.coins,
        "seconds_since_message": report.seconds_since_message,
        "reason": report.status.reason,
    }
