"""The kinds of job that this installation has: one line each."""

from pathlib import Path

from kurswerk.bootstrap.sessions import use_sessions_of
from kurswerk.bootstrap.stores import open_stores
from kurswerk.jobs import JobFiles, JobKinds, JobService
from kurswerk.storage.jobs import FolderJobFiles, PostgresJobStore
from kurswerk.storage.server import Database
from kurswerk.training import (
    TrainingStores,
    backtest_kind,
    certify_kind,
    compare_kind,
    features_kind,
    test_kind,
    train_kind,
)


def job_files(data_dir: Path) -> JobFiles:
    """Return the files that jobs write, in the data folder."""
    return FolderJobFiles(data_dir)


def files_in(folder: Path) -> JobFiles:
    """Return files that lie in a folder itself, for work that is done without a job."""
    return FolderJobFiles(folder, within=".")


def job_kinds(stores: TrainingStores, files: JobFiles) -> JobKinds:
    """Return the register of kinds of job."""
    return JobKinds(
        train_kind(stores),
        test_kind(stores),
        compare_kind(stores),
        certify_kind(stores),
        features_kind(stores, files),
        backtest_kind(stores),
    )


def job_service(database: Database, data_dir: Path, memory_budget_bytes: int | None = None) -> JobService:
    """Return what orders jobs in a database and carries them out; their files lie in the data folder."""
    use_sessions_of(data_dir)
    kinds = job_kinds(open_stores(database).training(memory_budget_bytes), job_files(data_dir))
    return JobService(kinds, PostgresJobStore(database, kinds))
