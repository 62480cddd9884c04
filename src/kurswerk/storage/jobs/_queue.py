"""The queue: Procrastinate on the same database, so that a job and its queue entry commit together.

A queue entry is a Procrastinate job that means "run row N of ``ml_jobs``". It is used once: whoever fetched it removes
it when the run has ended, and a job that shall run again gets a new one. The row in ``ml_jobs`` is the truth; an entry
that is not the row's current one has no effect.
"""

from typing import Any

from procrastinate import App, SyncPsycopgConnector
from psycopg import Connection

from kurswerk.jobs import QUEUE, QUEUE_TASK

# Never opened: it writes queue entries on connections that it is given.
_app = App(connector=SyncPsycopgConnector())


def enqueue(connection: Connection[Any], job_id: int, priority: int, *, delay_s: int = 0) -> None:
    """Put a job into the queue, in the connection's transaction; an entry it had before has no effect any more."""
    deferrer = _app.configure_task(
        QUEUE_TASK,
        queue=QUEUE,
        priority=priority,
        schedule_in={"seconds": delay_s} if delay_s else None,
        connection=connection,
    )
    entry_id = deferrer.defer(job_id=job_id)
    connection.execute("UPDATE ml_jobs SET procrastinate_id = %s WHERE id = %s", [entry_id, job_id])


def withdraw(connection: Connection[Any], entry_id: int | None) -> None:
    """Take a waiting queue entry out of the queue, or have the worker that holds it abort the run."""
    connection.execute("SELECT procrastinate_cancel_job_v1(%s, true, true)", [entry_id])
