"""An existing table of predictions becomes a partitioned one beside those who write, wherever it is interrupted."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import psycopg
import pytest

from kurswerk.storage.server import Database, current_revision, downgrade, upgrade
from kurswerk.storage.server._revisions import HEAD
from waiting import until

BEFORE = "0014"
UPGRADE = "import sys; from kurswerk.storage.server import Database, upgrade; print(upgrade(Database(sys.argv[1])))"
MODEL = """
INSERT INTO ml_models (id, name, model_type, target_variable, train_start, train_end)
VALUES (1, 'm', 'xgboost', 'price_close', '2024-01-01', '2024-02-01')"""
# As the version before stores a batch; every fifth prediction is an alert.
COPY = 'COPY predictions (id, coin_id, "timestamp", model_id, prediction, probability) FROM STDIN'
ALERTS = """
INSERT INTO prediction_alerts (prediction_id, coin_id, model_id, probability, threshold)
SELECT id, coin_id, model_id, 0.9, 0.7 FROM predictions WHERE id BETWEEN %s AND %s AND id %% 5 = 0"""
FILLED = """
INSERT INTO predictions (id, coin_id, "timestamp", model_id, prediction, probability)
SELECT 10000 + k, 'c' || k % 50, now() - k * interval '{step} seconds', 1, 0, 0.25 FROM generate_series(1, {rows}) k;
SELECT setval('predictions_id_seq', (10000 + {rows}) / 10000 * 10000 + 1)"""
CONTENT = """
SELECT count(*), count(DISTINCT id), count(DISTINCT (coin_id, "timestamp", model_id)),
    sum(hashtextextended(p.id || coin_id || extract(epoch FROM "timestamp") || probability, 0)) FROM predictions p"""
UNLIKE = """
SELECT count(*) FROM prediction_alerts a LEFT JOIN predictions p ON p.id = a.prediction_id
WHERE a."timestamp" IS DISTINCT FROM p."timestamp" OR a.coin_id <> p.coin_id"""


def one(database: Database, query: str) -> tuple[object, ...]:
    with database.connection() as connection:
        return connection.execute(query.encode()).fetchone() or ()


@pytest.fixture
def old(database: Database) -> Database:
    """A database of the version before, with predictions and alerts."""
    fill(database, rows=3000)
    return database


def fill(database: Database, rows: int, step: int = 60) -> None:
    downgrade(database, BEFORE)
    with database.connection() as connection:
        connection.execute(MODEL.encode())
        for statement in FILLED.format(rows=rows, step=step).split(";"):
            connection.execute(statement.encode())
        connection.execute(ALERTS.encode(), [0, 1 << 60])


@contextmanager
def upgrading(database: Database) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", UPGRADE, database.url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


class OldService:
    """Stores batches as the version before did, again where one failed, until it is stopped."""

    def __init__(self, database: Database) -> None:
        self._database, self._stop = database, threading.Event()
        self.batches = self.failures = 0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "OldService":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with psycopg.connect(self._database.url) as connection:
                    while not self._stop.is_set():
                        self._store(connection, self.batches)
                        connection.commit()
                        self.batches += 1
            except psycopg.Error:
                self.failures += 1

    @staticmethod
    def _store(connection: psycopg.Connection, number: int) -> None:
        connection.execute("SELECT id FROM ml_models FOR KEY SHARE")
        row = connection.execute("SELECT nextval(pg_get_serial_sequence('predictions', 'id'))").fetchone()
        first = row[0] if row else 0
        moment = connection.execute("SELECT now()").fetchone()
        with connection.cursor() as cursor, cursor.copy(COPY) as copy:
            for k in range(20):
                copy.write_row((first + k, f"live{number}-{k}", moment[0] if moment else None, 1, 0, "0.5"))
        connection.execute(ALERTS, [first, first + 19])


# What keeps the upgrade from going on, as others do in a running service, and which lock it then waits for.
OBSTACLES = {
    "building the key": ("UPDATE predictions SET prediction = 0 WHERE id = 10001", "virtualxid|transactionid"),
    "adding the alerts' time": ("SELECT 1 FROM prediction_alerts LIMIT 1", "prediction_alerts"),
    "adding the bound": ("SELECT 1 FROM predictions LIMIT 1", "predictions"),
    "putting it in its place": ("SELECT 1 FROM ml_models FOR KEY SHARE", "ml_models"),
}
WAITING = """
SELECT count(*) FROM pg_locks l LEFT JOIN pg_class c ON c.oid = l.relation AND l.locktype = 'relation'
WHERE NOT l.granted AND coalesce(c.relname, l.locktype) ~ ('^(' || %s || ')$')"""


def test_killed_at_every_step_and_resumed(old: Database):
    """One process after the other gets a step further and is killed; nothing is lost, doubled or changed."""
    content = one(old, CONTENT)
    for step, (obstacle, lock) in OBSTACLES.items():
        with psycopg.connect(old.url) as blocker, upgrading(old) as process:
            blocker.execute(obstacle.encode())
            with psycopg.connect(old.url, autocommit=True) as observer:
                waits = partial(observer.execute, WAITING, [lock])
                until(lambda: waits().fetchone() != (0,), what=step)  # noqa: B023 - called at once
            assert process.poll() is None, step
            process.kill()
        # The server notices that nobody is there any more when it would answer.
        until(lambda: one(old, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()") == (1,))
        assert current_revision(old) == BEFORE, step
        assert one(old, CONTENT) == content, step
    assert upgrade(old)
    assert one(old, CONTENT) == content
    assert one(old, UNLIKE) == (0,)
    assert one(old, "SELECT count(*) FROM prediction_alerts") == (600,)
    assert current_revision(old) == HEAD


def test_a_service_of_the_version_before_goes_on_storing(old: Database):
    before = one(old, "SELECT count(*) FROM predictions")[0]
    with OldService(old) as service:
        until(lambda: service.batches > 5)
        assert upgrade(old)
        done = service.batches
        until(lambda: service.batches > done + 5)
    stored, *distinct, _ = one(old, CONTENT)
    assert stored == before + 20 * service.batches
    assert distinct == [stored, stored]
    assert one(old, "SELECT count(*) FROM prediction_alerts") == (stored // 5,)
    assert one(old, UNLIKE) == (0,)


def test_whatever_was_prepared_the_revision_does_the_rest(old: Database, monkeypatch: pytest.MonkeyPatch):
    """Preparing is there to be quick alone: without it the outcome is the same."""
    content = one(old, CONTENT)
    monkeypatch.setattr("kurswerk.storage.server._partitioning._prepare", lambda _: None)
    assert upgrade(old)
    assert (one(old, CONTENT), one(old, UNLIKE)) == (content, (0,))


def test_down_and_up_again_keeps_predictions_and_alerts(old: Database):
    content = one(old, CONTENT)
    for _ in range(2):
        assert upgrade(old)
        first = one(old, "SELECT nextval('predictions_id_seq')")[0]
        assert isinstance(first, int)
        assert first > 13_000
        downgrade(old, BEFORE)
        assert one(old, CONTENT) == content
        assert one(old, "SELECT count(*) FROM prediction_alerts") == (600,)
        assert one(old, "SELECT nextval(pg_get_serial_sequence('predictions', 'id'))")[0] == first + 10_000


def test_what_others_may_read_they_may_read_afterwards(old: Database):
    with old.connection() as connection:
        connection.execute("DROP ROLE IF EXISTS grafana_of_a_test")
        connection.execute("CREATE ROLE grafana_of_a_test")
        connection.execute("GRANT SELECT ON predictions TO grafana_of_a_test")
    try:
        assert upgrade(old)
        assert one(old, "SELECT has_table_privilege('grafana_of_a_test', 'predictions', 'SELECT')") == (True,)
    finally:
        with old.connection() as connection:
            connection.execute("DROP OWNED BY grafana_of_a_test")
            connection.execute("DROP ROLE grafana_of_a_test")


@pytest.mark.slow
def test_a_million_predictions_killed_over_and_over_while_a_service_stores(database: Database):
    fill(database, rows=1_000_000, step=1)
    before = one(database, "SELECT count(*) FROM predictions")[0]
    with OldService(database) as service:
        for kill_after in (2, 5, 20, 60, 200):  # batches that are stored before the upgrade is killed
            done = service.batches
            with upgrading(database) as process:
                until(lambda: service.batches > done + kill_after or process.poll() is not None)  # noqa: B023
        assert upgrade(database) or current_revision(database) == HEAD
        done = service.batches
        until(lambda: service.batches > done + 5)
    stored, *distinct, _ = one(database, CONTENT)
    assert stored == before + 20 * service.batches
    assert distinct == [stored, stored]
    assert one(database, UNLIKE) == (0,)
