"""Secrets replaced under a running service: nothing is lost, and nothing is restarted."""

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from kurswerk.storage.server import Database, EmbeddedPostgres, upgrade
from memory_market import a_spec, random_market
from password_role import PasswordRole, password_role
from running_service import Served, data_directory, served
from served_models import coin_rows, register, write_rows
from waiting import until

pytestmark = pytest.mark.slow
PATIENCE_S = 300
ROTATIONS = 4
PREDICTED = "SELECT count(*), count(DISTINCT (coin_id, timestamp, model_id)) FROM predictions"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with data_directory() as folder:
        yield folder


@pytest.fixture(scope="module")
def database(folder: Path) -> Iterator[Database]:
    database = Database(EmbeddedPostgres(folder).start())
    upgrade(database)
    register(database, "windowed", threshold=0.5)
    return database


@pytest.fixture(scope="module")
def role(database: Database, folder: Path) -> Iterator[PasswordRole]:
    with password_role(database.url, folder / "url") as role:
        yield role


@pytest.fixture(scope="module")
def service(folder: Path, role: PasswordRole) -> Iterator[Served]:
    file = {"KURSWERK_DATABASE_URL_FILE": str(role.file)}
    with served(folder, "serve", "--only", "api,worker,predictor", **file) as service:
        yield service


class Caller(threading.Thread):
    """Asks the API again and again, and keeps what was no success."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url, self.answers, self.failures, self.ended = url, 0, [], threading.Event()

    def run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as client:
            while not self.ended.wait(0.1):
                answer = client.get("/api/predictions", params={"limit": 1})
                self.answers += 1
                if not answer.is_success:
                    self.failures.append(answer.text)


def rotate(role: PasswordRole, *, file_first: bool) -> None:
    """Change the password; for a second the file and the server do not agree."""
    role.choose()
    first, second = (role.write_file, role.change_in_server) if file_first else (role.change_in_server, role.write_file)
    first()
    role.end_sessions()
    time.sleep(1)
    second()


def test_the_databases_password_changes_and_nothing_is_lost(service: Served, role: PasswordRole, database: Database):
    panel = random_market(coins=2, minutes=500)
    with database.connection() as connection, connection.cursor() as cursor:
        cursor.executemany(*insertion(panel))
    process = psutil.Process(service.process.pid)
    began = process.create_time()
    caller = Caller(service.url)
    caller.start()
    rows = coin_rows([f"COIN{k:03d}" for k in range(20)], 0, 60)
    keys = sorted(rows, key=lambda key: key[1])
    jobs = []
    rng = random.Random(1)
    for turn in range(ROTATIONS):
        part = keys[turn * len(keys) // ROTATIONS : (turn + 1) * len(keys) // ROTATIONS]
        writer = threading.Thread(target=write_in_steps, args=[database, rows, part])
        writer.start()
        time.sleep(rng.random())
        rotate(role, file_first=bool(turn % 2))
        spec = a_spec(name=f"trained {turn}").as_json()
        jobs.append(httpx.post(f"{service.url}/api/models/create", json=spec, timeout=60).json()["job_id"])
        writer.join()
    until(lambda: all(job["status"] == "COMPLETED" for job in of(service, jobs)), PATIENCE_S, what="the jobs")
    expected = len(rows)
    until(lambda: counts(database)[0] >= expected, PATIENCE_S, what="the predictions")
    caller.ended.set()
    caller.join()
    assert counts(database) == (expected, expected)
    # The server keeps sessions when a password changes; this test ends them, and a call may be at work on one of them.
    assert len(caller.failures) <= ROTATIONS
    assert all("database_unavailable" in text for text in caller.failures)
    assert caller.answers > 10
    assert psutil.Process(service.process.pid).create_time() == began
    assert service.process.poll() is None


def insertion(panel) -> tuple[str, list[tuple]]:
    """Return a statement and its parameters that insert a panel's rows."""
    columns = ", ".join(panel.columns)
    places = ", ".join(["%s"] * len(panel.columns))
    statement = (
        f"INSERT INTO coin_metrics (mint, timestamp, {columns})"
        f" VALUES (%s, timestamptz 'epoch' + %s * interval '1 microsecond', {places})"
    )
    instruments = [panel.instruments[code] for code in panel.codes]
    rows = zip(
        instruments, panel.timestamps.tolist(), *(panel.column(name).tolist() for name in panel.columns), strict=True
    )
    return statement, list(rows)


def write_in_steps(database: Database, rows: dict, keys: list) -> None:
    for start in range(0, len(keys), 20):
        write_rows(database, {key: rows[key] for key in keys[start : start + 20]})
        time.sleep(0.05)


def of(service: Served, jobs: list[int]) -> list[dict]:
    return [httpx.get(f"{service.url}/api/jobs/{job}", timeout=60).json() for job in jobs]


def counts(database: Database) -> tuple[int, int]:
    with database.connection() as connection:
        return connection.execute(PREDICTED + " WHERE coin_id LIKE 'COIN0__'").fetchone()
