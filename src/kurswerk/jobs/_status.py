"""Which workers there are."""

from dataclasses import dataclass

from kurswerk.storage import Database


@dataclass(frozen=True)
class WorkerStatus:
    """A worker as the queue knows it; one that stopped in good order is not listed, a dead one for a minute.

    Attributes
    ----------
    id
        The queue's number of it.
    seconds_since_heartbeat
        Workers give a sign of life every 5 s.
    running
        Jobs it has at the moment.
    """

    id: int
    seconds_since_heartbeat: float
    running: int


def workers_status(database: Database) -> list[WorkerStatus]:
    """Return all workers, the liveliest first."""
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT w.id, greatest(extract(epoch FROM clock_timestamp() - w.last_heartbeat), 0), count(t.id)"
            " FROM procrastinate_workers w"
            " LEFT JOIN procrastinate_jobs t ON t.worker_id = w.id AND t.status = 'doing'"
            " GROUP BY w.id ORDER BY w.last_heartbeat DESC"
        )
        return [WorkerStatus(id_, float(seconds), running) for id_, seconds, running in rows]
