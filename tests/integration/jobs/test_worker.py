"""Workers on a real database: work, cancel, stop, crashes of the process that runs a job."""

import asyncio
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from job_orders import (
    NO_FILES,
    JobEnvironment,
    order_certificate,
    order_comparison,
    order_features,
    order_test,
    order_training,
)
from kurswerk.bootstrap.worker_part import open_worker
from kurswerk.core.digest import sha256_bytes
from kurswerk.core.timestamps import MINUTE_US
from kurswerk.jobs import Job
from kurswerk.storage.jobs import workers_status
from kurswerk.storage.server import Database
from kurswerk.training import Period
from kurswerk.workers import Worker, WorkerEvent, _worker
from memory_market import START_US, a_spec
from waiting import until
from working_jobs import broken_promises, children_of, kill, market_environment, start_worker, until_async, working

LATER = Period(START_US + 401 * MINUTE_US, START_US + 599 * MINUTE_US)
# Long enough to be caught at work.
LONG = {"params": {"n_estimators": 3000, "max_depth": 6}, "cv_splits": 5}


@pytest.fixture
def env(database: Database) -> JobEnvironment:
    return market_environment(database)


def status(env: JobEnvironment, job_id: int) -> str:
    return env.jobs.get(job_id).status


def queue_entries(database: Database) -> dict[int, int]:
    """Return the queue entry of every job."""
    with database.connection() as connection:
        return dict(connection.execute("SELECT id, procrastinate_id FROM ml_jobs").fetchall())


async def run_entry(worker: Worker, database: Database, job_id: int) -> None:
    """Have a worker run a job as if it had fetched the queue entry."""
    context: Any = SimpleNamespace(job=SimpleNamespace(id=queue_entries(database)[job_id]))
    await worker._run_entry(context, job_id)


def listens(database: Database) -> bool:
    """Return whether a worker receives the queue's notifications."""
    with database.connection() as connection:
        return bool(
            connection.execute(
                "SELECT FROM pg_stat_activity"
                " WHERE datname = current_database() AND state = 'idle' AND query LIKE 'LISTEN %'"
            ).fetchall()
        )


def alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):  # reaped between two looks
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def test_all_kinds_of_jobs_are_done(database: Database, env: JobEnvironment):
    async def scenario() -> None:
        async with working(database) as (worker, events):
            first = order_training(a_spec(), env, request_id="r1")
            second = order_training(a_spec(name="other", params={"n_estimators": 20}), env)
            await until_async(lambda: env.jobs.get(first.id).finished and env.jobs.get(second.id).finished)
            assert status(env, first.id) == "COMPLETED", env.jobs.get(first.id)
            more = [
                order_test("small", LATER, None, env),
                order_test("small", LATER, ["COIN1"], env),
                order_comparison("small", "other", LATER, None, env),
                order_certificate("other", env),
            ]
            await until_async(lambda: all(env.jobs.get(job.id).finished for job in more))
            assert [status(env, job.id) for job in more] == ["COMPLETED"] * 4
            assert worker.worker_id == env.jobs.get(first.id).worker_id
            assert [e.kind for e in events if e.job.id == first.id and e.kind != "progress"] == ["started", "completed"]
            await until_async(lambda: [s.running for s in workers_status(database)] == [0])
            messages = [line.message for line in env.jobs.log(first.id)]
            assert (messages[0], messages[-1]) == (f"try 1 of 3, worker {worker.worker_id}", "done")
            assert len(messages) > 2
        model = env.models.get("small")
        assert model.status == "READY"
        assert model.certificate is not None
        assert model.certificate["certified"]
        assert model.certificate["artifact_sha256"] == model.artifact_sha256
        assert len(env.results.tests_of(model.id)) == 3
        assert workers_status(database) == []
        assert broken_promises(database) == []

    asyncio.run(scenario())


def test_work_that_cannot_succeed_fails_with_its_reason(database: Database, env: JobEnvironment):
    async def scenario() -> None:
        job = order_training(a_spec(min_percent_change=1e6), env)
        async with working(database):
            await until_async(lambda: env.jobs.get(job.id).finished)
        failed = env.jobs.get(job.id)
        assert (failed.status, failed.attempt) == ("FAILED", 1)
        assert failed.error_msg is not None
        assert "rows of the training period have the label 0" in failed.error_msg
        assert env.models.get("small").error_msg == failed.error_msg
        assert env.jobs.retry(job.id).status == "PENDING"
        assert env.models.get("small").status == "TRAINING"

    asyncio.run(scenario())


def test_features_are_exported_and_again_byte_by_byte(database: Database, env: JobEnvironment, tmp_path: Path):
    async def scenario() -> None:
        period = {"start_us": START_US, "end_us": LATER.end_us}
        job = order_features(env, **period, features=["price_*", "rsi_14"])
        async with working(database, tmp_path):
            await until_async(lambda: env.jobs.get(job.id).finished)
            done = env.jobs.get(job.id)
            assert done.status == "COMPLETED", done
            assert done.result is not None
            again = order_features(env, **period, features=list(done.request["features"]))
            await until_async(lambda: env.jobs.get(again.id).finished)
        other = env.jobs.get(again.id).result
        assert other is not None
        assert done.result["rows"] == 4 * 600
        assert done.result["sha256"] == other["sha256"] == sha256_bytes((tmp_path / other["path"]).read_bytes())
        assert done.result["path"] != other["path"]
        assert not list(tmp_path.rglob("*.part"))
        assert broken_promises(database) == []

    asyncio.run(scenario())


def test_a_running_job_ends_when_its_worker_is_notified_of_the_cancellation(
    database: Database, env: JobEnvironment, monkeypatch: pytest.MonkeyPatch
):
    # Nobody looks by himself: what ends the run is the database's notification.
    monkeypatch.setattr(_worker, "_ABORT_POLL_S", 600)

    async def scenario() -> None:
        async with working(database, heartbeat_s=600) as (worker, events):
            await until_async(lambda: listens(database))
            job = order_training(a_spec(**LONG), env)
            await until_async(lambda: env.jobs.get(job.id).progress > 0)
            process = worker._runners[0]
            pid = process.pid
            env.jobs.cancel(job.id)
            await until_async(lambda: process.pid != pid, 60)
            after = order_training(a_spec(), env)
            await until_async(lambda: env.jobs.get(after.id).finished)
            assert status(env, after.id) == "COMPLETED"
        assert [event.kind for event in events if event.job.id == job.id][-1] == "outdated"
        assert status(env, job.id) == "CANCELLED"
        assert broken_promises(database) == []

    asyncio.run(scenario())


def test_a_job_whose_process_is_killed_runs_again_but_not_for_ever(database: Database, env: JobEnvironment):
    async def scenario() -> None:
        job = order_training(a_spec(**LONG), env)
        async with working(database) as (worker, events):
            for attempt in (1, 2, 3):
                # Its row shows that before the run has its process.
                await until_async(lambda attempt=attempt: [e.kind for e in events].count("started") == attempt)
                kill(worker._runners[0].pid)
                await until_async(lambda attempt=attempt: [e.kind for e in events].count("died") == attempt)
        failed = env.jobs.get(job.id)
        assert failed.status == "FAILED"
        assert failed.error_msg == (
            "given up after 3 tries: its process was killed by signal 9 (perhaps out of memory)"
        )
        assert broken_promises(database) == []

    asyncio.run(scenario())


def test_a_job_that_takes_too_much_memory_fails_and_leaves_the_worker_alive(database: Database, env: JobEnvironment):
    async def scenario() -> None:
        job = order_training(a_spec(**LONG), env)  # the environment has no budget, so the order passes
        async with working(database, memory_budget_bytes=100 << 20):
            await until_async(lambda: env.jobs.get(job.id).finished)
        failed = env.jobs.get(job.id)
        assert (failed.status, failed.attempt) == ("FAILED", 1)
        assert failed.error_msg is not None
        assert "allowed are 0.1" in failed.error_msg

    asyncio.run(scenario())


def test_a_stopped_worker_puts_its_job_back_and_another_one_does_it(database: Database, env: JobEnvironment):
    async def scenario() -> None:
        job = order_training(a_spec(), env)
        async with working(database):
            await until_async(lambda: status(env, job.id) == "RUNNING")
        waiting = env.jobs.get(job.id)
        assert (waiting.status, waiting.attempt, waiting.error_msg) == ("PENDING", 1, "its worker was stopped")
        async with working(database):
            await until_async(lambda: env.jobs.get(job.id).finished)
        done = env.jobs.get(job.id)
        assert (done.status, done.attempt, done.error_msg) == ("COMPLETED", 2, None)

    asyncio.run(scenario())


def test_priority_decides_who_is_next(database: Database, env: JobEnvironment):
    async def scenario() -> None:
        jobs = [order_training(a_spec(name=f"m{p}", min_percent_change=1e6), env, priority=p) for p in (1, 9, 5)]
        async with working(database) as (_, events):
            await until_async(lambda: all(env.jobs.get(job.id).finished for job in jobs))
        assert [event.job.priority for event in events if event.kind == "started"] == [9, 5, 1]

    asyncio.run(scenario())


def test_two_jobs_run_at_once_where_two_may(database: Database, env: JobEnvironment):
    async def scenario() -> None:
        jobs = [order_training(a_spec(name=name, **LONG), env) for name in "ab"]
        async with working(database, concurrency=2):
            await until_async(lambda: [status(env, job.id) for job in jobs] == ["RUNNING"] * 2)
            assert [worker.running for worker in workers_status(database)] == [2]
            for job in jobs:
                env.jobs.cancel(job.id)

    asyncio.run(scenario())


def test_a_process_whose_run_is_being_written_down_is_given_to_nobody(
    database: Database, env: JobEnvironment, monkeypatch: pytest.MonkeyPatch
):
    jobs = [order_training(a_spec(name=name), env) for name in "ab"]
    second_began = threading.Event()
    spawned: list[int] = []
    spawn = asyncio.create_subprocess_exec

    async def spawn_slowly(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        process = await spawn(*arguments, **options)
        spawned.append(process.pid)
        await asyncio.sleep(0.5)
        return process

    def receive(event: WorkerEvent) -> None:
        if event.job.id == jobs[1].id and event.kind == "started":
            second_began.set()

    monkeypatch.setattr(asyncio, "create_subprocess_exec", spawn_slowly)
    # A process that ends when it is given a job, and waits for ever until then.
    program = "import sys, time; sys.stdin.readline(); sys.stdin.readline() or time.sleep(600)"
    worker = open_worker(
        database.url, NO_FILES, command=[sys.executable, "-c", program], concurrency=2, on_event=receive
    )
    put_back = worker._runs.put_back

    def put_back_late(*arguments: Any, **options: Any) -> bool:
        assert second_began.wait(60)
        time.sleep(0.2)
        return put_back(*arguments, **options)

    monkeypatch.setattr(worker._runs, "put_back", put_back_late)

    async def scenario() -> None:
        first = asyncio.create_task(run_entry(worker, database, jobs[0].id))
        await until_async(lambda: spawned and not worker._running)  # its process is gone, its end not yet written
        await asyncio.gather(first, run_entry(worker, database, jobs[1].id))
        assert len({id(process) for process in worker._idle}) == len(worker._idle) == 2
        for process in worker._runners:
            await process.kill()

    try:
        asyncio.run(scenario())
        assert not [pid for pid in spawned if psutil.pid_exists(pid)], "a process was started twice"
    finally:
        for pid in filter(psutil.pid_exists, spawned):
            kill(pid)


def test_a_run_that_is_begun_while_its_worker_stops_is_put_back(
    database: Database, env: JobEnvironment, monkeypatch: pytest.MonkeyPatch
):
    job = order_training(a_spec(), env)
    worker = open_worker(database.url, NO_FILES, command=["never", "started"])
    begun, stopped = threading.Event(), threading.Event()
    start = worker._runs.start

    def start_and_dawdle(*arguments: Any) -> Job | None:
        run = start(*arguments)
        begun.set()
        assert stopped.wait(60)
        return run

    monkeypatch.setattr(worker._runs, "start", start_and_dawdle)

    async def scenario() -> None:
        run = asyncio.create_task(run_entry(worker, database, job.id))
        await until_async(begun.is_set)
        assert status(env, job.id) == "RUNNING"
        run.cancel()
        await asyncio.sleep(0)  # so that it is notified first
        stopped.set()
        with pytest.raises(asyncio.CancelledError):
            await run

    asyncio.run(scenario())
    waiting = env.jobs.get(job.id)
    assert (waiting.status, waiting.attempt, waiting.error_msg) == ("PENDING", 1, "its worker was stopped")
    with database.connection() as connection:
        assert connection.execute("SELECT interruptions FROM ml_jobs").fetchone() == (1,)


def test_a_pause_between_heartbeat_and_sweep_ends_no_run(
    database: Database, env: JobEnvironment, monkeypatch: pytest.MonkeyPatch
):
    job = order_training(a_spec(), env)
    worker = open_worker(database.url, NO_FILES, command=["never", "started"], heartbeat_s=0.1)
    assert worker._runs.start(job.id, queue_entries(database)[job.id], worker.worker_id)
    beats = []
    beat = worker._runs.beat

    def beat_and_pause(attempts: dict[int, int]) -> set[int]:
        valid = beat(attempts)
        beats.append(valid)
        time.sleep(2 * worker._stalled_after_s)
        return valid

    monkeypatch.setattr(worker._runs, "beat", beat_and_pause)

    async def scenario() -> None:
        run = asyncio.create_task(asyncio.sleep(600))
        worker._running[job.id] = (1, run)
        keeping = asyncio.create_task(worker._keep_alive())
        await until_async(lambda: len(beats) == 3)
        assert not run.done()
        for task in (keeping, run):
            task.cancel()
        await asyncio.gather(keeping, run, return_exceptions=True)

    asyncio.run(scenario())
    assert beats == [{job.id}] * 3
    assert status(env, job.id) == "RUNNING"


def test_a_job_of_a_killed_worker_is_taken_over(database: Database, env: JobEnvironment):
    # Often enough that a death is noticed soon, and no slowness is taken for one.
    workers = [start_worker(database, heartbeat_s=2.0) for _ in range(2)]
    try:
        until(lambda: len(workers_status(database)) == 2)
        job = order_training(a_spec(), env)
        until(lambda: env.jobs.get(job.id).progress > 0)
        first = next(w for w in workers if (env.jobs.get(job.id).worker_id or "").endswith(f":{w.pid}"))
        processes = children_of(first.pid)
        assert processes
        kill(first.pid)
        first.wait()
        began = time.monotonic()
        until(lambda: not any(map(alive, processes)), 10)
        until(lambda: env.jobs.get(job.id).attempt == 2)
        assert time.monotonic() - began < 30
        until(lambda: env.jobs.get(job.id).finished)
    finally:
        for worker in workers:
            worker.terminate()
            worker.wait()
    assert status(env, job.id) == "COMPLETED"
    assert broken_promises(database) == []


def test_losing_the_database_is_no_try(database: Database, env: JobEnvironment):
    async def scenario() -> None:
        job = order_training(a_spec(), env)
        async with working(database):
            await until_async(lambda: env.jobs.get(job.id).progress > 0)
            with database.connection() as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            await until_async(lambda: env.jobs.get(job.id).finished)
        done = env.jobs.get(job.id)
        assert done.status == "COMPLETED"
        with database.connection() as connection:
            row = connection.execute("SELECT attempt, interruptions FROM ml_jobs").fetchone()
        assert row == (2, 1)
        assert broken_promises(database) == []

    asyncio.run(scenario())
