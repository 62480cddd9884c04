"""Which workers there are, as the queue knows them."""

from kurswerk.jobs import WorkerStatus
from kurswerk.storage.server import Database


def workers_status(database: Database) -> list[WorkerStatus]:
    """Return all workers, the latest heartbeat first."""
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT w.id, greatest(extract(epoch FROM clock_timestamp() - w.last_heartbeat), 0), count(t.id)"
            " FROM procrastinate_workers w"
            " LEFT JOIN procrastinate_jobs t ON t.worker_id = w.id AND t.status = 'doing'"
            " GROUP BY w.id ORDER BY w.last_heartbeat DESC"
        )
        return [WorkerStatus(id_, float(seconds), running) for id_, seconds, running in rows]
