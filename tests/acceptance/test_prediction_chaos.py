"""Every row predicted once by every model and every alert sent, whatever is killed, lost, late or slow."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from fault_injection import Receiver, SteppedClock
from kurswerk.bootstrap.stores import open_stores
from kurswerk.core.errors import StorageError
from kurswerk.serving import replay
from kurswerk.storage.predictions import PostgresAlertStore, PostgresPredictionStore
from kurswerk.storage.server import Database, EmbeddedPostgres, upgrade
from served_models import RECURSIVE, WINDOWED, coin_rows, register, write_rows

EXPECTED = 'SELECT mint, "timestamp", m.id FROM coin_metrics, ml_models m'
STORED = 'SELECT coin_id, "timestamp", model_id FROM predictions'
PATIENCE_S = 400
SECRET = "between us"
# What the rules "two agree" and "any" call for, by what is stored.
LEAST_SCORE = 0.75
TWO_AGREE = f"""
SELECT coin_id, "timestamp", array_agg(model_id ORDER BY model_id) FROM predictions WHERE score::float8 >= {LEAST_SCORE}
GROUP BY coin_id, "timestamp" HAVING count(*) >= 2"""
SENT = """
SELECT d.coin_id, d."timestamp", d.model_ids FROM alert_deliveries d JOIN alert_rules r ON r.id = d.rule_id
WHERE r.name = 'two agree' AND d.status = 'SENT'"""
LIKELY, COOLDOWN_S = 0.75, 100
MISSING_MESSAGES = f"""
SELECT FROM predictions p WHERE score::float8 >= {LIKELY} AND NOT EXISTS (
    SELECT FROM alert_deliveries d JOIN alert_rules r ON r.id = d.rule_id WHERE r.name = 'any' AND d.status = 'SENT'
    AND d.coin_id = p.coin_id AND p.model_id = ANY (d.model_ids)
    AND abs(extract(epoch FROM d."timestamp" - p."timestamp")) < {COOLDOWN_S})"""
NOTHING_NEW = f"""
SELECT FROM alert_deliveries d JOIN alert_rules r ON r.id = d.rule_id WHERE r.name = 'any' AND d.model_ids <@ (
    SELECT coalesce(array_agg(m), '{{}}') FROM alert_deliveries o CROSS JOIN unnest(o.model_ids) m
    WHERE o.rule_id = d.rule_id AND o.coin_id = d.coin_id AND o.id < d.id
    AND abs(extract(epoch FROM o."timestamp" - d."timestamp")) < {COOLDOWN_S})"""
NOT_ALERTED = """
SELECT p.id FROM predictions p JOIN ml_models m ON m.id = p.model_id WHERE p.score::float8 >= m.alert_threshold::float8
EXCEPT ALL SELECT prediction_id FROM prediction_alerts"""
UNCALLED = """
SELECT prediction_id FROM prediction_alerts EXCEPT ALL SELECT p.id FROM predictions p JOIN ml_models m
ON m.id = p.model_id WHERE p.score::float8 >= m.alert_threshold::float8"""
# Found before the real one, it loses the notification and nothing else.
MUTE = """
CREATE SCHEMA mute;
CREATE FUNCTION mute.pg_notify(text, text) RETURNS void LANGUAGE sql AS ''"""


class Replicas:
    """Predictors as processes of their own, killed and started again."""

    def __init__(self, database: Database, count: int, folder: Path, clock: SteppedClock) -> None:
        own = {"KURSWERK_DATABASE_URL": database.url, "KURSWERK_DATA_DIR": str(folder), "KURSWERK_LOG_LEVEL": "warning"}
        self._environment = os.environ | own | clock.environment
        self._log = folder / "replicas.log"
        self.processes = [self._start() for _ in range(count)]

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "kurswerk", "serve", "--only", "predictor"]
        with self._log.open("ab") as log:
            return subprocess.Popen(command, env=self._environment, stdout=subprocess.DEVNULL, stderr=log)

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
    """Threads that write coins, each transaction with rows of many coins, some of them long after later ones.

    The clock that the rows are stamped by is set, too: back by an hour for the middle third of what the first thread
    writes, forward by a day for that of the second. The third writes rows of six years, one year after the other, so
    that predictions go on needing partitions that are not there yet.
    """

    def __init__(self, database: Database, count: int, coins: int, moments: int) -> None:
        self._database = database
        self._threads = [threading.Thread(target=self._write, args=[k, coins, moments]) for k in range(count)]
        for thread in self._threads:
            thread.start()

    def _write(self, number: int, coins: int, moments: int) -> None:
        rng = random.Random(number)
        rows = coin_rows([f"w{number}c{k:03d}" for k in range(coins)], 0, moments, seed=number)
        keys = sorted(rows, key=lambda key: (key[1] + rng.choice([0, 0, 0, 0, 8]) * 5_000_000, rng.random()))
        step_us = {0: -3_600_000_000, 1: 86_400_000_000}.get(number, 0)
        third, sixth = len(keys) // 3, len(keys) // 6
        years_us = [-366 * 86_400_000_000 * max(0, 6 - k // sixth) * (number == 2) for k in range(len(keys))]
        stamped = [
            ((coin, us + years_us[k] + step_us * (third <= k < 2 * third)), rows[coin, us])
            for k, (coin, us) in enumerate(keys)
        ]
        while stamped:
            size = rng.choice([1, 5, 30])
            part, stamped = stamped[:size], stamped[size:]
            self._insist(dict(part))
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
def replicas_on(database: Database, count: int, folder: Path, clock: SteppedClock) -> Iterator[Replicas]:
    replicas = Replicas(database, count, folder, clock)
    try:
        yield replicas
    finally:
        replicas.stop()


def kill_postgres(server: EmbeddedPostgres) -> None:
    pid = server.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_S
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


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true() and time.monotonic() < deadline:
        time.sleep(0.2)


def something_is_predicted(database: Database, writers: Writers) -> None:
    before = count(database, STORED)
    until(lambda: count(database, STORED) > before or not writers.running())


def let_notify(database: Database, *, delivered: bool) -> None:
    """Let writers' notifications be sent or lost."""
    path = "public" if delivered else "mute, pg_catalog, public"
    try:
        with database.connection() as connection:
            connection.execute(f"ALTER FUNCTION kurswerk_feed_inserted() SET search_path TO {path}".encode())
    except StorageError:
        assert not delivered  # the database was just killed, and no notification need be lost


def prepare(database: Database, url: str) -> None:
    upgrade(database)
    register(database, "w", WINDOWED, threshold=0.5)
    register(database, "r", RECURSIVE, seed=1)
    register(database, "f", WINDOWED, model_type="random_forest", seed=2)
    rules = PostgresAlertStore(database)
    webhook = {"model_ids": [], "channel": "webhook", "target": url, "secret": SECRET}
    rules.create_rule({**webhook, "name": "two agree", "least_agreeing": 2, "min_probability": LEAST_SCORE})
    rules.create_rule({**webhook, "name": "any", "min_probability": LIKELY, "cooldown_seconds": COOLDOWN_S})
    with database.connection() as connection:
        connection.execute(MUTE.encode())


def chaos(
    server: EmbeddedPostgres, folder: Path, clock: SteppedClock, *, script: Sequence[str], coins: int, moments: int
) -> None:
    """Write rows while things happen to those who predict them, one after the other; then look what there is."""
    rng, receiver = random.Random(7), Receiver(SECRET, 7)
    with receiver.listening() as url:
        database = Database(server.start(), patience_s=20)
        prepare(database, url)
        with replicas_on(database, 2, folder, clock) as replicas:
            until(lambda: count(database, "SELECT FROM serving_replicas") == 2)  # else none is there to be disturbed
            writers = Writers(database, 3, coins, moments)
            for step, event in enumerate(script):
                let_notify(database, delivered=step % 3 != 1)
                clock.set(rng.choice([-3600, -90, 0, 45, 7200]))
                something_is_predicted(database, writers)
                if event == "postgres":
                    kill_postgres(server)
                else:
                    replicas.kill_one(rng)
            clock.set(-3600)
            writers.join()
            let_notify(database, delivered=True)
            expected = count(database, EXPECTED)
            assert expected == 3 * 3 * coins * moments
            until(lambda: count(database, STORED) >= expected)
            until(lambda: count(database, "SELECT FROM alert_deliveries WHERE status <> 'SENT'") == 0)
    log = (folder / "replicas.log").read_text()[-3000:]
    assert count(database, f"({EXPECTED}) EXCEPT ({STORED})") == 0, log
    assert count(database, f"({STORED}) EXCEPT ({EXPECTED})") == 0
    assert count(database, STORED) == expected
    alerts_are_complete(database, receiver)
    assert all_replay(database, rng, 150) > 0


def alerts_are_complete(database: Database, receiver: Receiver) -> None:
    """Every prediction past its threshold is an alert, and every message that a rule calls for has arrived."""
    assert count(database, NOT_ALERTED) == count(database, UNCALLED) == 0
    assert count(database, f"({TWO_AGREE}) EXCEPT ({SENT})") == count(database, f"({SENT}) EXCEPT ({TWO_AGREE})") == 0
    assert count(database, SENT) == count(database, TWO_AGREE) > 0
    assert count(database, MISSING_MESSAGES) == count(database, NOTHING_NEW) == 0
    with database.connection() as connection:
        keys = {
            f"{rule}:{coin}:{us}"
            for rule, coin, us in connection.execute(
                'SELECT rule_id, coin_id, (extract(epoch FROM "timestamp") * 1000000)::bigint FROM alert_deliveries'
            )
        }
    assert keys <= set(receiver.received)
    # What a crash of PostgreSQL took back was sent again; only a cool-down may have chosen another row then.
    assert {key for key in set(receiver.received) - keys if key.startswith("1:")} == set()
    assert [key for key, bodies in receiver.bodies.items() if len(bodies) > 1] == []
    assert receiver.forged == 0


def all_replay(database: Database, rng: random.Random, most: int) -> int:
    """Replay some predictions; return how many rows had come late for them."""
    log, stores = PostgresPredictionStore(database), open_stores(database)
    with database.connection() as connection:
        ids = [row[0] for row in connection.execute("SELECT id FROM predictions ORDER BY id")]
    found = [replay(number, log, stores.markets, stores.models) for number in rng.sample(ids, min(most, len(ids)))]
    assert [one for one in found if not one.equal] == []
    return sum(one.late_rows for one in found)


@pytest.fixture
def clock(postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> SteppedClock:
    """The clock of PostgreSQL and of the replicas."""
    clock = SteppedClock(Path(postgres.status().data_dir))
    clock.rule_postgres(monkeypatch)
    return clock


@pytest.mark.untraced
def test_kills_lose_nothing_and_double_nothing(postgres: EmbeddedPostgres, clock: SteppedClock, tmp_path: Path):
    chaos(postgres, tmp_path, clock, script=["replica", "postgres"], coins=8, moments=40)


@pytest.mark.slow
def test_many_kills_lose_nothing_and_double_nothing(postgres: EmbeddedPostgres, clock: SteppedClock, tmp_path: Path):
    script = ["replica"] * 7 + ["postgres"] + ["replica"] * 7 + ["postgres"] + ["replica"] * 6
    chaos(postgres, tmp_path, clock, script=script, coins=60, moments=400)
