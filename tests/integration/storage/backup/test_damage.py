"""Backups that must not be restored, and restores and backups that are killed: nothing is touched by any of them."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from backup_content import content, databases_beside, name_of
from kurswerk.core.errors import BackupError, ConflictError, KurswerkError, NotFoundError
from kurswerk.storage.backup import BackupStore, create_backup, open_backup, restore_backup
from kurswerk.storage.backup._data_files import PendingFiles
from kurswerk.storage.backup._manifest import FORMAT, Header, read_contents, write_manifest
from kurswerk.storage.server import HEAD
from waiting import until

KEY = "a key of the operator's own"
# Takes a step of a backup or a restore apart, so that it can be killed there for real.
SLOW = """
import sys, time
from pathlib import Path
from kurswerk.storage.backup import *
from kurswerk.storage.backup import _create, _restore
from kurswerk.storage.server import Database
step, url, store, data_dir = sys.argv[1:5]
def stop(*arguments, **options):
    Path(data_dir, "cache", "reached").touch()
    time.sleep(600)
if step == "copy": _create._copy = stop
if step == "manifest": _create.write_manifest = stop
if step == "load": _restore._load_piece = stop
if step == "reset": _restore.reset = stop
if step == "swap": _restore.Server.swap = stop
if step == "files": _restore.PendingFiles.put_in_place = stop
if step in ("copy", "manifest"):
    create_backup(Database(url), BackupStore(store), Path(data_dir))
else:
    restore_backup(open_backup(store), Database(url), Path(data_dir), replace=url.rpartition("/")[2].partition("?")[0])
"""


def killed_at(step: str, url: str, store: Path, data_dir: Path) -> None:
    """Run a backup or a restore in a process of its own, and kill it at a step."""
    reached = data_dir / "cache" / "reached"
    reached.unlink(missing_ok=True)
    process = subprocess.Popen([sys.executable, "-c", SLOW, step, url, str(store), str(data_dir)])
    try:
        until(lambda: reached.exists() or process.poll() is not None, what=step)
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("step", ["copy", pytest.param("manifest", marks=pytest.mark.slow)])
def test_a_killed_backup_is_no_backup_and_the_next_one_removes_it(filled, data_dir, tmp_path, backed_up, step):
    before = content(filled)
    killed_at(step, filled.url, tmp_path / "store", data_dir)
    store = BackupStore(str(tmp_path / "store"))
    interrupted = store.names()
    assert len(interrupted) == 1
    assert store.complete() == []
    with pytest.raises(NotFoundError, match="no complete backup"):
        open_backup(str(tmp_path / "store"))
    with pytest.raises(NotFoundError, match=interrupted[0]):
        open_backup(str(tmp_path / "store" / interrupted[0]))
    # The server ends the sessions of a killed process when it notices.
    done = until(lambda: _unless_under_way(backed_up))
    assert store.names() == [done.header.name]
    assert content(filled) == before


def _unless_under_way(backed_up):
    try:
        return backed_up()
    except ConflictError:
        return None


@pytest.mark.parametrize("step", ["load", pytest.param("reset", marks=pytest.mark.slow), "swap"])
def test_a_killed_restore_leaves_everything_as_it_was_and_begins_again(filled, data_dir, tmp_path, backed_up, step):
    backed_up()
    restored = content(filled)
    with psycopg.connect(filled.url) as connection:
        connection.execute("DELETE FROM moods")
    (data_dir / "quarantine" / "a.parquet").write_bytes(b"other")
    before = content(filled)
    killed_at(step, filled.url, tmp_path / "store", data_dir)
    assert content(filled) == before
    assert (data_dir / "quarantine" / "a.parquet").read_bytes() == b"other"
    assert databases_beside(filled) == [f"{name_of(filled)}_restoring"]
    summary = until(lambda: _restored(filled, data_dir, tmp_path))
    assert not summary.finished_earlier
    assert content(filled) == restored
    assert (data_dir / "quarantine" / "a.parquet").read_bytes() == b"refused" * 1000
    assert databases_beside(filled) == [summary.replaced_database]


def _restored(database, data_dir, tmp_path):
    try:
        return restore_backup(open_backup(str(tmp_path / "store")), database, data_dir, replace=name_of(database))
    except ConflictError as error:
        if error.message.code != "backup.restore_under_way":
            raise
        return None


def test_a_restore_that_is_killed_at_its_very_end_is_finished_by_the_next(filled, data_dir, tmp_path, backed_up):
    backed_up()
    (data_dir / "quarantine" / "a.parquet").write_bytes(b"other")
    killed_at("files", filled.url, tmp_path / "store", data_dir)
    with psycopg.connect(filled.url) as connection:  # what was written since is not taken back
        connection.execute("DELETE FROM parts")
    after = content(filled)
    summary = until(lambda: _restored(filled, data_dir, tmp_path))
    assert summary.finished_earlier
    assert content(filled) == after
    assert (data_dir / "quarantine" / "a.parquet").read_bytes() == b"refused" * 1000
    assert not _restored(filled, data_dir, tmp_path).finished_earlier


@pytest.mark.parametrize("step", range(5))
def test_moving_files_can_be_interrupted_anywhere(tmp_path, monkeypatch, step):
    for path, text in {"a/1": "old", "b/1": "old", "c.txt": "old"}.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    pending = PendingFiles(tmp_path)
    pending.begin()
    for path in ("a/2", "b/1"):
        pending.write(path, iter([b"new"]), "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437")
    pending.write_journal("id", "database", "token")
    rename, calls = Path.rename, iter(range(100))

    def interrupted(self, target):
        if next(calls) == step:
            raise InterruptedError
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(InterruptedError):
        pending.put_in_place()
    replaced = pending.put_in_place()
    found = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    aside = {str((replaced / name).relative_to(tmp_path)): "old" for name in ("a/1", "b/1", "c.txt")}
    assert found == {"a/2": "new", "b/1": "new"} | aside


def test_damage_is_noticed_before_anything_is_touched(filled, data_dir, tmp_path, backed_up, empty_database):
    folder = tmp_path / "store" / backed_up(secret=KEY).header.name
    backup = open_backup(str(folder), KEY)
    rng = random.Random(1)
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        at = rng.randrange(len(whole))
        flipped = whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :]
        for damaged in (flipped, whole[:-1], b"", whole + b"x", None):
            path.unlink()
            if damaged is not None:
                path.write_bytes(damaged)
            if path.name == "manifest.json":
                if damaged is None or not _same_json(damaged, whole):
                    with pytest.raises((BackupError, NotFoundError)):
                        open_backup(str(folder), KEY)
                continue
            with pytest.raises(BackupError):
                restore_backup(backup, empty_database, tmp_path / "d")
            with pytest.raises(BackupError):
                backup.verify()
        path.write_bytes(whole)
    assert databases_beside(empty_database) == []
    assert not (tmp_path / "d" / "quarantine").exists()
    restore_backup(backup, empty_database, tmp_path / "d")
    assert content(empty_database) == content(filled)


def _same_json(one: bytes, other: bytes) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


def test_other_keys_and_newer_programs_are_refused(filled, data_dir, tmp_path, backed_up):
    done = backed_up(secret=KEY)
    folder = tmp_path / "store" / done.header.name
    for key, text in ((None, "is encrypted"), ("another key, long enough", "not the one")):
        with pytest.raises(BackupError, match=text):
            open_backup(str(folder), key)
    plain = create_backup(filled, BackupStore(str(tmp_path / "plain")), data_dir).header
    manifest = tmp_path / "plain" / plain.name / "manifest.json"
    contents = read_contents(manifest.read_bytes(), plain, None)
    for changes, text in (
        ({"revision": f"{int(HEAD) + 1:04d}"}, "update Kurswerk"),
        ({"version": 2}, "update Kurswerk"),
        ({"format": f"not-{FORMAT}"}, "damaged"),
    ):
        manifest.write_bytes(write_manifest(Header(**plain.model_dump() | changes), contents, None))
        with pytest.raises(BackupError, match=text):
            open_backup(str(tmp_path / "plain"))
    # The tables of a backup, taken for those of another one whose key is the same.
    other = backed_up(secret=KEY) if time.sleep(1.1) is None else None
    assert other is not None
    document = json.loads((folder / "manifest.json").read_bytes())
    swapped = json.loads((tmp_path / "store" / other.header.name / "manifest.json").read_bytes())
    document["contents"], document["contents_bytes"] = swapped["contents"], swapped["contents_bytes"]
    (folder / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(KurswerkError, match="damaged or was changed"):
        open_backup(str(folder), KEY)
