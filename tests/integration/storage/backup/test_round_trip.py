"""What a backup brings back, compared by the server's own text of every row and pg_dump's of every table."""

import threading
import uuid
from pathlib import Path

import psycopg
import pytest

from backup_content import content, databases_beside, name_of, statements
from kurswerk.core.errors import ConflictError, InvalidInputError, StorageError
from kurswerk.storage.backup import (
    BackupOptions,
    BackupStore,
    KeepRule,
    _table_copy,
    create_backup,
    open_backup,
    restore_backup,
    restore_into_scratch,
)
from kurswerk.storage.server import Database

KEY = "a key of the operator's own"


@pytest.mark.parametrize(("place", "secret"), [("folder", KEY), ("memory", None)], ids=["encrypted", "plain"])
def test_everything_comes_back(filled, data_dir, empty_database, tmp_path, monkeypatch, secret, place):
    monkeypatch.setattr(_table_copy, "PIECE_BYTES", 2000)
    monkeypatch.setattr(_table_copy, "_RANGE_PAGES", 2)
    url = str(tmp_path / "a store") if place == "folder" else f"memory://{uuid.uuid4().hex}"
    settings = tmp_path / "kurswerk.toml"
    settings.write_text("[http]\nport = 1\n")
    before = content(filled)
    done = create_backup(filled, BackupStore(url), data_dir, BackupOptions(secret=secret), settings_file=settings)
    assert content(filled) == before

    backup = open_backup(url, secret)
    verified = backup.verify()
    assert verified.rows == done.header.rows == sum(table.rows for table in backup.contents.tables)
    assert verified.files == 2
    folder = tmp_path / "other data"
    summary = restore_backup(backup, empty_database, folder)
    assert content(empty_database) == before
    assert statements(empty_database) == statements(filled)
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "quarantine/a.parquet": b"refused" * 1000,
        "archive/predictions/p 1.parquet": b"",
        "restored-settings.toml": settings.read_bytes(),
    }
    assert summary.replaced_database is None
    assert databases_beside(empty_database) == []


def test_an_encrypted_backup_shows_nothing_of_its_content(filled, data_dir, tmp_path):
    create_backup(filled, BackupStore(str(tmp_path / "s")), data_dir, BackupOptions(secret=KEY))
    everything = b"".join(path.read_bytes() for path in (tmp_path / "s").rglob("*") if path.is_file())
    for word in (b"coin_metrics", b"quarantine", b"PGCOPY", b"CREATE TABLE", KEY.encode()):
        assert word not in everything


def test_all_is_as_of_one_moment_while_others_write(filled, data_dir, empty_database, tmp_path):
    with psycopg.connect(filled.url) as connection:
        connection.execute("CREATE TABLE debit (n int); CREATE TABLE credit (n int)")
    stop = threading.Event()
    written = threading.Semaphore(0)

    def write():
        with psycopg.connect(filled.url) as connection:
            n = 0
            while not stop.is_set():
                n += 1
                connection.execute("INSERT INTO debit VALUES (%s)", [n])
                connection.execute("INSERT INTO credit VALUES (%s)", [n])
                connection.commit()
                written.release()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert written.acquire(timeout=60)
        create_backup(filled, BackupStore(str(tmp_path / "s")), data_dir)
    finally:
        stop.set()
        thread.join()
    restore_backup(open_backup(str(tmp_path / "s")), empty_database, tmp_path / "d")
    with psycopg.connect(empty_database.url) as connection:
        debit, credit = (
            [row[0] for row in connection.execute(f"SELECT n FROM {table} ORDER BY n")] for table in ("debit", "credit")
        )
    assert debit == credit == list(range(1, len(debit) + 1))
    assert debit


def test_a_database_that_is_not_empty_is_only_replaced_by_name(backed_up, filled, data_dir, tmp_path):
    backed_up()
    before = content(filled)
    with psycopg.connect(filled.url) as connection:
        connection.execute("DELETE FROM moods; SELECT nextval('lone'); INSERT INTO parts VALUES (1000, '2024-01-05')")
    (data_dir / "quarantine" / "later.parquet").write_bytes(b"later")
    changed = content(filled)
    for name in (None, "another", name_of(filled).upper()):
        with pytest.raises(ConflictError, match="not empty"):
            restore_backup(open_backup(str(tmp_path / "store")), filled, data_dir, replace=name)
    assert content(filled) == changed
    pooled = Database(filled.url, pool_size=3)
    pooled.check()
    summary = restore_backup(open_backup(str(tmp_path / "store")), filled, data_dir, replace=name_of(filled))
    # A number that was given out since is not given out again.
    assert content(filled) == before | {"public.lone": str(int(before["public.lone"]) + 3)}
    assert pooled.check()
    pooled.close()
    assert databases_beside(filled) == [summary.replaced_database]
    with psycopg.connect(filled.url.replace(name_of(filled), summary.replaced_database)) as connection:
        assert connection.execute("SELECT count(*) FROM moods").fetchone() == (0,)
    assert (summary.replaced_files / "quarantine" / "later.parquet").read_bytes() == b"later"
    assert not (data_dir / "quarantine" / "later.parquet").exists()
    assert (data_dir / "cache" / "kernels" / "k").exists()


def test_a_restore_into_a_database_of_its_own_leaves_nothing(backed_up, filled, tmp_path):
    done = backed_up()
    before = content(filled)
    assert restore_into_scratch(open_backup(str(tmp_path / "store")), filled) == done.header.rows
    assert content(filled) == before
    assert databases_beside(filled) == []


def test_backups_that_begin_in_one_second_are_both_kept(backed_up, tmp_path):
    names = [backed_up().header.name for _ in range(3)]
    assert len(set(names)) == 3
    assert BackupStore(str(tmp_path / "store")).names() == names


def test_backups_that_need_not_be_kept_are_removed_and_so_are_interrupted_ones(backed_up, tmp_path):
    store = BackupStore(str(tmp_path / "store"))
    (tmp_path / "store" / "kurswerk-20200101T000000Z").mkdir(parents=True)
    (tmp_path / "store" / "kurswerk-20200101T000000Z" / "0000001").write_bytes(b"interrupted")
    (tmp_path / "store" / "photos").mkdir()
    first = backed_up().header.name
    assert store.names() == [first]
    older = store.manifest(first)
    (tmp_path / "store" / "kurswerk-20200102T000000Z").mkdir()
    (tmp_path / "store" / "kurswerk-20200102T000000Z" / "manifest.json").write_bytes(older)
    assert store.names() == ["kurswerk-20200102T000000Z", first]
    done = backed_up(keep=KeepRule(last=1))
    assert store.names() == [done.header.name]
    assert (tmp_path / "store" / "photos").exists()


def test_only_one_backup_at_a_time(filled, data_dir, tmp_path):
    with psycopg.connect(filled.url) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [0x4B5762])
        with pytest.raises(ConflictError, match="under way"):
            create_backup(filled, BackupStore(str(tmp_path / "s")), data_dir)


def test_a_database_without_tables_and_a_store_that_fails_are_named(bare_database, filled, data_dir, tmp_path):
    with pytest.raises(StorageError, match="no tables of Kurswerk"):
        create_backup(bare_database, BackupStore(str(tmp_path / "s")), data_dir)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match="failed"):
        create_backup(filled, BackupStore(str(tmp_path / "file")), data_dir)
    with pytest.raises(InvalidInputError, match="nosuch"):
        BackupStore("nosuch://bucket")
    with pytest.raises(InvalidInputError, match="16"):
        create_backup(filled, BackupStore(str(tmp_path / "s")), data_dir, BackupOptions(secret="short"))


def test_the_files_of_a_store_within_the_data_folder_are_left_out(filled, data_dir):
    store = BackupStore(str(data_dir / "kept" / "here"))
    for turn in range(2):
        done = create_backup(filled, store, data_dir)
        assert done.header.files == 2
        # Two backups of one second would have the same name.
        path = Path(data_dir) / "kept" / "here" / done.header.name
        path.rename(path.with_name(f"x{turn}{done.header.name}"))
