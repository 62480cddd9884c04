"""Every row predicted once by every model, whatever is killed: writers, replicas and PostgreSQL at once."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kurswerk.core.errors import StorageError
from kurswerk.serving import replay
from kurswerk.storage import (
    CoinMetricsStore,
    Database,
    EmbeddedPostgres,
    PostgresModelStore,
    PostgresPredictionStore,
    upgrade,
)
from served_models import RECURSIVE, WINDOWED, coin_rows, register, write_rows

OWED = 'SELECT mint, "timestamp", m.id FROM coin_metrics, ml_models m'
MADE = 'SELECT coin_id, "timestamp", model_id FROM predictions'


class Replicas:
    """Predictors as processes of their own, killed and started again."""

    def __init__(self, database: Database, count: int, folder: Path) -> None:
        self._environment = os.environ | {"KURSWERK_DATABASE_URL": database.url, "KURSWERK_DATA_DIR": str(folder)}
        self.processes = [self._start() for _ in range(count)]

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "kurswerk", "serve", "--only", "predictor"]
        return subprocess.Popen(command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill_one(self, rng: random.Random) -> None:
        place = rng.randrange(len(self.processes))
        self.processes[place].kill()
        self.processes[place].wait()
        self.processes[place] = self._start()

    def stop(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(120)


class Writers:
    """Threads that write coins, each transaction with rows of many coins, some of them long after later ones."""

    def __init__(self, database: Database, count: int, coins: int, moments: int) -> None:
        self._database = database
        self._threads = [threading.Thread(target=self._write, args=[k, coins, moments]) for k in range(count)]
        for thread in self._threads:
            thread.start()

    def _write(self, number: int, coins: int, moments: int) -> None:
        rng = random.Random(number)
        rows = coin_rows([f"w{number}c{k:03d}" for k in range(coins)], 0, moments, seed=number)
        keys = sorted(rows, key=lambda key: (key[1] + rng.choice([0, 0, 0, 0, 8]) * 5_000_000, rng.random()))
        while keys:
            size = rng.choice([1, 5, 30])
            part, keys = keys[:size], keys[size:]
            self._insist({key: rows[key] for key in part})
            time.sleep(rng.random() * 0.02)

    def _insist(self, rows: dict[tuple[str, int], list[float]]) -> None:
        """Write until it is certain: a commit whose answer was lost is done again, which changes nothing."""
        while True:
            try:
                with self._database.transaction():
                    write_rows(self._database, rows)
                    time.sleep(random.random() * 0.02)  # others commit in between
            except StorageError:
                time.sleep(0.1)
            else:
                return

    def running(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def join(self) -> None:
        for thread in self._threads:
            thread.join()


@contextmanager
def replicas_on(database: Database, count: int, folder: Path) -> Iterator[Replicas]:
    replicas = Replicas(database, count, folder)
    try:
        yield replicas
    finally:
        replicas.stop()


def kill_postgres(server: EmbeddedPostgres) -> None:
    pid = server.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 400
    while True:  # its children need a moment to notice
        try:
            server.start()
        except StorageError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        else:
            return


def count(database: Database, query: str) -> int:
    try:
        with database.connection() as connection:
            return connection.execute(f"SELECT count(*) FROM ({query}) x".encode()).fetchone()[0]
    except StorageError:
        return -1


def chaos(server: EmbeddedPostgres, folder: Path, *, kills: int, database_kills: int, coins: int, moments: int) -> None:
    rng = random.Random(7)
    database = Database(server.start(), patience_s=20)
    upgrade(database)
    register(database, "w", WINDOWED, threshold=0.5)
    register(database, "r", RECURSIVE, seed=1)
    register(database, "f", WINDOWED, model_type="random_forest", seed=2)
    with replicas_on(database, 2, folder) as replicas:
        writers = Writers(database, 3, coins, moments)
        for step in range(kills + database_kills):
            before = count(database, MADE)
            patience = time.monotonic() + 400
            while count(database, MADE) <= before and time.monotonic() < patience:
                time.sleep(0.2)
            if step % (kills // (database_kills or 1) + 1) == kills // (database_kills or 1):
                kill_postgres(server)
            else:
                replicas.kill_one(rng)
        writers.join()
        owed = count(database, OWED)
        assert owed == 3 * 3 * coins * moments
        patience = time.monotonic() + 400
        while count(database, MADE) < owed and time.monotonic() < patience:
            time.sleep(0.2)
    assert count(database, f"({OWED}) EXCEPT ({MADE})") == 0
    assert count(database, f"({MADE}) EXCEPT ({OWED})") == 0
    assert count(database, MADE) == owed
    assert count(database, "SELECT FROM predictions WHERE score >= 0.5 AND model_id = 1") == count(
        database, "SELECT DISTINCT prediction_id FROM prediction_alerts WHERE model_id = 1"
    )
    assert all_replay(database, rng, 150) > 0


def all_replay(database: Database, rng: random.Random, most: int) -> int:
    """Replay some predictions; return how many rows had come late for them."""
    store, market, models = PostgresPredictionStore(database), CoinMetricsStore(database), PostgresModelStore(database)
    with database.connection() as connection:
        ids = [row[0] for row in connection.execute("SELECT id FROM predictions ORDER BY id")]
    found = [replay(number, store, market, models) for number in rng.sample(ids, min(most, len(ids)))]
    assert [one for one in found if not one.equal] == []
    return sum(one.late_rows for one in found)


def test_kills_lose_nothing_and_double_nothing(postgres: EmbeddedPostgres, tmp_path: Path):
    chaos(postgres, tmp_path, kills=1, database_kills=1, coins=8, moments=40)


@pytest.mark.slow
def test_many_kills_lose_nothing_and_double_nothing(postgres: EmbeddedPostgres, tmp_path: Path):
    chaos(postgres, tmp_path, kills=20, database_kills=2, coins=60, moments=400)
