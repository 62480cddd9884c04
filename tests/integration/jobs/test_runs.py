"""PostgresRunStore: begun once, fenced off once they are stalled, given up after their tries."""

from typing import Any

import pytest

from kurswerk.core.errors import ConflictError
from kurswerk.core.messages import Message
from kurswerk.jobs import Job
from kurswerk.storage.jobs import PostgresJobStore, PostgresRunStore
from kurswerk.storage.registry import PostgresModelStore
from kurswerk.storage.server import Database
from working_jobs import nothing, run_store


@pytest.fixture
def runs(database: Database) -> PostgresRunStore:
    return run_store(database)


def rows(database: Database, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with database.connection() as connection:
        return connection.execute(query, parameters or None).fetchall()  # type: ignore[call-overload]


def change(database: Database, statement: str) -> None:
    with database.connection() as connection:
        connection.execute(statement)  # type: ignore[call-overload]


def entry_of(database: Database, job_id: int) -> int:
    return int(rows(database, "SELECT procrastinate_id FROM ml_jobs WHERE id = %s", job_id)[0][0])


def begun(database: Database, runs: PostgresRunStore, job_id: int) -> Job:
    job = runs.start(job_id, entry_of(database, job_id), "w")
    assert job is not None
    return job


def queue_entries(database: Database) -> list[tuple[Any, ...]]:
    return rows(database, "SELECT (args->>'job_id')::bigint, status::text FROM procrastinate_jobs ORDER BY id")


def silent(database: Database) -> None:
    change(database, "UPDATE ml_jobs SET heartbeat_at = now() - interval '100 days'")


def test_a_run_begins_once_and_for_its_queue_entry_alone(
    database: Database, runs: PostgresRunStore, jobs: PostgresJobStore
):
    job_id = jobs.order("TEST", {})
    assert runs.start(job_id, entry_of(database, job_id) + 1, "w") is None
    job = begun(database, runs, job_id)
    assert (job.status, job.attempt, job.worker_id, job.progress) == ("RUNNING", 1, "w", 0)
    assert job.started_at is not None
    assert runs.start(job_id, entry_of(database, job_id), "v") is None


def test_a_stalled_run_can_change_nothing(database: Database, runs: PostgresRunStore, jobs: PostgresJobStore):
    job_id = jobs.order("TEST", {})
    old = begun(database, runs, job_id)
    assert runs.beat({job_id: 1}) == {job_id}
    assert runs.put_back(old, Message("silent"), counted=True)
    for attempt in (1, 2):  # while it waits, and while another run is on
        assert runs.beat({job_id: 1}) == set()
        runs.report(old, 0.5, Message("half"))
        assert not runs.fail(old, Message("no"))
        assert not runs.put_back(old, Message("no"), counted=True)
        with pytest.raises(ConflictError):
            jobs.complete(old, nothing)
        job = jobs.get(job_id)
        assert (job.progress, job.error_msg) == (0, "silent")
        if attempt == 1:
            begun(database, runs, job_id)
    jobs.complete(jobs.get(job_id), nothing)
    assert jobs.get(job_id).status == "COMPLETED"


def test_progress_stays_between_0_and_1(database: Database, runs: PostgresRunStore, jobs: PostgresJobStore):
    job = begun(database, runs, jobs.order("TEST", {}))
    for fraction, kept in ((-1.0, 0.0), (0.25, 0.25), (7.0, 1.0)):
        runs.report(job, fraction, Message("at\0work"))
        assert (jobs.get(job.id).progress, jobs.get(job.id).progress_msg) == (kept, "at�work")


def test_tries_are_counted_and_interruptions_are_not(
    database: Database,
    runs: PostgresRunStore,
    jobs: PostgresJobStore,
    models: PostgresModelStore,
    training: tuple[int, int],
):
    job_id, model_id = training
    for _ in range(5):
        assert runs.put_back(begun(database, runs, job_id), Message("stopped"), counted=False)
    for _ in range(2):
        assert runs.put_back(begun(database, runs, job_id), Message("died"), counted=True)
    assert queue_entries(database)[-1] == (job_id, "todo")
    assert runs.put_back(begun(database, runs, job_id), Message("died"), counted=True)
    assert (jobs.get(job_id).status, jobs.get(job_id).error_msg) == ("FAILED", "given up after 3 tries: died")
    assert (models.get(model_id).status, models.get(model_id).error_msg) == ("FAILED", "given up after 3 tries: died")
    jobs.retry(job_id)
    assert runs.put_back(begun(database, runs, job_id), Message("died"), counted=True)
    assert jobs.get(job_id).status == "PENDING"


def test_a_job_interrupted_without_end_is_given_up(database: Database, runs: PostgresRunStore, jobs: PostgresJobStore):
    job_id = jobs.order("TEST", {})
    for _ in range(30):
        assert jobs.get(job_id).status == "PENDING"
        runs.put_back(begun(database, runs, job_id), Message("no database"), counted=False)
    assert jobs.get(job_id).error_msg == "given up after 30 tries: no database"


def test_the_sweep_puts_silent_runs_back(database: Database, runs: PostgresRunStore, jobs: PostgresJobStore):
    loud, quiet = begun(database, runs, jobs.order("TEST", {})), begun(database, runs, jobs.order("TEST", {}))
    silent(database)
    assert runs.sweep(50 * 86_400) == []  # the server is up for less: workers may have had no database to report to
    with database.transaction():  # both at one moment
        runs.beat({loud.id: 1})
        swept = runs.sweep(1)
    assert [job.id for job in swept] == [quiet.id]
    job = jobs.get(quiet.id)
    assert (job.status, jobs.get(loud.id).status) == ("PENDING", "RUNNING")
    assert job.error_msg is not None
    assert "worker w gave no sign of life" in job.error_msg


def test_one_sweep_at_a_time(database: Database, runs: PostgresRunStore, jobs: PostgresJobStore):
    begun(database, runs, jobs.order("TEST", {}))
    silent(database)
    with Database(database.url).transaction() as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [0x4B75_7273_5377_6570])
        assert runs.sweep(1) == []
    assert len(runs.sweep(1)) == 1


@pytest.mark.parametrize(
    "loss",
    [
        "DELETE FROM procrastinate_jobs",
        (
            "UPDATE procrastinate_jobs SET status = 'doing';"
            "UPDATE procrastinate_events SET at = now() - interval '1 minute'"
        ),
        "UPDATE procrastinate_jobs SET status = 'failed'",
        "UPDATE ml_jobs SET procrastinate_id = NULL",
    ],
)
def test_the_sweep_gives_a_lost_job_a_new_queue_entry(
    database: Database, runs: PostgresRunStore, jobs: PostgresJobStore, loss: str
):
    job_id = jobs.order("TEST", {})
    before = entry_of(database, job_id)
    change(database, loss)
    runs.sweep(15)
    assert entry_of(database, job_id) != before
    assert begun(database, runs, job_id).attempt == 1


def test_the_sweep_clears_away_what_dead_workers_left(
    database: Database, runs: PostgresRunStore, jobs: PostgresJobStore
):
    job_id = jobs.order("TEST", {})
    change(
        database,
        "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour');"
        "UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT id FROM procrastinate_workers)",
    )
    jobs.complete(begun(database, runs, job_id), nothing)
    runs.sweep(15)
    assert queue_entries(database) == []
    assert rows(database, "SELECT * FROM procrastinate_workers") == []


def test_the_sweep_leaves_waiting_jobs_alone(database: Database, runs: PostgresRunStore, jobs: PostgresJobStore):
    job_id = jobs.order("TEST", {})
    before = entry_of(database, job_id)
    runs.sweep(0.01)
    assert entry_of(database, job_id) == before
    assert queue_entries(database) == [(job_id, "todo")]
