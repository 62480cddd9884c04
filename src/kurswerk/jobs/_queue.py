"""The queue: Procrastinate on the same database, so that a job and its ticket commit together.

A *ticket* is a Procrastinate job that says "run row N of ``ml_jobs``". It is used once: whoever fetched it removes it
when the run has ended, and a job that shall run again gets a new one. The row in ``ml_jobs`` is the truth; a ticket
that is not the row's present one does nothing.
"""

from typing import Any

from procrastinate import App, SyncPsycopgConnector
from psycopg import Connection

QUEUE = "kurswerk"
TASK = "kurswerk.run_job"

# Never opened: it writes tickets on connections that it is handed.
_tickets = App(connector=SyncPsycopgConnector())


def put_ticket(connection: Connection[Any], job_id: int, priority: int, *, delay_s: int = 0) -> None:
    """Put a job into the queue, in the connection's transaction; a ticket it had before counts no more."""
    deferrer = _tickets.configure_task(
        TASK,
        queue=QUEUE,
        priority=priority,
        schedule_in={"seconds": delay_s} if delay_s else None,
        connection=connection,
    )
    ticket = deferrer.defer(job_id=job_id)
    connection.execute("UPDATE ml_jobs SET procrastinate_id = %s WHERE id = %s", [ticket, job_id])


def withdraw_ticket(connection: Connection[Any], ticket: int | None) -> None:
    """Take a waiting ticket out of the queue, or tell the worker that holds it to abort the run."""
    connection.execute("SELECT procrastinate_cancel_job_v1(%s, true, true)", [ticket])
