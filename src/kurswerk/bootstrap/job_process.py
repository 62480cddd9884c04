"""A process that runs jobs for a worker: ``python -m kurswerk.bootstrap.job_process``."""

import os
import sys
from pathlib import Path

from kurswerk.bootstrap.environment import let_idle_threads_sleep, load_features, use_kernel_cache
from kurswerk.bootstrap.settings import read_settings
from kurswerk.observability import configure_logging

COMMAND = (sys.executable, "-m", "kurswerk.bootstrap.job_process")


def main() -> None:
    """Run the jobs that a worker hands over; it reads on standard input what to do."""
    settings = read_settings(os.environ, Path.cwd())
    use_kernel_cache(settings)
    let_idle_threads_sleep()
    formats = {"json": True, "text": False}
    configure_logging(level=settings.log.level, json=formats.get(settings.log.format))
    load_features(settings)
    # Only now: it imports numerical libraries, which read what was set above.
    from kurswerk.bootstrap.feature_cache import keep_features  # noqa: PLC0415 - see above
    from kurswerk.bootstrap.job_kinds import job_service  # noqa: PLC0415 - see above
    from kurswerk.storage.jobs import PostgresJobLock  # noqa: PLC0415 - see above
    from kurswerk.storage.server import Database  # noqa: PLC0415 - see above
    from kurswerk.workers import JobAccess, Setup, serve_jobs  # noqa: PLC0415 - see above

    keep_features(settings)

    def connect(setup: Setup) -> JobAccess:
        # Where a file holds the password, this process reads it again, too.
        source = settings.database_source
        database = Database(source if callable(source) else setup.database_url)
        return JobAccess(
            job_service(database, Path(setup.data_dir), setup.memory_budget_bytes), PostgresJobLock(database)
        )

    serve_jobs(connect)


if __name__ == "__main__":
    main()
