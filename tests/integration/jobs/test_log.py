"""The log of a job: what happens to it, in order, once, without secrets, and not without end."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from database import clone_of
from kurswerk.core.errors import ConflictError, InvalidInputError, NotFoundError
from kurswerk.core.messages import Message
from kurswerk.jobs import Job
from kurswerk.storage.jobs._log import MOST_LINES
from kurswerk.storage.server import Database
from working_jobs import job_store, nothing, run_store

PlanOf = Callable[[Callable[[], object]], str]
Line = tuple[int, str, str]


@pytest.fixture(scope="module")
def kept(server_url: str, template_name: str) -> Iterator[Database]:
    """A database for many jobs, one after another."""
    with contextmanager(clone_of)(server_url, template_name) as database:
        pooled = Database(database.url, pool_size=2)
        yield pooled
        pooled.close()


def begun(database: Database, job_id: int, worker: str = "w") -> Job | None:
    """Begin a run as a worker does, if the job waits for one."""
    with database.connection() as connection:
        row = connection.execute("SELECT procrastinate_id FROM ml_jobs WHERE id = %s", [job_id]).fetchone()
    return run_store(database).start(job_id, row[0] if row else 0, worker)


def running(database: Database) -> Job:
    job = begun(database, job_store(database).order("TEST", {}))
    assert job is not None
    return job


def messages(database: Database, job_id: int) -> list[Line]:
    lines = job_store(database).log(job_id, limit=10 * MOST_LINES)
    return [(line.attempt, line.level, line.message) for line in lines]


def fill(database: Database, job: Job, lines: int) -> None:
    """Add lines until there are so many."""
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO ml_job_log (job_id, attempt, level, message) SELECT %s, %s, 'info', 'line' || n"
            " FROM generate_series(1, %s - (SELECT count(*) FROM ml_job_log WHERE job_id = %s)) n",
            [job.id, job.attempt, lines, job.id],
        )


@dataclass
class ExpectedLog:
    """What the log of a job is to hold, worked out without the store."""

    status: str = "PENDING"
    attempt: int = 0
    tries: int = 0
    progress: str = ""
    lines: list[Line] = field(default_factory=list)

    def add(self, message: str, level: str = "info") -> None:
        self.lines.append((self.attempt, level, message))

    def happens(self, what: str) -> None:
        if what == "begin" and self.status == "PENDING":
            self.status, self.attempt, self.tries, self.progress = "RUNNING", self.attempt + 1, self.tries + 1, ""
            self.add(f"try {self.tries} of 3, worker w")
        elif what == "cancel" and self.status in {"PENDING", "RUNNING"}:
            self.status = "CANCELLED"
            self.add("cancelled before it was finished", "warning")
        elif what == "retry" and self.status in {"FAILED", "CANCELLED"}:
            self.status, self.tries = "PENDING", 0
            self.add("ordered to run again")
        elif self.status == "RUNNING":
            self.at_work(what)

    def at_work(self, what: str) -> None:
        if what.startswith("fold") and what != self.progress:
            self.progress = what
            self.add(what)
        elif what == "fail":
            self.status = "FAILED"
            self.add("no rows", "error")
        elif what == "complete":
            self.status = "COMPLETED"
            self.add("done")
        elif what == "die" and self.tries == 3:
            self.status = "FAILED"
            self.add("given up after 3 tries: killed", "error")
        elif what in {"die", "stop"}:
            self.status, self.tries = "PENDING", self.tries - (what == "stop")
            self.add(f"{'killed' if what == 'die' else 'stopped'}; waiting to run again", "warning")


def happen(database: Database, job: Job, what: str) -> Job:
    """Let it happen to a job and return its newest run."""
    jobs, runs = job_store(database), run_store(database)
    with suppress(ConflictError):
        if what == "begin":
            return begun(database, job.id) or job
        if what.startswith("fold"):
            runs.report(job, 0.5, Message(what))
        elif what == "fail":
            runs.fail(job, Message("no rows"))
        elif what in {"die", "stop"}:
            runs.put_back(job, Message("killed" if what == "die" else "stopped"), counted=what == "die")
        elif what == "complete":
            jobs.complete(job, nothing)
        else:
            getattr(jobs, what)(job.id)
    return job


STEPS = ("begin", "begin", "fold 1 of 2", "fold 2 of 2", "die", "stop", "fail", "complete", "cancel", "retry")


@settings(max_examples=30)
@example(steps=["begin", "fold 1 of 2", "fold 1 of 2", "fold 2 of 2", "fold 1 of 2"], parts=[1, 3] * 10)
@example(steps=["begin", "die", "begin", "die", "begin", "stop", "begin", "die", "retry", "begin"], parts=[2] * 20)
@given(steps=st.lists(st.sampled_from(STEPS), max_size=14), parts=st.lists(st.integers(1, 4), min_size=20, max_size=20))
def test_the_log_is_what_happened(kept: Database, steps: Sequence[str], parts: Sequence[int]):
    jobs, expected = job_store(kept), ExpectedLog()
    job = jobs.get(jobs.order("TEST", {}))
    for step in steps:
        expected.happens(step)
        job = happen(kept, job, step)
    assert messages(kept, job.id) == expected.lines
    assert jobs.get(job.id).status == expected.status

    whole = jobs.log(job.id)
    assert [line.created_at for line in whole] == sorted(line.created_at for line in whole)
    read = []
    for part in parts:  # however it is read
        read += jobs.log(job.id, after=read[-1].id if read else 0, limit=part)
    assert read == whole
    assert jobs.log(job.id, newest_first=True) == whole[::-1]
    assert jobs.log(job.id, newest_first=True, limit=2) == whole[::-1][:2]


def test_what_a_stalled_run_writes_is_not_in_the_log(database: Database):
    old = running(database)
    run_store(database).put_back(old, Message("silent"), counted=True)
    begun(database, old.id)
    before = messages(database, old.id)
    run_store(database).report(old, 0.5, Message("late"))
    assert not run_store(database).fail(old, Message("late"))
    with pytest.raises(ConflictError):
        job_store(database).complete(old, nothing)
    assert messages(database, old.id) == before


def test_a_line_stands_and_falls_with_its_transaction(database: Database):
    jobs, job = job_store(database), running(database)
    with suppress(ConflictError), jobs.transaction():
        jobs.complete(job, nothing)
        raise ConflictError("the result could not be stored")
    assert messages(database, job.id) == [(1, "info", "try 1 of 3, worker w")]


def test_a_try_that_writes_too_much_is_cut_but_never_its_end(database: Database):
    runs, job = run_store(database), running(database)
    fill(database, job, MOST_LINES - 11)
    for step in range(3):
        runs.report(job, 0.5, Message(f"step {step}"))
    assert len(messages(database, job.id)) == MOST_LINES - 10
    assert job_store(database).get(job.id).progress_msg == "step 2"
    runs.put_back(job, Message("killed"), counted=True)
    assert messages(database, job.id)[-1] == (1, "warning", "killed; waiting to run again")
    again = begun(database, job.id)
    assert again is not None
    runs.report(again, 0.5, Message("room again"))
    assert messages(database, job.id)[-1] == (2, "info", "room again")


def test_a_job_that_is_cancelled_and_ordered_again_without_end_fills_nothing(database: Database):
    jobs, job = job_store(database), running(database)
    fill(database, job, MOST_LINES - 1)
    for _ in range(3):
        jobs.cancel(job.id)
        jobs.retry(job.id)
    assert len(messages(database, job.id)) == MOST_LINES
    assert jobs.get(job.id).status == "PENDING"


def test_secrets_do_not_reach_the_log_nor_the_job(database: Database):
    runs, job = run_store(database), running(database)
    runs.report(job, 0.5, Message("client.service_message", text="with password=hidden\0"))
    cause = Message("client.service_message", text="postgresql://me:hidden@host/db with kw_hidden-hidden-hidden")
    runs.fail(job, Message("job.put_back", reason=cause))
    reason = "postgresql://me:***@host/db with kw_***; waiting to run again"
    assert messages(database, job.id)[1:] == [(1, "info", "with password=***"), (1, "error", reason)]
    assert job_store(database).get(job.id).error_msg == reason
    with database.connection() as connection:
        kept = connection.execute("SELECT ml_jobs::text FROM ml_jobs UNION ALL SELECT ml_job_log::text FROM ml_job_log")
        assert not any("hidden" in row[0] for row in kept)


def test_messages_come_back_in_every_language(database: Database):
    jobs, runs, job = job_store(database), run_store(database), running(database)
    fold = Message("progress.fold", number=2, folds=5, count=1200)
    runs.report(job, 0.5, fold)
    assert (jobs.get(job.id).progress_msg, jobs.get(job.id).progress_detail) == ("fold 2 of 5: 1,200 rows", fold)
    runs.put_back(job, Message("job.worker_stopped"), counted=False)
    waiting = jobs.get(job.id)
    assert waiting.error_detail == Message("job.worker_stopped")
    assert [line.detail and line.detail.render("de") for line in jobs.log(job.id)] == [
        "Versuch 1 von 3, Arbeiter w",
        "Teilung 2 von 5: 1.200 Zeilen",
        "Sein Arbeiter wurde angehalten; wartet auf den nächsten Lauf",
    ]
    jobs.cancel(job.id)
    assert jobs.retry(job.id).error_detail is None


def test_text_of_older_versions_and_codes_of_later_ones_are_shown_as_text(database: Database):
    job = running(database)
    run_store(database).report(job, 0.5, Message("of.a.later.version", count=3))
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO ml_job_log (job_id, attempt, level, message) VALUES (%s, 1, 'info', 'old')", [job.id]
        )
    found = job_store(database).get(job.id)
    assert (found.progress_msg, found.progress_detail) == ("of.a.later.version", None)
    assert [(line.message, line.detail) for line in job_store(database).log(job.id)[1:]] == [
        ("of.a.later.version", None),
        ("old", None),
    ]


def test_the_log_goes_with_its_job(database: Database):
    kept, gone = running(database), running(database)
    with database.connection() as connection:
        connection.execute("DELETE FROM ml_jobs WHERE id = %s", [gone.id])
        assert connection.execute("SELECT DISTINCT job_id FROM ml_job_log").fetchall() == [(kept.id,)]
    with pytest.raises(NotFoundError, match=f"there is no job {gone.id}"):
        job_store(database).log(gone.id)


@pytest.mark.parametrize("wrong", [{"after": -1}, {"limit": -1}])
def test_what_makes_no_sense_is_refused(database: Database, wrong: dict[str, int]):
    with pytest.raises(InvalidInputError, match="-1"):
        job_store(database).log(1, **wrong)


def test_numbers_beyond_the_database_find_nothing(database: Database):
    job = running(database)
    assert job_store(database).log(job.id, after=2**70) == []
    assert job_store(database).log(job.id, limit=0) == []
    with pytest.raises(NotFoundError):
        job_store(database).log(2**70)


@pytest.mark.parametrize("newest_first", [False, True])
def test_lines_after_one_are_read_from_the_index(database: Database, plan_of_list: PlanOf, newest_first: bool):
    with database.connection() as connection:
        connection.execute("INSERT INTO ml_jobs (job_type) SELECT 'TEST' FROM generate_series(1, 200)")
        connection.execute(
            "INSERT INTO ml_job_log (job_id, attempt, level, message)"
            " SELECT j, 1, 'info', 'line' FROM generate_series(1, 100) n, generate_series(1, 200) j"
        )
    with database.connection() as connection:
        connection.execute("ANALYZE ml_jobs, ml_job_log")
    jobs = job_store(database)
    plan = plan_of_list(lambda: jobs.log(7, after=5000, newest_first=newest_first))
    assert "ml_job_log_pkey" in plan, plan
    assert "Seq Scan on ml_job_log" not in plan, plan
