"""Workers: fetch jobs from the queue and have processes of their own run them.

Names are imported when they are first used, because a job process needs no queue and a worker no job process's side.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kurswerk.workers._child import JobAccess, serve_jobs
    from kurswerk.workers._messages import Setup
    from kurswerk.workers._process import ProcessRunner
    from kurswerk.workers._worker import Worker, WorkerEvent

__all__ = ["JobAccess", "ProcessRunner", "Setup", "Worker", "WorkerEvent", "serve_jobs"]

_HOME = {
    "JobAccess": "_child",
    "ProcessRunner": "_process",
    "Setup": "_messages",
    "Worker": "_worker",
    "WorkerEvent": "_worker",
    "serve_jobs": "_child",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'kurswerk.workers' has no attribute '{name}'")
    return getattr(importlib.import_module(f"kurswerk.workers.{_HOME[name]}"), name)
