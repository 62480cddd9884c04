"""Whether somebody works on jobs."""

from collections.abc import Sequence

from kurswerk.core.messages import Message
from kurswerk.jobs._job import WorkerStatus
from kurswerk.observability import Check

# Workers send a heartbeat every 5 s; after three without one others take over their jobs.
MAX_SILENCE_S = 15.0


def workers_check(workers: Sequence[WorkerStatus]) -> Check:
    """Check for workers; without one requests can be answered, but jobs wait.

    Examples
    --------
    >>> workers_check([]).status
    'degraded'
    """
    silences = sorted(worker.seconds_since_heartbeat for worker in workers)
    alive = [silence for silence in silences if silence <= MAX_SILENCE_S]
    details = {
        "alive": len(alive),
        "silent": len(silences) - len(alive),
        "running_jobs": sum(worker.running for worker in workers),
        "seconds_since_heartbeat": round(silences[0], 3) if silences else None,
    }
    if not alive:
        return Check("degraded", Message("health.no_worker"), details)
    return Check("ok", Message("health.workers", count=len(alive), seconds=silences[0]), details)
