"""What runs on a restored database: rows are predicted once, jobs that were at work are worked on again."""

from contextlib import closing

import pytest

from backup_content import name_of
from feed_lanes import COINS, a_lane, drain, expected, stored
from kurswerk.core.errors import ConflictError, DatabaseUnavailableError
from kurswerk.ingest.collector import Collected, CollectorStatus
from kurswerk.market import COINS as MARKET
from kurswerk.storage.backup import BackupStore, create_backup, open_backup, restore_backup
from kurswerk.storage.feed import PostgresFeedSession
from kurswerk.storage.markets import PostgresCollectorStore
from kurswerk.storage.server import Database
from served_models import RECURSIVE, START_US, coin_rows, register, write_rows


def predict(database: Database) -> int:
    """Predict all rows that wait, as a new lane does."""
    with closing(PostgresFeedSession(database, MARKET)) as session:
        lane = a_lane(database, session)
        rows = drain(lane)
        lane.store_states(all_of_them=True)
        return rows


def test_rows_that_are_ingested_again_are_predicted_once(filled, data_dir, tmp_path):
    ids = [register(filled, "windowed"), register(filled, "recursive", RECURSIVE)]
    write_rows(filled, coin_rows(COINS, 0, 20))
    assert predict(filled) == 20 * len(COINS)
    waiting = coin_rows(COINS, 20, 25)
    write_rows(filled, waiting)  # in the feed when the backup is made
    create_backup(filled, BackupStore(str(tmp_path / "s")), data_dir)
    write_rows(filled, coin_rows(COINS, 25, 30))
    assert predict(filled) == 10 * len(COINS)

    restore_backup(open_backup(str(tmp_path / "s")), filled, data_dir, replace=name_of(filled))
    assert len(stored(filled)) == 2 * 20 * len(COINS)
    write_rows(filled, coin_rows(COINS, 0, 30))  # the last hours once more, of which some are there
    assert predict(filled) == 10 * len(COINS)
    assert stored(filled) == expected(filled, ids)
    write_rows(filled, coin_rows(COINS, 0, 30))
    assert predict(filled) == 0


def test_a_lane_that_outlives_the_restore_goes_on_with_what_is_there_now(filled, data_dir, tmp_path):
    ids = [register(filled, "recursive", RECURSIVE)]
    write_rows(filled, coin_rows(COINS, 0, 10))
    predict(filled)
    create_backup(filled, BackupStore(str(tmp_path / "s")), data_dir)
    session = PostgresFeedSession(filled, MARKET)
    lane = a_lane(filled, session)
    write_rows(filled, coin_rows(COINS, 10, 12, seed=5))
    drain(lane)
    restore_backup(open_backup(str(tmp_path / "s")), filled, data_dir, replace=name_of(filled))
    session.close()  # its connection is gone; it begins again as after any loss
    write_rows(filled, coin_rows(COINS, 10, 14))
    assert predict(filled) == 4 * len(COINS)
    assert stored(filled) == expected(filled, ids)


def test_a_collector_that_outlives_the_restore_begins_from_where_the_backup_has_it(filled, data_dir, tmp_path):
    status = CollectorStatus(is_connected=True, last_message_us=None, silent_after_s=60.0, coins=0)
    collector = PostgresCollectorStore(filled, "pumpportal")
    assert collector.acquire() is not None
    collector.write(Collected([], [], [], [], START_US), status)
    create_backup(filled, BackupStore(str(tmp_path / "s")), data_dir)
    collector.write(Collected([], [], [], [], START_US + 60_000_000), status)
    restore_backup(open_backup(str(tmp_path / "s")), filled, data_dir, replace=name_of(filled))
    with pytest.raises(DatabaseUnavailableError):
        collector.write(Collected([], [], [], [], START_US + 90_000_000), status)
    with pytest.raises(ConflictError):  # else what was collected since the backup would be missing without a gap
        collector.write(Collected([], [], [], [], START_US + 90_000_000), status)
    memory = collector.acquire()
    assert memory is not None
    assert memory.until_us == START_US
    collector.write(Collected([], [], [], [], START_US + 90_000_000), status)


def test_jobs_at_work_wait_again_and_ids_go_on(filled, data_dir, tmp_path):
    with filled.connection() as connection:
        connection.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now())")
        connection.execute(
            "INSERT INTO procrastinate_jobs (task_name, queue_name, status, worker_id)"
            " SELECT 'run', 'jobs', 'doing', id FROM procrastinate_workers"
        )
        connection.execute(
            "INSERT INTO ml_jobs (job_type, status, request, worker_id, heartbeat_at, attempt, procrastinate_id)"
            " SELECT 'TRAIN', 'RUNNING', '{}', 'w', now(), 1, id FROM procrastinate_jobs"
        )
        connection.execute("INSERT INTO serving_replicas (id) VALUES ('lane of before')")
    create_backup(filled, BackupStore(str(tmp_path / "s")), data_dir)
    with filled.connection() as connection:
        connection.execute("INSERT INTO ml_jobs (job_type, request) VALUES ('TRAIN', '{}')")
    restore_backup(open_backup(str(tmp_path / "s")), filled, data_dir, replace=name_of(filled))
    with filled.connection() as connection:
        assert connection.execute("SELECT status, attempt - interruptions FROM ml_jobs").fetchall() == [("PENDING", 1)]
        assert connection.execute("SELECT status::text FROM procrastinate_jobs").fetchall() == [("todo",)]
        for table in ("procrastinate_workers", "serving_replicas"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
        row = connection.execute(
            "INSERT INTO ml_jobs (job_type, request) VALUES ('TRAIN', '{}') RETURNING id"
        ).fetchone()
        assert row == (3,)
