"""Workers on a real database: work, cancel, stop, crashes of the process that runs a job."""

import asyncio
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from kurswerk.core.timestamps import MINUTE_US
from kurswerk.jobs import Worker, WorkerEvent, workers_status
from kurswerk.storage import Database
from kurswerk.training import (
    OrderDesk,
    Period,
    order_certificate,
    order_comparison,
    order_test,
    order_training,
)
from memory_market import START_US, a_spec
from waiting import until
from working_jobs import broken_promises, children_of, kill, market_desk, start_worker, until_async, working

LATER = Period(START_US + 401 * MINUTE_US, START_US + 599 * MINUTE_US)
# Long enough to be caught at work.
LONG = {"params": {"n_estimators": 3000, "max_depth": 6}, "cv_splits": 5}


@pytest.fixture
def desk(database: Database) -> OrderDesk:
    return market_desk(database)


def status(desk: OrderDesk, job_id: int) -> str:
    return desk.jobs.get(job_id).status


def test_all_kinds_of_jobs_are_done(database: Database, desk: OrderDesk):
    async def scenario() -> None:
        async with working(database) as (worker, events):
            first = order_training(a_spec(), desk, request_id="r1")
            second = order_training(a_spec(name="other", params={"n_estimators": 20}), desk)
            await until_async(lambda: desk.jobs.get(first.id).finished and desk.jobs.get(second.id).finished)
            assert status(desk, first.id) == "COMPLETED", desk.jobs.get(first.id)
            more = [
                order_test("small", LATER, None, desk),
                order_test("small", LATER, ["COIN1"], desk),
                order_comparison("small", "other", LATER, None, desk),
                order_certificate("other", desk),
            ]
            await until_async(lambda: all(desk.jobs.get(job.id).finished for job in more))
            assert [status(desk, job.id) for job in more] == ["COMPLETED"] * 4
            assert worker.worker_id == desk.jobs.get(first.id).worker_id
            assert [e.kind for e in events if e.job.id == first.id and e.kind != "progress"] == ["started", "completed"]
            await until_async(lambda: [s.running for s in workers_status(database)] == [0])
            messages = [line.message for line in desk.jobs.log(first.id)]
            assert (messages[0], messages[-1]) == (f"try 1 of 3, worker {worker.worker_id}", "done")
            assert len(messages) > 2
        model = desk.models.get("small")
        assert model.status == "READY"
        assert model.certificate is not None
        assert model.certificate["certified"]
        assert model.certificate["artifact_sha256"] == model.artifact_sha256
        assert len(desk.results.tests_of(model.id)) == 3
        assert workers_status(database) == []
        assert broken_promises(database) == []

    asyncio.run(scenario())


def test_work_that_cannot_succeed_fails_with_its_reason(database: Database, desk: OrderDesk):
    async def scenario() -> None:
        job = order_training(a_spec(min_percent_change=1e6), desk)
        async with working(database):
            await until_async(lambda: desk.jobs.get(job.id).finished)
        failed = desk.jobs.get(job.id)
        assert (failed.status, failed.attempt) == ("FAILED", 1)
        assert failed.error_msg is not None
        assert "rows of the training period have the label 0" in failed.error_msg
        assert desk.models.get("small").error_msg == failed.error_msg
        assert desk.jobs.retry(job.id).status == "PENDING"
        assert desk.models.get("small").status == "TRAINING"

    asyncio.run(scenario())


def test_a_running_job_is_cancelled_within_a_second(database: Database, desk: OrderDesk):
    async def scenario() -> None:
        async with working(database) as (worker, events):
            job = order_training(a_spec(**LONG), desk)
            await until_async(lambda: desk.jobs.get(job.id).progress > 0)
            process = worker._processes[0]
            pid = process.pid
            began = time.monotonic()
            desk.jobs.cancel(job.id)
            await until_async(lambda: process.pid != pid)
            assert time.monotonic() - began < 1
            after = order_training(a_spec(), desk)
            await until_async(lambda: desk.jobs.get(after.id).finished)
            assert status(desk, after.id) == "COMPLETED"
        assert [event.kind for event in events if event.job.id == job.id][-1] == "outdated"
        assert status(desk, job.id) == "CANCELLED"
        assert broken_promises(database) == []

    asyncio.run(scenario())


def test_a_job_whose_process_is_killed_runs_again_but_not_for_ever(database: Database, desk: OrderDesk):
    async def scenario() -> None:
        job = order_training(a_spec(**LONG), desk)
        async with working(database) as (worker, events):
            for attempt in (1, 2, 3):
                await until_async(lambda attempt=attempt: desk.jobs.get(job.id).attempt == attempt)
                kill(worker._processes[0].pid)
                await until_async(lambda attempt=attempt: [e.kind for e in events].count("died") == attempt)
        failed = desk.jobs.get(job.id)
        assert failed.status == "FAILED"
        assert failed.error_msg == (
            "given up after 3 tries: its process was killed by signal 9 (perhaps out of memory)"
        )
        assert broken_promises(database) == []

    asyncio.run(scenario())


def test_a_job_that_takes_too_much_memory_fails_and_leaves_the_worker_alive(database: Database, desk: OrderDesk):
    async def scenario() -> None:
        job = order_training(a_spec(**LONG), desk)  # the desk has no budget, so the order passes
        async with working(database, memory_budget_bytes=100 << 20):
            await until_async(lambda: desk.jobs.get(job.id).finished)
        failed = desk.jobs.get(job.id)
        assert (failed.status, failed.attempt) == ("FAILED", 1)
        assert failed.error_msg is not None
        assert "allowed are 0.1" in failed.error_msg

    asyncio.run(scenario())


def test_a_stopped_worker_puts_its_job_back_and_another_one_does_it(database: Database, desk: OrderDesk):
    async def scenario() -> None:
        job = order_training(a_spec(), desk)
        async with working(database):
            await until_async(lambda: status(desk, job.id) == "RUNNING")
        waiting = desk.jobs.get(job.id)
        assert (waiting.status, waiting.attempt, waiting.error_msg) == ("PENDING", 1, "its worker was stopped")
        async with working(database):
            await until_async(lambda: desk.jobs.get(job.id).finished)
        done = desk.jobs.get(job.id)
        assert (done.status, done.attempt, done.error_msg) == ("COMPLETED", 2, None)

    asyncio.run(scenario())


def test_priority_decides_who_is_next(database: Database, desk: OrderDesk):
    async def scenario() -> None:
        jobs = [order_training(a_spec(name=f"m{p}", min_percent_change=1e6), desk, priority=p) for p in (1, 9, 5)]
        async with working(database) as (_, events):
            await until_async(lambda: all(desk.jobs.get(job.id).finished for job in jobs))
        assert [event.job.priority for event in events if event.kind == "started"] == [9, 5, 1]

    asyncio.run(scenario())


def test_two_jobs_run_at_once_where_two_may(database: Database, desk: OrderDesk):
    async def scenario() -> None:
        jobs = [order_training(a_spec(name=name, **LONG), desk) for name in "ab"]
        async with working(database, concurrency=2):
            await until_async(lambda: [status(desk, job.id) for job in jobs] == ["RUNNING"] * 2)
            assert [worker.running for worker in workers_status(database)] == [2]
            for job in jobs:
                desk.jobs.cancel(job.id)

    asyncio.run(scenario())


def test_a_process_whose_run_is_being_written_down_is_given_to_nobody(
    database: Database, desk: OrderDesk, monkeypatch: pytest.MonkeyPatch
):
    jobs = [order_training(a_spec(name=name), desk) for name in "ab"]
    with database.connection() as connection:
        tickets = dict(connection.execute("SELECT id, procrastinate_id FROM ml_jobs").fetchall())
    second_began = threading.Event()
    spawned: list[int] = []
    spawn = asyncio.create_subprocess_exec

    async def spawn_slowly(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        process = await spawn(*arguments, **options)
        spawned.append(process.pid)
        await asyncio.sleep(0.5)
        return process

    def hear(event: WorkerEvent) -> None:
        if event.job.id == jobs[1].id and event.kind == "started":
            second_began.set()

    monkeypatch.setattr(asyncio, "create_subprocess_exec", spawn_slowly)
    # A process that ends when it is given a job, and waits for ever until then.
    program = "import sys, time; sys.stdin.readline(); sys.stdin.readline() or time.sleep(600)"
    worker = Worker(database.url, command=[sys.executable, "-c", program], concurrency=2, on_event=hear)
    put_back = worker._runs.put_back

    def put_back_late(*arguments: Any, **options: Any) -> bool:
        assert second_began.wait(60)
        time.sleep(0.2)
        return put_back(*arguments, **options)

    monkeypatch.setattr(worker._runs, "put_back", put_back_late)

    async def run(job_id: int) -> None:
        context: Any = SimpleNamespace(job=SimpleNamespace(id=tickets[job_id]))
        await worker._run_ticket(context, job_id)

    async def scenario() -> None:
        first = asyncio.create_task(run(jobs[0].id))
        await until_async(lambda: spawned and not worker._running)  # its process is gone, its end not yet written
        await asyncio.gather(first, run(jobs[1].id))
        assert len({id(process) for process in worker._idle}) == len(worker._idle) == 2
        for process in worker._processes:
            await process.kill()

    try:
        asyncio.run(scenario())
        assert not [pid for pid in spawned if psutil.pid_exists(pid)], "a process was started twice"
    finally:
        for pid in filter(psutil.pid_exists, spawned):
            kill(pid)


def test_a_job_of_a_killed_worker_is_taken_over(database: Database, desk: OrderDesk):
    job = order_training(a_spec(), desk)
    first = start_worker(database)
    until(lambda: desk.jobs.get(job.id).progress > 0)
    processes = children_of(first.pid)
    assert processes
    kill(first.pid)
    first.wait()
    began = time.monotonic()
    until(lambda: not any(process.is_running() and process.status() != "zombie" for process in processes), 10)
    second = start_worker(database)
    until(lambda: desk.jobs.get(job.id).attempt == 2)
    assert time.monotonic() - began < 30
    until(lambda: desk.jobs.get(job.id).finished)
    second.terminate()
    second.wait()
    assert status(desk, job.id) == "COMPLETED"
    assert broken_promises(database) == []


def test_losing_the_database_is_no_try(database: Database, desk: OrderDesk):
    async def scenario() -> None:
        job = order_training(a_spec(), desk)
        async with working(database):
            await until_async(lambda: desk.jobs.get(job.id).progress > 0)
            with database.connection() as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            await until_async(lambda: desk.jobs.get(job.id).finished)
        done = desk.jobs.get(job.id)
        assert done.status == "COMPLETED"
        with database.connection() as connection:
            row = connection.execute("SELECT attempt, interruptions FROM ml_jobs").fetchone()
        assert row == (2, 1)
        assert broken_promises(database) == []

    asyncio.run(scenario())
