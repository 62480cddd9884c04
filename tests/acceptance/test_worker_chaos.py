"""Whatever is killed: every job ends, every READY model is whole, nothing is there twice."""

import asyncio
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from subprocess import Popen

import psutil
import pytest

from job_orders import JobEnvironment, order_test, order_training
from kurswerk.core.errors import StorageError
from kurswerk.core.timestamps import MINUTE_US
from kurswerk.storage.server import Database, EmbeddedPostgres, upgrade
from kurswerk.training import Period
from memory_market import START_US, a_spec
from waiting import until
from working_jobs import broken_promises, kill, market_environment, start_worker, until_async, working

LATER = Period(START_US + 401 * MINUTE_US, START_US + 599 * MINUTE_US)


class Workers:
    """Keeps workers alive that somebody kills."""

    def __init__(self, database: Database, count: int) -> None:
        self.database = database
        self.processes = [start_worker(database) for _ in range(count)]

    def kill_one(self, rng: random.Random) -> None:
        number = rng.randrange(len(self.processes))
        self.processes[number].kill()
        self.processes[number].wait()
        self.processes[number] = start_worker(self.database)

    def kill_a_job_process(self, rng: random.Random) -> None:
        worker = rng.choice(self.processes)
        with suppress(psutil.Error, IndexError):
            rng.choice(psutil.Process(worker.pid).children()).kill()

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


def finished(env: JobEnvironment) -> int:
    with suppress(StorageError):
        return sum(job.finished for job in env.jobs.find(limit=1000))
    return -1


def rampage(
    postgres: EmbeddedPostgres, *, trainings: int, kills: int, crashes: int, seed: int, longest_pause_s: float
) -> tuple[Database, JobEnvironment]:
    """Order trainings, kill workers, their processes and PostgreSQL at random moments, and wait for the end."""
    rng = random.Random(seed)
    database = Database(postgres.start(), patience_s=30)
    upgrade(database)
    env = market_environment(database)
    for number in range(trainings):
        model_type = ("xgboost", "random_forest")[number % 2]
        order_training(a_spec(name=f"m{number}", model_type=model_type), env, priority=rng.randrange(10))
    workers = Workers(database, 2)
    moments: list[Callable[[], None]] = [
        *[lambda: workers.kill_one(rng)] * (kills - kills // 3),
        *[lambda: workers.kill_a_job_process(rng)] * (kills // 3),
        *[lambda: crash(postgres)] * crashes,
    ]
    rng.shuffle(moments)
    try:
        for moment in moments:
            time.sleep(rng.uniform(0, longest_pause_s))
            moment()
        until(lambda: finished(env) == trainings, 1800)
    finally:
        workers.stop()
    return database, env


def crash(postgres: EmbeddedPostgres) -> None:
    """Kill the server, and start it again as its watch does."""
    kill(postgres.status().pid)
    postgres.start()


def counts(env: JobEnvironment) -> dict[str, int]:
    states = [job.status for job in env.jobs.find(limit=1000)]
    return {state: states.count(state) for state in set(states)}


def test_killing_workers_and_the_database(postgres: EmbeddedPostgres):
    database, env = rampage(postgres, trainings=4, kills=3, crashes=1, seed=1, longest_pause_s=3)
    assert broken_promises(database) == []
    assert counts(env).get("COMPLETED", 0) >= 1


@pytest.mark.slow
def test_killing_at_twenty_random_moments_and_the_database_twice(postgres: EmbeddedPostgres):
    database, env = rampage(postgres, trainings=25, kills=20, crashes=2, seed=7, longest_pause_s=8)
    assert broken_promises(database) == []
    assert counts(env).get("COMPLETED", 0) >= 10


def order_at_once(database: Database, env: JobEnvironment, *, jobs: int, clients: int) -> None:
    """Have clients order tests of one model at once, and workers do them all."""
    training = order_training(a_spec(), env)
    # As in production: on a busy machine a worker may well be silent for a second without being dead.
    workers = [start_worker(database, heartbeat_s=5.0) for _ in range(2)]
    try:
        until(lambda: env.jobs.get(training.id).finished, 600)  # with kernels to compile first
        assert env.jobs.get(training.id).status == "COMPLETED"
        gate = threading.Barrier(clients)

        def client(number: int) -> list[int]:
            gate.wait()
            return [order_test("small", LATER, None, env).id for _ in range(number, jobs, clients)]

        with ThreadPoolExecutor(clients) as pool:
            ordered = [job_id for ids in pool.map(client, range(clients)) for job_id in ids]
        assert len(set(ordered)) == jobs
        until(lambda: not env.jobs.find(status="PENDING", limit=1) and not env.jobs.find(status="RUNNING"), 1800)
    finally:
        stop_all(workers)
    assert [job.attempt for job in env.jobs.find(limit=jobs + 1)] == [1] * (jobs + 1)
    assert len(env.results.tests_of(training.result_model_id or 0, limit=jobs * 2)) == jobs
    assert broken_promises(database) == []


def stop_all(workers: list[Popen[str]]) -> None:
    for worker in workers:
        worker.kill()
        worker.wait()


def test_many_clients_at_once(database: Database):
    order_at_once(database, market_environment(database), jobs=12, clients=6)


@pytest.mark.slow
def test_a_thousand_jobs_of_fifty_clients(database: Database):
    pooled = Database(database.url, pool_size=10, patience_s=60)
    order_at_once(pooled, market_environment(pooled), jobs=1000, clients=50)
    pooled.close()


def test_a_worker_starts_the_embedded_database_again(postgres: EmbeddedPostgres):
    async def scenario() -> None:
        database = Database(postgres.start())
        upgrade(database)
        env = market_environment(database)
        job = order_training(a_spec(), env)
        async with working(database, ensure_database=postgres.start):
            await until_async(lambda: env.jobs.get(job.id).progress > 0)
            kill(postgres.status().pid)
            await until_async(lambda: finished(env) == 1)
        assert env.jobs.get(job.id).status == "COMPLETED"
        assert broken_promises(database) == []

    asyncio.run(scenario())
