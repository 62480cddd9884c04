"""The kinds of job that this installation has: one line each."""

from pathlib import Path

from kurswerk.jobs import JobFiles, JobKinds, JobService
from kurswerk.market import COINS
from kurswerk.storage.jobs import FolderJobFiles, PostgresJobStore
from kurswerk.storage.markets import PostgresMarketStore
from kurswerk.storage.registry import PostgresModelStore, PostgresResultStore
from kurswerk.storage.server import Database
from kurswerk.training import TrainingStores, certify_kind, compare_kind, features_kind, test_kind, train_kind


def training_stores(
    database: Database, memory_budget_bytes: int | None = None, alert_threshold: float | None = None
) -> TrainingStores:
    """Return what trainings, tests, comparisons and certificates work with.

    Parameters
    ----------
    memory_budget_bytes
        What one of them may take; None is unlimited.
    alert_threshold
        What a model that is ordered begins with; None is the database's default.
    """
    return TrainingStores(
        market=PostgresMarketStore(database, COINS),
        models=PostgresModelStore(database, alert_threshold=alert_threshold),
        results=PostgresResultStore(database),
        memory_budget_bytes=memory_budget_bytes,
    )


def job_files(data_dir: Path) -> JobFiles:
    """Return the files that jobs write, in the data folder."""
    return FolderJobFiles(data_dir)


def job_kinds(stores: TrainingStores, files: JobFiles) -> JobKinds:
    """Return the register of kinds of job."""
    return JobKinds(
        train_kind(stores),
        test_kind(stores),
        compare_kind(stores),
        certify_kind(stores),
        features_kind(stores, files),
    )


def job_service(database: Database, data_dir: Path, memory_budget_bytes: int | None = None) -> JobService:
    """Return what orders jobs in a database and carries them out; their files lie in the data folder."""
    kinds = job_kinds(training_stores(database, memory_budget_bytes), job_files(data_dir))
    return JobService(kinds, PostgresJobStore(database, kinds))
