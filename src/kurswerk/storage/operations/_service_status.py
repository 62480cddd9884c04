"""What metrics and health are read from: a few counts, each from an index, in one round trip."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from psycopg import sql

from kurswerk.storage.operations._replicas import ALIVE
from kurswerk.storage.server import HEAD, Database, current_revision


@dataclass(frozen=True)
class ServiceStatus:
    """The state of the service as the database has it.

    ``job_progress`` maps running jobs to [0, 1]; ``predictors`` counts those that gave a sign of life lately.
    """

    revision: str | None
    models: int = 0
    active_models: int = 0
    pending_jobs: int = 0
    predictions_last_hour: int = 0
    predictors: int = 0
    job_progress: Mapping[int, float] = field(default_factory=dict)


def service_status(database: Database) -> ServiceStatus:
    """Read the counts; of a database whose tables are not up to date only the revision.

    Raises
    ------
    DatabaseUnavailableError
        If the database cannot be reached.
    """
    revision = current_revision(database)
    if revision is None or revision < HEAD:
        return ServiceStatus(revision)
    with database.connection() as connection:
        counts = connection.execute(
            sql.SQL(
                "SELECT (SELECT count(*) FROM ml_models WHERE NOT is_deleted),"
                " (SELECT count(*) FROM ml_models WHERE is_active AND NOT is_deleted),"
                " (SELECT count(*) FROM ml_jobs WHERE status = 'PENDING'),"
                " (SELECT coalesce(sum(predictions), 0)::bigint FROM prediction_counts"
                "  WHERE minute > now() - interval '1 hour'),"
                " (SELECT count(*) FROM serving_replicas WHERE {})"
            ).format(ALIVE)
        ).fetchone()
        running = connection.execute("SELECT id, progress::float8 FROM ml_jobs WHERE status = 'RUNNING'").fetchall()
    models, active, pending, predictions, predictors = counts or (0, 0, 0, 0, 0)
    return ServiceStatus(revision, models, active, pending, predictions, predictors, dict(running))
