"""A backup and a restore of a large database under load, killed again and again; nothing is lost, nothing counts twice.

``KURSWERK_BACKUP_TEST_MB`` sets the size of the rows, 1000 by default.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil
import psycopg
import pytest

from backup_content import drop_beside, name_of, server_of
from feed_lanes import a_lane
from kurswerk.core.errors import KurswerkError
from kurswerk.market import COINS as MARKET
from kurswerk.storage.backup import BackupStore, open_backup
from kurswerk.storage.feed import PostgresFeedSession
from kurswerk.storage.server import Database
from served_models import RECURSIVE, coin_rows, register, write_rows
from waiting import until

MEGABYTES = int(os.environ.get("KURSWERK_BACKUP_TEST_MB", "1000"))
# A row of coin_metrics with these columns takes about 280 bytes.
ROWS = MEGABYTES * 1_000_000 // 280
COINS = [f"live{k:02d}" for k in range(20)]
COLUMNS = ("price_open", "price_high", "price_low", "price_close", "volume_sol", "buy_volume_sol", "sell_volume_sol")
KEY = "a key of the operator's own"


def fill(database: Database) -> None:
    """Store old rows of many coins, most of their columns noise that does not compress."""
    with psycopg.connect(database.url) as connection:
        floats = [
            row[0]
            for row in connection.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = 'coin_metrics'::regclass AND attnum > 0"
                " AND atttypid = 'float8'::regtype"
            )
        ]
        names = ", ".join(floats)
        noise = ", ".join("random()" for _ in floats)
        connection.execute("ALTER TABLE coin_metrics DISABLE TRIGGER USER")
        connection.execute(
            f"INSERT INTO coin_metrics (mint, \"timestamp\", {names}) SELECT 'old' || k % 1000,"
            f" timestamptz '2020-01-01' + k * interval '1 second', {noise} FROM generate_series(1, {ROWS}) k"
        )
        connection.execute("ALTER TABLE coin_metrics ENABLE TRIGGER USER")


class Load:
    """Writes rows of several coins and predicts them, until it is stopped; outlives the restore."""

    def __init__(self, database: Database) -> None:
        self.database, self.stop, self.step = database, threading.Event(), 0
        self.threads = [threading.Thread(target=target, daemon=True) for target in (self.write, self.predict)]

    def __enter__(self) -> "Load":
        for thread in self.threads:
            thread.start()
        until(lambda: self.step > 5)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(120)

    def write(self) -> None:
        while not self.stop.is_set():
            try:
                write_rows(self.database, coin_rows(COINS, self.step, self.step + 1))
                self.step += 1
            except (KurswerkError, psycopg.Error):  # the restore ended the session
                time.sleep(0.2)

    def predict(self) -> None:
        while not self.stop.is_set():
            try:
                with closing(PostgresFeedSession(self.database, MARKET)) as session:
                    lane = a_lane(self.database, session)
                    while not self.stop.is_set():
                        lane.lease()
                        if not lane.step().rows:
                            time.sleep(0.02)
            except (KurswerkError, psycopg.Error):
                time.sleep(0.2)


def kurswerk(database: Database, data_dir, *words: str) -> subprocess.Popen:
    environment = {
        **os.environ, "KURSWERK_DATABASE_URL": database.url, "KURSWERK_DATA_DIR": str(data_dir),
        "KURSWERK_BACKUP_KEY": KEY,
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "kurswerk", "db", *words, "--json"], env=environment, stdout=subprocess.PIPE, text=True
    )


def killed_when(process: subprocess.Popen, reached: Callable[[], bool]) -> bool:
    """Kill a command once it has come so far; return whether it was still at work."""
    until(lambda: reached() or process.poll() is not None)
    at_work = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return at_work


def objects_in(store: Path) -> int:
    """Return how many objects the interrupted backups of a store have."""
    return sum(1 for path in store.glob("*/0*") if not (path.parent / "manifest.json").exists())


def loaded_bytes(database: Database) -> int:
    """Return the size of the database that a restore fills; 0 without one."""
    with psycopg.connect(server_of(database), autocommit=True) as connection:
        query = "SELECT coalesce(max(pg_database_size(oid)), 0)::bigint FROM pg_database WHERE datname = %s"
        row = connection.execute(query, [f"{name_of(database)}_restoring"]).fetchone()
    return row[0] if row else 0


def finished(process: subprocess.Popen) -> tuple[dict, float]:
    """Wait for a command; return its document and the most memory it took, in MB."""
    most = 0.0
    own = psutil.Process(process.pid)
    reader = threading.Thread(target=lambda: outputs.append(process.stdout.read()))
    outputs: list[str] = []
    reader.start()
    while process.poll() is None:
        try:
            most = max(most, own.memory_info().rss / 1e6)
        except psutil.Error:
            break
        time.sleep(0.1)
    reader.join()
    process.stdout.close()
    assert process.wait() == 0, outputs
    return json.loads(outputs[0]), most


def counts(database: Database) -> tuple[int, int, int]:
    with psycopg.connect(database.url) as connection:
        old = connection.execute("SELECT count(*) FROM coin_metrics WHERE mint LIKE 'old%'").fetchone()
        live = connection.execute("SELECT count(*) FROM coin_metrics WHERE mint LIKE 'live%'").fetchone()
        predicted = connection.execute(
            'SELECT count(*), count(DISTINCT (coin_id, "timestamp", model_id)) FROM predictions'
        ).fetchone()
    assert old
    assert live
    assert predicted
    assert predicted[0] == predicted[1]
    return old[0], live[0], predicted[0]


@pytest.mark.slow
def test_backup_and_restore_of_a_large_database_under_load_and_kills(database, tmp_path, capsys):
    rng, store, data_dir = random.Random(7), tmp_path / "store", tmp_path / "data"
    (data_dir / "archive").mkdir(parents=True)
    (data_dir / "archive" / "a.parquet").write_bytes(rng.randbytes(50_000_000))
    fill(database)
    register(database, "live", RECURSIVE)
    report = {}
    with Load(database) as load:
        for objects in (1, MEGABYTES // 100, MEGABYTES // 50):
            process = kurswerk(database, data_dir, "backup", str(store))
            assert killed_when(process, lambda least=objects: objects_in(store) >= least)
            assert BackupStore(str(store)).complete() == []
        before = load.step
        started = time.monotonic()
        made, report["backup_memory_mb"] = until(lambda: _made(database, data_dir, store))
        report["backup_s"] = time.monotonic() - started
        after = load.step
        assert after > before  # writers went on
        verified, _ = finished(kurswerk(database, data_dir, "verify", str(store)))
        assert verified["rows"] == made["rows"]
        at_backup = open_backup(str(store), KEY)
        live_rows = next(table.rows for table in at_backup.contents.tables if table.name == "coin_metrics") - ROWS
        assert before * len(COINS) <= live_rows <= after * len(COINS) + len(COINS)

        replace = ("restore", str(store), "--replace", name_of(database))
        for share in (0.02, 0.4, 0.9):
            process = kurswerk(database, data_dir, *replace)
            least = int(share * MEGABYTES * 1e6)
            assert killed_when(process, lambda least=least: loaded_bytes(database) >= least)
            assert counts(database)[0] == ROWS
            until(lambda: _restore_lock_free(database))
        started = time.monotonic()
        restored, report["restore_memory_mb"] = until(lambda: _done(database, data_dir, *replace))
        report["restore_s"] = time.monotonic() - started
        load.stop.set()
        last = load.step
    assert restored["rows"] == made["rows"]
    # Everything up to the backup's moment is there; all rows, ingested again, are predicted once.
    for first in range(0, last, 200):
        write_rows(database, coin_rows(COINS, first, min(last, first + 200)))
    with closing(PostgresFeedSession(database, MARKET)) as session:
        lane = a_lane(database, session)
        while lane.step().rows:
            pass
    old, live, predicted = counts(database)
    assert old == ROWS
    assert predicted == live >= last * len(COINS)
    report |= {"raw_mb": made["raw_bytes"] / 1e6, "stored_mb": made["stored_bytes"] / 1e6, "seconds": made["seconds"]}
    with capsys.disabled():
        sys.stdout.write(f"\nbackup and restore: {json.dumps(report)}\n")
    drop_beside(database)


def _restore_lock_free(database):
    """Whether the server has ended the sessions of a killed restore, and a next one begins anew."""
    with psycopg.connect(server_of(database), autocommit=True) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s", [f"{name_of(database)}_restoring"]
        ).fetchone()
        if row != (0,):
            return False
        connection.execute(f'DROP DATABASE IF EXISTS "{name_of(database)}_restoring"')
    return True


def _made(database, data_dir, store):
    process = kurswerk(database, data_dir, "backup", str(store))
    return _result(process)


def _done(database, data_dir, *words):
    return _result(kurswerk(database, data_dir, *words))


def _result(process):
    """Return a command's result; None while the server still ends the sessions of one that was killed."""
    try:
        return finished(process)
    except AssertionError as error:
        if "under_way" not in str(error):
            raise
        return None
