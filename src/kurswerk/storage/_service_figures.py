"""What metrics and health are read from: a few figures, each from an index, in one round trip."""

from collections.abc import Mapping
from dataclasses import dataclass

from kurswerk.storage._database import Database
from kurswerk.storage._schema import current_revision


@dataclass(frozen=True)
class ServiceFigures:
    """The state of the service as the database has it; ``job_progress`` maps running jobs to [0, 1]."""

    revision: str | None
    models: int
    active_models: int
    pending_jobs: int
    job_progress: Mapping[int, float]


def service_figures(database: Database) -> ServiceFigures:
    """Read the figures; those of a database without tables are zero.

    Raises
    ------
    DatabaseUnavailableError
        If the database cannot be reached.
    """
    revision = current_revision(database)
    if revision is None:
        return ServiceFigures(None, 0, 0, 0, {})
    with database.connection() as connection:
        counts = connection.execute(
            "SELECT (SELECT count(*) FROM ml_models WHERE NOT is_deleted),"
            " (SELECT count(*) FROM ml_models WHERE is_active AND NOT is_deleted),"
            " (SELECT count(*) FROM ml_jobs WHERE status = 'PENDING')"
        ).fetchone()
        running = connection.execute("SELECT id, progress::float8 FROM ml_jobs WHERE status = 'RUNNING'").fetchall()
    models, active, pending = counts or (0, 0, 0)
    return ServiceFigures(revision, models, active, pending, dict(running))
