"""Jobs: ordered over the API, carried out by workers, in the same database as everything else.

Names are imported when they are first used, because whoever orders jobs shall not wait for what runs them.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kurswerk.jobs._child import serve_jobs
    from kurswerk.jobs._status import WorkerStatus, workers_status
    from kurswerk.jobs._store import ProcrastinateJobStore
    from kurswerk.jobs._worker import Worker, WorkerEvent

__all__ = ["ProcrastinateJobStore", "Worker", "WorkerEvent", "WorkerStatus", "serve_jobs", "workers_status"]

_HOME = {
    "ProcrastinateJobStore": "_store",
    "Worker": "_worker",
    "WorkerEvent": "_worker",
    "WorkerStatus": "_status",
    "serve_jobs": "_child",
    "workers_status": "_status",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'kurswerk.jobs' has no attribute '{name}'")
    return getattr(importlib.import_module(f"kurswerk.jobs.{_HOME[name]}"), name)
