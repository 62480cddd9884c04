"""``ml_jobs`` as workers change it: runs begin, send heartbeats, and end.

Every statement names the run (job and attempt), so that a run whose job was put back as stalled changes
nothing any more.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from kurswerk.core.messages import Message
from kurswerk.jobs import Job, JobKinds
from kurswerk.storage.jobs._log import write_line, write_progress
from kurswerk.storage.jobs._queue import enqueue
from kurswerk.storage.jobs._store import job_of
from kurswerk.storage.server import Database, stored_message, stored_text

# A job that is interrupted time and again, through no fault of its own as it seems, is given up in the end.
_MOST_RUNS_PER_TRY = 10
_SWEEP_LOCK = 0x4B75_7273_5377_6570
# Workers whose last heartbeat is older are forgotten.
_FORGET_WORKERS_AFTER_S = 60.0
_STARTING = Message("job.starting")
_WAITING_AGAIN = Message("job.waiting_again")

_BEGIN = """
UPDATE ml_jobs SET status = 'RUNNING', attempt = attempt + 1, worker_id = %(worker_id)s, started_at = now(),
    heartbeat_at = now(), progress = 0, progress_msg = %(text)s, progress_detail = %(detail)s
WHERE id = %(id)s AND procrastinate_id = %(entry_id)s AND status = 'PENDING' RETURNING *"""
# Whether the message is another one than before.
_REPORT = """
UPDATE ml_jobs j SET progress = %(fraction)s, progress_msg = %(text)s, progress_detail = %(detail)s,
    heartbeat_at = now()
FROM (SELECT id, progress_msg FROM ml_jobs WHERE id = %(id)s FOR UPDATE) was
WHERE j.id = was.id AND j.attempt = %(attempt)s AND j.status = 'RUNNING'
RETURNING was.progress_msg IS DISTINCT FROM j.progress_msg"""
# A server that came up a moment ago has yet to receive heartbeats of workers that outlived its restart.
_STALLED_RUNS = """
SELECT * FROM ml_jobs
WHERE status = 'RUNNING' AND heartbeat_at < now() - make_interval(secs => %(stalled_after_s)s)
AND pg_postmaster_start_time() < now() - make_interval(secs => %(stalled_after_s)s)
FOR UPDATE SKIP LOCKED"""
# Waiting jobs without a queue entry, or whose entry was fetched by a worker that never began the run.
_LOST_ENTRIES = """
SELECT j.id, j.priority FROM ml_jobs j LEFT JOIN procrastinate_jobs t ON t.id = j.procrastinate_id
WHERE j.status = 'PENDING' AND (t.status IS NULL OR t.status NOT IN ('todo', 'doing')
    OR (t.status = 'doing' AND EXISTS (SELECT FROM procrastinate_events e WHERE e.job_id = t.id AND e.type = 'started'
        AND e.at < now() - make_interval(secs => %(stalled_after_s)s))))
FOR UPDATE OF j SKIP LOCKED"""
_DROP_USED_ENTRIES = """
DELETE FROM procrastinate_jobs t WHERE t.status <> 'todo' AND NOT EXISTS (
    SELECT FROM ml_jobs j WHERE j.procrastinate_id = t.id AND j.status IN ('PENDING', 'RUNNING'))
AND NOT EXISTS (SELECT FROM procrastinate_workers w WHERE w.id = t.worker_id
    AND w.last_heartbeat > now() - make_interval(secs => %(stalled_after_s)s))"""


class PostgresRunStore:
    """The runs of jobs in PostgreSQL; implements `kurswerk.jobs.RunStore`.

    Parameters
    ----------
    kinds
        Their hooks are called when a job fails, in the same transaction.
    """

    def __init__(self, database: Database, kinds: JobKinds) -> None:
        self._database = database
        self._kinds = kinds

    def check(self) -> object:
        """Return if the database answers.

        Raises
        ------
        DatabaseUnavailableError
            If it cannot be reached.
        """
        return self._database.check()

    def transaction(self) -> AbstractContextManager[object]:
        """Join all that stores of the same `Database` do inside the block into one transaction."""
        return self._database.transaction()

    def start(self, job_id: int, entry_id: int, worker_id: str) -> Job | None:
        """Begin a run of a PENDING job; None if the job no longer waits, or not under this queue entry."""
        with self._database.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            values = {"id": job_id, "entry_id": entry_id, "worker_id": worker_id, **stored_message(_STARTING)}
            row = cursor.execute(_BEGIN, values).fetchone()
            if row is None:
                return None
            number = row["attempt"] - row["interruptions"]
            message = Message("job.try", number=number, most=row["max_attempts"], worker=worker_id)
            write_line(connection, job_id, row["attempt"], message)
        return job_of(row)

    def report(self, job: Job, fraction: float, message: Message) -> None:
        """Store how far a run is, and a line in the log where the message is a new one; counts as a heartbeat."""
        values = {"fraction": min(max(fraction, 0.0), 1.0), **stored_message(message), **_run(job)}
        with self._database.connection() as connection:
            row = connection.execute(_REPORT, values).fetchone()
            if row and row[0]:
                write_progress(connection, job.id, job.attempt, message)

    def beat(self, attempts: Mapping[int, int]) -> set[int]:
        """Store a heartbeat of several runs, by job their attempt; return the jobs whose run is the current one."""
        with self._database.connection() as connection:
            rows = connection.execute(
                "UPDATE ml_jobs j SET heartbeat_at = now() FROM unnest(%s::bigint[], %s::int[]) AS r (id, attempt)"
                " WHERE j.id = r.id AND j.attempt = r.attempt AND j.status = 'RUNNING' RETURNING j.id",
                [list(attempts), list(attempts.values())],
            )
            return {row[0] for row in rows}

    def fail(self, job: Job, reason: Message) -> bool:
        """End a run and its job as FAILED; return whether the run was the current one."""
        with self._database.transaction() as connection:
            done = connection.execute(
                "UPDATE ml_jobs SET status = 'FAILED', error_msg = %(text)s, error_detail = %(detail)s,"
                " completed_at = now() WHERE id = %(id)s AND attempt = %(attempt)s AND status = 'RUNNING'",
                {**stored_message(reason), **_run(job)},
            )
            if done.rowcount:
                write_line(connection, job.id, job.attempt, reason, level="error")
                self._kinds.hooks_of(job).failed(job, reason.map_text(stored_text))
        return bool(done.rowcount)

    def put_back(self, job: Job, reason: Message, *, counted: bool, delay_s: int = 0) -> bool:
        """End a run and let its job wait for another one, unless it has used up its tries.

        Parameters
        ----------
        counted
            Whether this run was a try; one that was interrupted from outside is not.
        delay_s
            How long the job must wait at least.

        Returns
        -------
        bool
            Whether the run was the current one; nothing is changed otherwise.
        """
        with self._database.transaction() as connection:
            row = connection.execute(
                "UPDATE ml_jobs SET status = 'PENDING', interruptions = interruptions + %(interrupted)s, progress = 0,"
                " progress_msg = %(waiting_text)s, progress_detail = %(waiting_detail)s,"
                " error_msg = %(text)s, error_detail = %(detail)s"
                " WHERE id = %(id)s AND attempt = %(attempt)s AND status = 'RUNNING'"
                " RETURNING attempt - interruptions, attempt, max_attempts",
                {
                    "interrupted": 0 if counted else 1,
                    **stored_message(reason),
                    **{f"waiting_{name}": value for name, value in stored_message(_WAITING_AGAIN).items()},
                    **_run(job),
                },
            ).fetchone()
            if row is None:
                return False
            tries, runs, most = row
            if tries >= most or runs >= most * _MOST_RUNS_PER_TRY:
                connection.execute("UPDATE ml_jobs SET status = 'RUNNING' WHERE id = %s", [job.id])
                self.fail(job, Message("job.given_up", count=tries if tries >= most else runs, reason=reason))
            else:
                write_line(connection, job.id, job.attempt, Message("job.put_back", reason=reason), level="warning")
                enqueue(connection, job.id, job.priority, delay_s=delay_s)
        return True

    def sweep(self, stalled_after_s: float) -> list[Job]:
        """Enqueue stalled jobs again, whose last heartbeat is older, and repair the queue.

        One worker at a time does it; the others return at once.

        Returns
        -------
        list of Job
            The stalled jobs.
        """
        given = {"stalled_after_s": stalled_after_s}
        with self._database.transaction() as connection:
            free = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [_SWEEP_LOCK]).fetchone()
            if not free or not free[0]:
                return []
            with connection.cursor(row_factory=dict_row) as cursor:
                stalled = [job_of(row) for row in cursor.execute(_STALLED_RUNS, given)]
            for job in stalled:
                silent = Message("job.no_sign_of_life", worker=job.worker_id, seconds=stalled_after_s)
                self.put_back(job, silent, counted=True)
            for job_id, priority in connection.execute(_LOST_ENTRIES, given).fetchall():
                enqueue(connection, job_id, priority)
            _clean_queue(connection, stalled_after_s)
        return stalled


def _clean_queue(connection: Connection[Any], stalled_after_s: float) -> None:
    connection.execute(_DROP_USED_ENTRIES, {"stalled_after_s": stalled_after_s})
    connection.execute(
        "SELECT procrastinate_prune_stalled_workers_v1(%s)", [max(_FORGET_WORKERS_AFTER_S, 2 * stalled_after_s)]
    )


def _run(job: Job) -> dict[str, int]:
    return {"id": job.id, "attempt": job.attempt}
