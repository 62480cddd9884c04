"""``ml_jobs``: ordering, looking, cancelling, finishing."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection, sql
from psycopg.rows import DictRow, dict_row

from kurswerk.core.errors import ConflictError, InvalidInputError, NotFoundError, UnknownNameError
from kurswerk.core.messages import Message
from kurswerk.jobs import DEFAULT_PRIORITY, JOB_SORTS, JOB_STATUSES, Job, JobKinds, JobLine, JobResult
from kurswerk.storage.jobs._log import write_line
from kurswerk.storage.jobs._queue import enqueue, withdraw
from kurswerk.storage.server import Database, jsonb, message_of, stored_message

_LARGEST_ID = 2**63 - 1
_CANCELLED = Message("job.cancelled")
_WAITING = Message("job.waiting")
_DONE = Message("job.done")
# A row without a line distinguishes a job that has none from one that does not exist.
_LOG = """
SELECT l.* FROM ml_jobs j LEFT JOIN LATERAL (
    SELECT id, created_at, attempt, level, message, detail FROM ml_job_log
    WHERE job_id = j.id AND id > %(after)s ORDER BY id {way} LIMIT %(limit)s
) l ON true WHERE j.id = %(job_id)s ORDER BY l.id {way}"""


class PostgresJobStore:
    """Jobs in PostgreSQL with Procrastinate as their queue; implements `kurswerk.jobs.JobStore`.

    Parameters
    ----------
    kinds
        Other kinds are refused; their hooks are called when a job is cancelled or tried again, in the same transaction.
    """

    def __init__(self, database: Database, kinds: JobKinds) -> None:
        self._database = database
        self._kinds = kinds

    def transaction(self) -> AbstractContextManager[object]:
        """Join all that stores of the same `Database` do inside the block into one transaction."""
        return self._database.transaction()

    def order(
        self,
        job_type: str,
        request: Mapping[str, Any],
        *,
        model_id: int | None = None,
        priority: int = DEFAULT_PRIORITY,
        request_id: str | None = None,
    ) -> int:
        """Insert a PENDING job and put it in the queue, both or neither; return its id.

        Raises
        ------
        UnknownNameError
            For an unknown type of job.
        """
        self._kinds.named(job_type)
        with self._database.transaction() as connection:
            row = connection.execute(
                "INSERT INTO ml_jobs (job_type, request, result_model_id, priority, request_id, progress_msg,"
                " progress_detail) VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING id",
                [job_type, jsonb(request), model_id, priority, request_id, *stored_message(_WAITING).values()],
            ).fetchone()
            job_id = int(row[0]) if row else 0
            enqueue(connection, job_id, priority)
        return job_id

    def get(self, job_id: int) -> Job:
        """Return a job.

        Raises
        ------
        NotFoundError
            If there is none with this id.
        """
        if abs(job_id) <= _LARGEST_ID:
            with self._database.connection() as connection:
                found = _select(connection, sql.SQL("WHERE id = %(id)s"), {"id": job_id})
            if found:
                return found[0]
        raise NotFoundError("job.not_found", id=job_id)

    def find(
        self,
        *,
        status: str | None = None,
        job_type: str | None = None,
        limit: int = 100,
        offset: int = 0,
        sort: str = "id",
        descending: bool = True,
    ) -> Sequence[Job]:
        """Return jobs, newest first unless sorted otherwise.

        Raises
        ------
        UnknownNameError
            For an unknown status, type or column to sort by.
        InvalidInputError
            If ``limit`` or ``offset`` is negative.
        """
        if status is not None:
            _refuse_unknown("list.unknown_status", status, JOB_STATUSES)
        if job_type is not None:
            self._kinds.named(job_type)
        _refuse_unknown("list.unknown_sort_column", sort, JOB_SORTS)
        if limit < 0 or offset < 0:
            raise InvalidInputError("list.negative_limit", limit=limit, offset=offset)
        filters = {"status": status, "job_type": job_type}
        given = {name: value for name, value in filters.items() if value is not None}
        conditions = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in given]
        columns = dict.fromkeys((sort, "id"))
        way = sql.SQL("DESC" if descending else "ASC")
        order = sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(name), way) for name in columns)
        where = sql.SQL("WHERE ") + sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("")
        tail = sql.SQL("{} ORDER BY {} LIMIT %(limit)s OFFSET %(offset)s").format(where, order)
        with self._database.connection() as connection:
            return _select(connection, tail, {**given, "limit": limit, "offset": offset})

    def log(self, job_id: int, *, after: int = 0, limit: int = 100, newest_first: bool = False) -> Sequence[JobLine]:
        """Return the lines of a job after one of them, in the order in which they were written, in one query.

        Parameters
        ----------
        after
            A line's id; 0 is before the first.
        limit
            How many at most: the oldest after that one, or with ``newest_first`` the newest, in reverse order.

        Raises
        ------
        NotFoundError
            If there is no such job.
        InvalidInputError
            If ``after`` or ``limit`` is negative.
        """
        if after < 0 or limit < 0:
            raise InvalidInputError("list.negative_after", after=after, limit=limit)
        query = sql.SQL(_LOG).format(way=sql.SQL("DESC" if newest_first else "ASC"))
        given = {"job_id": min(job_id, _LARGEST_ID), "after": min(after, _LARGEST_ID), "limit": limit}
        with self._database.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(query, given).fetchall()
        if not rows:
            raise NotFoundError("job.not_found", id=job_id)
        return [_line_of(row) for row in rows if row["id"]]

    def cancel(self, job_id: int) -> Job:
        """Turn a PENDING or RUNNING job CANCELLED; the worker that runs it stops within a second.

        The kind's hook cleans up after it: the model of a training is deleted, so that its name is free again.

        Raises
        ------
        NotFoundError
            If there is no such job.
        ConflictError
            If it is finished already.
        """
        with self._database.transaction() as connection:
            row = connection.execute(
                "UPDATE ml_jobs SET status = 'CANCELLED', error_msg = %s, error_detail = %s, completed_at = now()"
                " WHERE id = %s AND status IN ('PENDING', 'RUNNING') RETURNING procrastinate_id",
                [*stored_message(_CANCELLED).values(), min(job_id, _LARGEST_ID)],
            ).fetchone()
            job = self.get(job_id)
            if row is None:
                raise ConflictError("job.not_cancellable", id=job_id, status=job.status)
            write_line(connection, job_id, job.attempt, _CANCELLED, level="warning")
            withdraw(connection, row[0])
            self._kinds.hooks_of(job).cancelled(job, _CANCELLED)
        return job

    def retry(self, job_id: int) -> Job:
        """Turn a FAILED or CANCELLED job PENDING again, with all its tries anew.

        Raises
        ------
        NotFoundError
            If there is no such job.
        ConflictError
            If the job is not FAILED or CANCELLED, or another model has taken the name meanwhile.
        """
        with self._database.transaction() as connection:
            row = connection.execute(
                "UPDATE ml_jobs SET status = 'PENDING', interruptions = attempt, progress = 0, error_msg = NULL,"
                " error_detail = NULL, progress_msg = %s, progress_detail = %s, completed_at = NULL"
                " WHERE id = %s AND status IN ('FAILED', 'CANCELLED') RETURNING priority",
                [*stored_message(_WAITING).values(), min(job_id, _LARGEST_ID)],
            ).fetchone()
            job = self.get(job_id)
            if row is None:
                raise ConflictError("job.not_retryable", id=job_id, status=job.status)
            self._kinds.hooks_of(job).retried(job)
            write_line(connection, job_id, job.attempt, Message("job.ordered_again"))
            enqueue(connection, job_id, job.priority)
        return job

    def complete(self, job: Job, save: Callable[[], JobResult]) -> None:
        """Turn a RUNNING job COMPLETED and call ``save``, which stores its result, in one transaction.

        Raises
        ------
        ConflictError
            If this run of the job is no longer the current one: cancelled, or put back as stalled. Nothing is stored.
        """
        with self._database.transaction() as connection:
            # The job's row first: whoever cancels takes the locks in the same order.
            done = connection.execute(
                "UPDATE ml_jobs SET status = 'COMPLETED', progress = 1, progress_msg = %s, progress_detail = %s,"
                " error_msg = NULL, error_detail = NULL, completed_at = now()"
                " WHERE id = %s AND attempt = %s AND status = 'RUNNING'",
                [*stored_message(_DONE).values(), job.id, job.attempt],
            )
            if not done.rowcount:
                raise ConflictError("job.run_superseded", attempt=job.attempt, id=job.id)
            result = save()
            connection.execute(
                "UPDATE ml_jobs SET result = %s, result_test_id = %s, result_comparison_id = %s WHERE id = %s",
                [jsonb(result.document.model_dump(mode="json")), result.test_id, result.comparison_id, job.id],
            )
            write_line(connection, job.id, job.attempt, _DONE)


def _refuse_unknown(code: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise UnknownNameError(code, name=name, known=known)


def _select(connection: Connection[Any], tail: sql.Composable, parameters: Mapping[str, Any]) -> list[Job]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return [job_of(row) for row in cursor.execute(sql.SQL("SELECT * FROM ml_jobs ") + tail, parameters)]


def job_of(row: DictRow) -> Job:
    """Return a row of ``ml_jobs`` as a `Job`."""
    values = {field.name: row[field.name] for field in fields(Job)}
    moments = {name: value.astimezone(UTC) for name, value in values.items() if isinstance(value, datetime)}
    details = {name: message_of(row[name]) for name in ("progress_detail", "error_detail")}
    return Job(**{**values, **moments, **details, "request": row["request"] or {}})


def _line_of(row: DictRow) -> JobLine:
    created_at = row["created_at"].astimezone(UTC)
    return JobLine(**{**row, "created_at": created_at, "detail": message_of(row["detail"])})
