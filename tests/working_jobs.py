"""A market in a database, workers over it, and what must hold whatever was killed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
from pydantic import BaseModel

from job_orders import NO_FILES, JobEnvironment
from kurswerk.bootstrap.job_kinds import job_files, job_kinds
from kurswerk.bootstrap.stores import open_stores
from kurswerk.bootstrap.worker_part import open_worker
from kurswerk.core.digest import sha256_bytes
from kurswerk.jobs import JobResult
from kurswerk.market import COINS, Panel
from kurswerk.storage.jobs import PostgresJobStore, PostgresRunStore
from kurswerk.storage.markets import PostgresMarketStore
from kurswerk.storage.registry import PostgresModelStore, PostgresResultStore
from kurswerk.storage.server import Database
from kurswerk.workers import WorkerEvent
from memory_market import random_market
from waiting import until

# Signs of life often enough that a dead worker is noticed within a second.
HEARTBEAT_S = 0.3
WORKER = """
import asyncio, sys
from pathlib import Path
from kurswerk.bootstrap.worker_part import open_worker
worker = open_worker(
    sys.argv[1], Path(sys.argv[4]), heartbeat_s=float(sys.argv[2]), concurrency=int(sys.argv[3])
)
asyncio.run(worker.run(asyncio.Event()))
"""


def store_panel(database: Database, panel: Panel) -> None:
    """Write a panel into ``coin_metrics``."""
    keys = np.asarray(panel.instruments, dtype=object)[panel.codes]
    columns = {name: pa.array(panel.column(name)) for name in panel.columns}
    moments = pa.array(panel.timestamps).view(pa.timestamp("us", "UTC"))
    batch = pa.RecordBatch.from_pydict({"mint": pa.array(keys), "timestamp": moments, **columns})
    PostgresMarketStore(database, COINS).upsert([batch])


class _Nothing(BaseModel):
    """The result of a job whose work is not looked at."""


def nothing() -> JobResult:
    """Store nothing, as what completes a job."""
    return JobResult(_Nothing())


def job_store(database: Database) -> PostgresJobStore:
    """Return the store of a database's jobs, of all registered kinds."""
    return PostgresJobStore(database, job_kinds(open_stores(database).training(), job_files(NO_FILES)))


def run_store(database: Database) -> PostgresRunStore:
    """Return the store of a database's runs."""
    return PostgresRunStore(database, job_kinds(open_stores(database).training(), job_files(NO_FILES)))


def environment_of(database: Database, **changes: Any) -> JobEnvironment:
    """Return the environment of a database."""
    return JobEnvironment(
        market=PostgresMarketStore(database, COINS),
        models=PostgresModelStore(database),
        results=PostgresResultStore(database),
        jobs=job_store(database),
        **changes,
    )


def market_environment(database: Database, coins: int = 4, minutes: int = 600) -> JobEnvironment:
    """Fill a database with a small market and return its environment."""
    store_panel(database, random_market(coins, minutes))
    return environment_of(database)


@asynccontextmanager
async def working(database: Database, data_dir: Path = NO_FILES, **options: Any):
    """Run a worker in this process; gives the worker and a list that its events are put in.

    Signs of life are as in production, unless set otherwise: it does not die, and slowness must not look like death.
    """
    events: list[WorkerEvent] = []
    worker = open_worker(database.url, data_dir, on_event=events.append, **options)
    stop = asyncio.Event()
    task = asyncio.create_task(worker.run(stop))
    try:
        yield worker, events
    finally:
        stop.set()
        await asyncio.wait_for(task, 60)


def start_worker(
    database: Database, *, concurrency: int = 1, heartbeat_s: float = HEARTBEAT_S
) -> subprocess.Popen[str]:
    """Start a worker as a process of its own."""
    arguments = [sys.executable, "-c", WORKER, database.url, str(heartbeat_s), str(concurrency), str(NO_FILES)]
    return subprocess.Popen(arguments, stderr=subprocess.DEVNULL, text=True)


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def children_of(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


async def until_async(condition: Callable[[], Any], seconds: float = 300.0) -> Any:
    """Wait for something, letting the worker work, and return it."""
    return await asyncio.to_thread(until, condition, seconds)


def broken_promises(database: Database) -> list[str]:
    """Return what is wrong with jobs, models and results, once nothing runs any more."""
    jobs, models = job_store(database), PostgresModelStore(database)
    wrong = [f"job {job.id} is {job.status}" for job in jobs.find(limit=10_000) if not job.finished]
    wrong += [f"job {j.id} failed without a reason" for j in jobs.find(status="FAILED") if not j.error_msg]
    for record in models.find(limit=10_000):
        data = models.artifact(record.artifact_sha256) if record.artifact_sha256 else b""
        if record.status == "TRAINING":
            wrong.append(f"model {record.name} is still TRAINING")
        if record.status == "READY" and (sha256_bytes(data) != record.artifact_sha256 or not record.certificate):
            wrong.append(f"READY model {record.name} lacks its artifact or certificate")
    with database.connection() as connection:
        for query, meaning in _IMPOSSIBLE.items():
            found = connection.execute(query).fetchone()  # type: ignore[call-overload]
            if found and found[0]:
                wrong.append(f"{found[0]} {meaning}")
    return wrong


# Query of a count that must be 0 → what it counts.
_IMPOSSIBLE = {
    """SELECT count(*) FROM ml_jobs j JOIN ml_models m ON m.id = j.result_model_id
    WHERE j.job_type = 'TRAIN' AND (j.status = 'COMPLETED') <> (m.status = 'READY')""": "trainings unlike their model",
    """SELECT count(*) - count(DISTINCT result_test_id) FROM ml_jobs
    WHERE job_type = 'TEST' AND status = 'COMPLETED'""": "tests that share or lack a result",
    """SELECT count(*) FROM ml_test_results t
    WHERE NOT EXISTS (SELECT FROM ml_jobs j WHERE j.result_test_id = t.id)
    AND NOT EXISTS (SELECT FROM ml_comparisons c WHERE t.id IN (c.test_a_id, c.test_b_id))""": "results of no job",
    """SELECT count(*) FROM ml_comparisons c
    WHERE NOT EXISTS (SELECT FROM ml_jobs j WHERE j.result_comparison_id = c.id)""": "comparisons of no job",
}
