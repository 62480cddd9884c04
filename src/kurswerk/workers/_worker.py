"""A worker: fetches queue entries, has runners run the jobs, and puts back what was interrupted."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from procrastinate import App, JobContext, PsycopgConnector
from procrastinate.exceptions import ConnectorException

from kurswerk.core.errors import StorageError
from kurswerk.core.messages import Message
from kurswerk.jobs import QUEUE, QUEUE_TASK, Ending, Job, Runner, RunStore
from kurswerk.observability import get_logger, log_context

log = get_logger(__name__)

# The jobs of a worker that has missed this many heartbeats are stalled.
_MISSED_UNTIL_STALLED = 3
_DATABASE_PAUSE_S = 1.0
_DATABASE_WAIT_S = 3.0
_ABORT_POLL_S = 1.0
_FETCH_POLL_S = 2.0
# A job that was interrupted waits so long, so that a database that comes and goes is not flooded with runs.
_DELAY_S = 1
_STOPPED = Ending("interrupted", Message("job.worker_stopped"))


@dataclass(frozen=True)
class WorkerEvent:
    """Something that happened to a run of a job.

    ``started``, ``progress``, or how it ended: ``completed``; ``failed`` for good; ``interrupted`` from outside;
    ``died`` with its process; ``outdated``, cancelled or begun again elsewhere.
    """

    kind: Literal["started", "progress", "completed", "failed", "interrupted", "died", "outdated"]
    job: Job
    fraction: float = 0.0
    message: Message | None = None


class Worker:
    """Carries out jobs until it is stopped.

    Any number of workers may share a database, on any number of machines. A worker survives the loss of its job
    processes and of the database.

    Parameters
    ----------
    queue_url
        Gives the URL of the queue's database, migrated already; asked for each new connection.
    runs
        Keeps the runs of jobs, in the same database.
    runners
        Where the work runs: as many jobs at once as there are runners.
    worker_id
        Its name in ``ml_jobs``, host and process number by default.
    ensure_database
        Called when the database cannot be reached, e.g. to start the embedded one again.
    on_event
        Called on the event loop with what happens to jobs; it must not block.
    heartbeat_s
        Seconds between two heartbeats; after three missed ones other workers take over.
    """

    def __init__(
        self,
        queue_url: Callable[[], str],
        *,
        runs: RunStore,
        runners: Sequence[Runner],
        worker_id: str | None = None,
        ensure_database: Callable[[], object] | None = None,
        on_event: Callable[[WorkerEvent], None] | None = None,
        heartbeat_s: float = 5.0,
    ) -> None:
        self.worker_id = worker_id or f"{socket.gethostname()}:{os.getpid()}"
        self._url = queue_url
        self._concurrency = len(runners)
        self._ensure_database = ensure_database
        self._on_event = on_event
        self._heartbeat_s = heartbeat_s
        self._runs = runs
        self._runners = tuple(runners)
        self._idle = list(runners)
        self._running: dict[int, tuple[int, asyncio.Task[Any]]] = {}
        # Runs whose end could not be written because the database was away.
        self._unstored_endings: list[tuple[Job, Ending]] = []

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; running jobs then go back to PENDING, which does not count as a try."""
        try:
            await asyncio.gather(*(runner.start() for runner in self._runners))
            while not stop.is_set():
                try:
                    await self._work(stop)
                except (ConnectorException, StorageError, psycopg.Error) as error:
                    log.warning("database lost", worker_id=self.worker_id, reason=_innermost(error))
                    await self._bring_back_database(stop)
            await self._store_endings()
        finally:
            for runner in self._runners:
                await runner.kill()

    async def _work(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set or the database is lost."""
        await asyncio.to_thread(self._runs.check)  # the pool below would wait for half a minute
        await self._store_endings()
        connector = PsycopgConnector(
            conninfo=self._url,
            kwargs={"application_name": "kurswerk worker"},
            min_size=1,
            max_size=2 + self._concurrency,
            timeout=_DATABASE_WAIT_S,
        )
        app = App(connector=connector)
        app.task(name=QUEUE_TASK, queue=QUEUE, pass_context=True)(self._run_entry)
        async with app.open_async():
            log.info("worker ready", worker_id=self.worker_id, concurrency=self._concurrency)
            await _until_first_ends(self._fetch(app), self._keep_alive(), stop.wait())

    async def _fetch(self, app: App) -> None:
        await app.run_worker_async(
            queues=[QUEUE],
            name=self.worker_id,
            concurrency=self._concurrency,
            delete_jobs="always",
            install_signal_handlers=False,
            shutdown_graceful_timeout=0,
            fetch_job_polling_interval=_FETCH_POLL_S,
            abort_job_polling_interval=_ABORT_POLL_S,
            update_heartbeat_interval=self._heartbeat_s,
            stalled_worker_timeout=self._stalled_after_s,
        )

    @property
    def _stalled_after_s(self) -> float:
        return self._heartbeat_s * _MISSED_UNTIL_STALLED

    async def _run_entry(self, context: JobContext, job_id: int) -> None:
        """Run a job, if it still waits under this queue entry."""
        job = await self._begin(job_id, context.job.id or 0)
        task = asyncio.current_task()
        if job is None or task is None:
            return
        runner = self._idle.pop()
        self._running[job.id] = (job.attempt, task)
        with log_context(job_id=job.id, request_id=job.request_id):
            self._emit(WorkerEvent("started", job))
            ending = _STOPPED  # unless it ends by itself
            try:
                ending = await runner.run(job, self._listener(job))
            finally:
                del self._running[job.id]
                try:
                    await self._store_ending(job, ending)
                    await runner.start()
                finally:
                    # Not before: a queue entry that took it meanwhile would start it a second time.
                    self._idle.append(runner)

    async def _begin(self, job_id: int, entry_id: int) -> Job | None:
        """Begin a run as `RunStore.start` does; if we are cancelled meanwhile, leave none behind."""
        beginning = asyncio.ensure_future(asyncio.to_thread(self._runs.start, job_id, entry_id, self.worker_id))
        try:
            return await asyncio.shield(beginning)
        except asyncio.CancelledError:
            # Its thread goes on all the same: a run it begins is put back here, as nobody else knows of it.
            with contextlib.suppress(StorageError):
                if (job := await beginning) is not None:
                    with log_context(job_id=job.id, request_id=job.request_id):
                        await self._store_ending(job, _STOPPED)
            raise

    def _listener(self, job: Job) -> Callable[[float, Message], Coroutine[Any, Any, None]]:
        async def listen(fraction: float, message: Message) -> None:
            self._emit(WorkerEvent("progress", job, fraction, message))
            with contextlib.suppress(StorageError):  # the next report comes in a moment
                await asyncio.to_thread(self._runs.report, job, fraction, message)

        return listen

    async def _store_ending(self, job: Job, ending: Ending) -> None:
        """Write how a run ended; where the database is away, keep it for later."""
        try:
            current = await asyncio.to_thread(self._write_ending, job, ending)
        except StorageError:
            self._unstored_endings.append((job, ending))
            return
        kind = ending.outcome if current else "outdated"
        reason = ending.reason if current else Message("job.outdated")
        log.info("run ended", outcome=kind, reason=str(reason), attempt=job.attempt)
        self._emit(WorkerEvent(kind, job, message=reason))

    def _write_ending(self, job: Job, ending: Ending) -> bool:
        """Write how a run ended and return whether the run was the current one."""
        if ending.outcome == "completed":
            return True  # its process stored the result and completed the job in one transaction
        if ending.outcome == "failed":
            return self._runs.fail(job, ending.reason)
        delay_s = 0 if ending is _STOPPED else _DELAY_S
        return self._runs.put_back(job, ending.reason, counted=ending.outcome == "died", delay_s=delay_s)

    async def _store_endings(self) -> None:
        endings, self._unstored_endings = self._unstored_endings, []
        for job, ending in endings:
            await self._store_ending(job, ending)

    async def _keep_alive(self) -> None:
        """Send heartbeats of our runs, end those that are no longer current, and put back stalled jobs."""
        while True:
            attempts = {job_id: attempt for job_id, (attempt, _) in self._running.items()}
            valid, stalled = await asyncio.to_thread(self._beat_and_sweep, attempts)
            for job_id, (attempt, task) in list(self._running.items()):
                if job_id not in valid and attempts.get(job_id) == attempt:
                    task.cancel()
            for job in stalled:
                log.warning("stalled job put back", job_id=job.id, attempt=job.attempt, worker_id=job.worker_id)
            await asyncio.sleep(self._heartbeat_s)

    def _beat_and_sweep(self, attempts: Mapping[int, int]) -> tuple[set[int], list[Job]]:
        # In one transaction, so at one moment: after a pause between the two our own runs would look stalled.
        with self._runs.transaction():
            return self._runs.beat(attempts), self._runs.sweep(self._stalled_after_s)

    async def _bring_back_database(self, stop: asyncio.Event) -> None:
        if self._ensure_database is not None:
            try:
                await asyncio.to_thread(self._ensure_database)
            except StorageError as error:
                log.warning("database not brought back", reason=str(error))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _DATABASE_PAUSE_S)

    def _emit(self, event: WorkerEvent) -> None:
        if self._on_event is not None:
            self._on_event(event)


async def _until_first_ends(*coroutines: Coroutine[Any, Any, Any]) -> None:
    """Run all until one ends, cancel the others and wait for them; raise what the first raised."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        first = next(task for task in tasks if task.done())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    first.result()


def _innermost(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())
