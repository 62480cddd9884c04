"""Upgrades: twice, at once, killed, in a database where others were first, and back."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from procrastinate.schema import SchemaManager

import kurswerk.storage.server
from kurswerk.core.errors import ConflictError, StorageError
from kurswerk.storage.server import Database, current_revision, downgrade, schema_status, upgrade
from kurswerk.storage.server._revisions import HEAD, MIGRATION_LOCK, VERSION_TABLE
from kurswerk.storage.server.migrations.jobs_v2 import PROCRASTINATE_SCHEMA

UPGRADE = "import sys; from kurswerk.storage.server import Database, upgrade; print(upgrade(Database(sys.argv[1])))"
COLLECTORS = """
CREATE TABLE coin_metrics (mint text, "timestamp" timestamptz, price_close numeric(20,8), remark text);
INSERT INTO coin_metrics VALUES ('a', '2024-01-01', 1.5, 'theirs');
CREATE TABLE ref_coin_phases (id int, name text, interval_seconds int);
INSERT INTO ref_coin_phases VALUES (1, 'Infancy', 7);
CREATE TABLE alembic_version (version_num text);
INSERT INTO alembic_version VALUES ('theirs')"""


def tables(database: Database) -> set[str]:
    return {table.name for table in schema_status(database).tables}


def start_upgrade(database: Database) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", UPGRADE, database.url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_head_is_alembics():
    config = Config()
    config.set_main_option("script_location", str(Path(kurswerk.storage.server.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_upgrade_is_idempotent(bare_database: Database):
    assert current_revision(bare_database) is None
    assert not schema_status(bare_database).up_to_date
    assert upgrade(bare_database)
    assert not upgrade(bare_database)
    assert schema_status(bare_database).up_to_date


def test_processes_that_upgrade_at_once_do_it_once(bare_database: Database):
    with bare_database.connection() as connection:  # hold them all at the gate
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [MIGRATION_LOCK])
        processes = [start_upgrade(bare_database) for _ in range(3)]
        waiting = 0
        while waiting < 3:
            assert all(process.poll() is None for process in processes)
            row = connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            waiting = (row.fetchone() or (0,))[0]
    answers = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], answers
    assert current_revision(bare_database) == HEAD


def test_a_process_killed_on_the_way_leaves_nothing_half_done(bare_database: Database):
    with bare_database.connection() as blocker:
        blocker.execute("CREATE TABLE prediction_alerts (id int)")  # the last table waits for our end
        process = start_upgrade(bare_database)
        while not blocker.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
            assert process.poll() is None, process.communicate()
        process.kill()
        process.communicate()
        blocker.rollback()
    assert tables(bare_database) == set()
    assert upgrade(bare_database)


def test_tables_of_others_stay_as_they_are(bare_database: Database):
    with bare_database.connection() as connection:
        connection.execute(COLLECTORS)
    assert upgrade(bare_database)
    owned = {table.name for table in schema_status(bare_database).tables if table.owned}
    assert not owned & {"coin_metrics", "ref_coin_phases", "alembic_version"}
    assert {"coin_streams", "exchange_rates", "ml_models"} <= owned
    downgrade(bare_database)
    assert tables(bare_database) == {"coin_metrics", "ref_coin_phases", "alembic_version", VERSION_TABLE}
    with bare_database.connection() as connection:
        assert connection.execute("SELECT remark FROM coin_metrics").fetchall() == [("theirs",)]
        assert connection.execute("SELECT * FROM ref_coin_phases").fetchall() == [(1, "Infancy", 7)]
        assert connection.execute("SELECT * FROM alembic_version").fetchall() == [("theirs",)]


def test_there_and_back_and_there(database: Database):
    before = tables(database)
    downgrade(database)
    assert tables(database) == {VERSION_TABLE}
    downgrade(database)
    assert upgrade(database)
    assert tables(database) == before


def test_tables_that_must_be_ours_are_not_taken_over(bare_database: Database):
    with bare_database.connection() as connection:
        connection.execute("CREATE TABLE ml_models (id int)")
    with pytest.raises(ConflictError, match="holds ml_models already"):
        upgrade(bare_database)
    assert tables(bare_database) == {"ml_models"}


def test_a_database_of_a_newer_version_is_refused(database: Database):
    with database.connection() as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")  # type: ignore[arg-type]
    with pytest.raises(StorageError, match="newer Kurswerk"):
        upgrade(database)


def test_a_version_table_without_a_row_is_before_the_first(database: Database):
    downgrade(database)
    assert current_revision(database) is None


def test_a_role_that_may_not_create_tables(bare_database: Database):
    with bare_database.connection() as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET default_transaction_read_only = on")  # type: ignore[arg-type]
    with pytest.raises(StorageError, match="read-only"):
        upgrade(bare_database)


def test_procrastinates_schema_is_the_one_the_revision_was_written_for():
    found = sorted(path.name for path in Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    assert found[-1] == PROCRASTINATE_SCHEMA, "write a revision that runs Procrastinate's new migrations"


def test_a_database_with_data_keeps_it_down_and_up_again(database: Database):
    downgrade(database, "0001")
    assert not tables(database) & {"procrastinate_jobs", "api_keys"}
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO ml_models (name, model_type, target_variable, train_start, train_end)"
            " VALUES ('kept', 'xgboost', 'price_close', '2024-01-01', '2024-02-01')"
        )
        connection.execute("INSERT INTO ml_jobs (job_type, status) VALUES ('TRAIN', 'RUNNING'), ('TEST', 'COMPLETED')")
    for _ in range(2):
        assert upgrade(database)
        with database.connection() as connection:
            assert connection.execute("SELECT name FROM ml_models").fetchall() == [("kept",)]
            jobs = connection.execute("SELECT job_type, status, attempt FROM ml_jobs ORDER BY id").fetchall()
            connection.execute("SELECT procrastinate_register_worker_v1()")
        assert jobs == [("TRAIN", "PENDING", 0), ("TEST", "COMPLETED", 0)]
        downgrade(database, "0001")


def test_jobs_outlive_their_log(database: Database):
    with database.connection() as connection:
        connection.execute("INSERT INTO ml_jobs (job_type) VALUES ('TEST')")
        connection.execute("INSERT INTO ml_job_log (job_id, attempt, level, message) VALUES (1, 0, 'info', 'a')")
    for _ in range(2):
        downgrade(database, "0004")
        assert "ml_job_log" not in tables(database)
        assert upgrade(database)
        with database.connection() as connection:
            assert connection.execute("SELECT id, job_type FROM ml_jobs").fetchall() == [(1, "TEST")]
            assert connection.execute("SELECT * FROM ml_job_log").fetchall() == []
            connection.execute("INSERT INTO ml_job_log (job_id, attempt, level, message) VALUES (1, 0, 'info', 'b')")


@pytest.mark.parametrize("name", ["coin_states", "ml_job_log"])
def test_a_table_of_the_same_name_is_not_taken_over(bare_database: Database, name: str):
    with bare_database.connection() as connection:
        connection.execute(f"CREATE TABLE {name} (id int)")  # type: ignore[call-overload]
    with pytest.raises(ConflictError, match=f"holds {name} already"):
        upgrade(bare_database)
    assert tables(bare_database) == {name}


def test_another_procrastinate_is_not_taken_over(bare_database: Database):
    with bare_database.connection() as connection:
        connection.execute("CREATE TABLE procrastinate_jobs (id int)")
    with pytest.raises(ConflictError, match="holds procrastinate_jobs already"):
        upgrade(bare_database)
    assert tables(bare_database) == {"procrastinate_jobs"}
