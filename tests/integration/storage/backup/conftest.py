"""A database and a data folder to back up, and an empty database to restore into."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from backup_content import OTHERS, drop_beside
from kurswerk.storage.backup import BackupOptions, BackupStore, BackupSummary, create_backup
from kurswerk.storage.server import Database


@pytest.fixture
def filled(database: Database) -> Iterator[Database]:
    """A migrated database with others' tables in it."""
    with psycopg.connect(database.url) as connection:
        connection.execute(OTHERS.encode())
    yield database
    drop_beside(database)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data folder with what is lasting and what is not."""
    folder = tmp_path / "data"
    for path, content in {
        "quarantine/a.parquet": b"refused" * 1000, "archive/predictions/p 1.parquet": b"", "exports/job.part": b"half",
        "cache/kernels/k": b"compiled", "postgres/PG_VERSION": b"18", "postgres.log": b"", "metrics/m.db": b"1",
    }.items():  # fmt: skip
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


@pytest.fixture
def empty_database(bare_database: Database) -> Iterator[Database]:
    """An empty database to restore into; what restores leave beside it is gone afterwards."""
    yield bare_database
    drop_beside(bare_database)


@pytest.fixture
def backed_up(filled: Database, data_dir: Path, tmp_path: Path) -> Callable[..., BackupSummary]:
    """Back a database up into a folder."""

    def make(**options: object) -> BackupSummary:
        return create_backup(filled, BackupStore(str(tmp_path / "store")), data_dir, BackupOptions(**options))  # type: ignore[arg-type]

    return make
