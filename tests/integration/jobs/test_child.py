"""What a job process does, looked at from inside: locks, endings, reports."""

import contextlib
import io
import threading
from collections.abc import Callable

import pytest
from pydantic import BaseModel

from kurswerk.core.errors import DatabaseUnavailableError
from kurswerk.core.messages import Message
from kurswerk.jobs import Ending, Job, JobResult, JobService, Progress
from kurswerk.storage.jobs import PostgresJobLock, _lock
from kurswerk.storage.jobs._lock import LOCK_SPACE, _watch
from kurswerk.storage.server import Database
from kurswerk.workers import _child
from kurswerk.workers._child import JobAccess, _carry_out, _receive, _Reporter
from kurswerk.workers._messages import Assignment, Report, decode, encode
from kurswerk.workers._process import DATABASE_LOST
from waiting import until
from working_jobs import environment_of, run_store

Work = Callable[[Job, JobService, Progress], None]


class Nothing(BaseModel):
    """The result of work that leaves none."""


class Exited(BaseException):
    """In place of the end of the process."""


@pytest.fixture
def job(database: Database) -> Job:
    """A job that has just been begun."""
    with database.transaction() as connection:
        job_id = environment_of(database).jobs.order("TEST", {})
        entry = connection.execute("SELECT procrastinate_id FROM ml_jobs").fetchone()
    begun = run_store(database).start(job_id, entry[0] if entry else 0, "w")
    assert begun is not None
    return begun


def carried_out(database: Database, job: Job, monkeypatch: pytest.MonkeyPatch, work: Work) -> Ending:
    monkeypatch.setattr(JobService, "run", lambda self, job, progress: work(job, self, progress))
    return carry_out(database, job)


def carry_out(database: Database, job: Job) -> Ending:
    access = JobAccess(environment_of(database).service, PostgresJobLock(Database(database.url)))
    return _carry_out(Assignment(job.id, job.attempt), access, io.BytesIO())


def failing(error: BaseException) -> Work:
    def work(job: Job, jobs: JobService, progress: Progress) -> None:
        raise error

    return work


def locks(database: Database) -> int:
    with database.connection() as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
            " WHERE l.locktype = 'advisory' AND d.datname = current_database()"
        ).fetchone()
    return row[0] if row else -1


def test_the_lock_is_held_while_the_job_runs(database: Database, job: Job, monkeypatch: pytest.MonkeyPatch):
    held = []

    def work(job: Job, jobs: JobService, progress: Progress) -> None:
        held.append(locks(database))
        jobs.store.complete(job, lambda: JobResult(Nothing()))

    assert carried_out(database, job, monkeypatch, work) == Ending("completed")
    assert held == [1]
    until(lambda: locks(database) == 0, what="the server sees that the connection is closed")


def test_a_job_never_runs_twice_at_once(database: Database, job: Job, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_lock, "_WAIT_S", 0.3)
    with Database(database.url).connection() as other:
        other.execute("SELECT pg_advisory_lock(%s)", [LOCK_SPACE + job.id])
        ending = carried_out(database, job, monkeypatch, failing(AssertionError("it ran")))
    assert ending == Ending("interrupted", Message("job.interrupted_by_other"))


def test_a_cancelled_job_is_not_begun(database: Database, job: Job, monkeypatch: pytest.MonkeyPatch):
    environment_of(database).jobs.cancel(job.id)
    ending = carried_out(database, job, monkeypatch, failing(AssertionError("it ran")))
    assert ending == Ending("interrupted", Message("job.interrupted_meanwhile"))


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (DatabaseUnavailableError("gone"), Ending("interrupted", Message("gone"))),
        (MemoryError(), Ending("failed", Message("job.out_of_memory"))),
        (
            ZeroDivisionError("by zero"),
            Ending("failed", Message("job.unexpected_error", type="ZeroDivisionError", reason="by zero")),
        ),
    ],
)
def test_every_error_is_an_ending(
    database: Database, job: Job, monkeypatch: pytest.MonkeyPatch, error: Exception, ending: Ending
):
    assert carried_out(database, job, monkeypatch, failing(error)) == ending


def test_work_that_fails_for_a_known_reason_names_it(database: Database, job: Job):
    ending = carry_out(database, job)
    assert ending.outcome == "failed"
    assert "model_id: Field required" in str(ending.reason)


def test_a_kind_of_job_that_this_version_lacks_fails_with_what_there_is(database: Database, job: Job):
    with database.connection() as connection:
        connection.execute("UPDATE ml_jobs SET job_type = 'TRIAN'")
    ending = carry_out(database, job)
    hint = Message("hint.did_you_mean", name="TRAIN")
    assert ending == Ending("failed", Message("job.unknown_type", name="TRIAN", hint=hint))
    assert run_store(database).fail(job, ending.reason)
    assert environment_of(database).jobs.get(job.id).status == "FAILED"


def test_reports_come_at_most_twice_a_second(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr(_child.time, "monotonic", lambda: now[0])
    output = io.BytesIO()
    report = _Reporter(output)
    for step in range(101):
        now[0] = step / 50
        report(step / 100, Message(f"step {step}"))
    received = [decode(line) for line in output.getvalue().splitlines()]
    assert received == [Report(step / 100, Message(f"step {step}")) for step in (0, 25, 50, 75, 100)]


def test_a_lost_lock_ends_the_process(database: Database, monkeypatch: pytest.MonkeyPatch):
    codes: list[int] = []
    monkeypatch.setattr(_child.os, "_exit", codes.append)
    monkeypatch.setattr(_lock, "_CHECK_S", 0.01)
    done = threading.Event()
    done.set()
    with database.connection() as connection:
        connection.autocommit = True
        _watch(connection, done, _child._exit_without_database)
        done.clear()
        with database.connection() as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])
        _watch(connection, done, _child._exit_without_database)
    assert codes == [DATABASE_LOST]


def test_the_end_of_the_worker_ends_the_process(monkeypatch: pytest.MonkeyPatch):
    received: list[object] = []

    class Orders:
        put = staticmethod(received.append)

    def leave(code: int) -> None:
        raise Exited

    monkeypatch.setattr(_child.os, "_exit", leave)
    with contextlib.suppress(Exited):
        _receive(io.BytesIO(encode(Assignment(1, 1))), Orders())  # type: ignore[arg-type]
    assert received == [Assignment(1, 1)]
