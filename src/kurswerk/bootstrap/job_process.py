"""A process that runs jobs for a worker: ``python -m kurswerk.bootstrap.job_process``."""

import os
import sys
from pathlib import Path

from kurswerk.bootstrap.environment import let_idle_threads_sleep, use_kernel_cache
from kurswerk.bootstrap.settings import read_settings
from kurswerk.observability import configure_logging

COMMAND = (sys.executable, "-m", "kurswerk.bootstrap.job_process")


def main() -> None:
    """Run the jobs that a worker hands over; it is told on standard input what to do."""
    settings = read_settings(os.environ, Path.cwd())
    use_kernel_cache(settings)
    let_idle_threads_sleep()
    formats = {"json": True, "text": False}
    configure_logging(level=settings.log.level, json=formats.get(settings.log.format))
    # Only now: it imports numerical libraries, which read what was set above.
    from kurswerk.jobs import serve_jobs  # noqa: PLC0415 - see above

    serve_jobs()


if __name__ == "__main__":
    main()
