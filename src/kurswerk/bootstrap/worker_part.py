"""The worker as a part of the service: jobs in processes of their own, and outcomes of predictions as time passes."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kurswerk.bootstrap.backup import make_backups_when_due
from kurswerk.bootstrap.job_kinds import job_files, job_kinds
from kurswerk.bootstrap.job_process import COMMAND
from kurswerk.bootstrap.service import Service, memory_budget_bytes
from kurswerk.bootstrap.stores import open_stores
from kurswerk.market import MARKETS
from kurswerk.oversight import mature_regularly
from kurswerk.storage.jobs import PostgresRunStore
from kurswerk.storage.outcomes import PostgresOutcomeStore
from kurswerk.storage.server import Database, UrlSource
from kurswerk.workers import ProcessRunner, Setup, Worker, WorkerEvent

# What a step under way may take when the service stops; one that is cut off is done again.
_MOST_STEP_S = 2.0
_ERRORS = {"failed": "job_failed", "died": "job_process_died"}


def part(service: Service) -> "WorkerPart":
    """Make the worker."""
    return WorkerPart(service)


class WorkerPart:
    """Works on jobs and judges predictions until ``stop``; jobs under way then go back to the queue."""

    def __init__(self, service: Service) -> None:
        self._settings, self._source = service.settings, service.database.source
        self._errors = service.metrics.errors
        self._concurrency = service.settings.worker.concurrency
        self._memory_bytes = memory_budget_bytes(service.settings.worker)
        self._worker = open_worker(
            self._source,
            service.settings.data_dir,
            concurrency=self._concurrency,
            memory_budget_bytes=self._memory_bytes,
            ensure_database=service.ensure_database,
            on_event=self._count,
        )
        # A store of its own, on connections that are opened as they are needed: it outlives the loss of the database.
        self._outcomes = PostgresOutcomeStore(Database(self._source))
        self._judging = service.settings.outcomes
        self.ready = asyncio.Event()

    @property
    def addresses(self) -> Mapping[str, str]:
        """What the worker does, in a few words."""
        jobs = "1 job" if self._concurrency == 1 else f"{self._concurrency} jobs"
        return {"worker": f"{jobs} at once, {self._memory_bytes / 1e9:.1f} GB of memory each"}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set."""
        self.ready.set()
        ending = threading.Event()
        judging = threading.Thread(
            target=mature_regularly,
            args=[self._outcomes, tuple(MARKETS), ending],
            kwargs={"delay_s": float(self._judging.delay_seconds), "keep_days": self._judging.keep_days},
            name="kurswerk-outcomes",
            daemon=True,
        )
        judging.start()
        # Not waited for in the end: a backup that is cut off is none, and due again.
        threading.Thread(
            target=make_backups_when_due,
            args=[self._settings, self._source, ending],
            name="kurswerk-backups",
            daemon=True,
        ).start()
        try:
            await self._worker.run(stop)
        finally:
            ending.set()
            await asyncio.to_thread(judging.join, _MOST_STEP_S)

    def _count(self, event: WorkerEvent) -> None:
        if event.kind in _ERRORS:
            self._errors.labels(_ERRORS[event.kind]).inc()


def open_worker(
    source: UrlSource,
    data_dir: Path,
    *,
    command: Sequence[str] = COMMAND,
    concurrency: int = 1,
    memory_budget_bytes: int | None = None,
    **options: Any,
) -> Worker:
    """Return a worker that runs jobs in processes of this machine.

    Parameters
    ----------
    source
        Where the database is.
    data_dir
        The folder of the files that jobs write.
    command
        Program and arguments of a job process.
    concurrency
        Jobs at once; each has a process of its own, which is kept warm for the next job.
    memory_budget_bytes
        What one job may take; None is unlimited.
    **options
        As for `Worker`.
    """
    # Without a pool: a worker survives the loss of its database.
    database = Database(source)
    runs = PostgresRunStore(database, job_kinds(open_stores(database).training(), job_files(data_dir)))
    setup = Setup(database.url, str(data_dir), memory_budget_bytes)
    runners = [ProcessRunner(command, setup) for _ in range(concurrency)]
    return Worker(lambda: database.url, runs=runs, runners=runners, **options)
