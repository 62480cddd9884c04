"""Joins the health service to the database of a service."""

import time
from dataclasses import replace
from datetime import UTC, datetime

from kurswerk.bootstrap.feature_cache import feature_cache
from kurswerk.bootstrap.service import Service
from kurswerk.bootstrap.settings import Settings
from kurswerk.ingest.collector import collectors_check
from kurswerk.jobs import workers_check
from kurswerk.observability import (
    HEALTH_TIMEOUT_S,
    BackupReading,
    Check,
    DatabaseReading,
    HealthService,
    ServiceState,
    backups_check,
    database_check,
    migrations_check,
)
from kurswerk.serving import inputs_check, predictors_check
from kurswerk.storage.backup import BackupState, PostgresBackupStates
from kurswerk.storage.jobs import workers_status
from kurswerk.storage.markets import collector_reports, missing_columns
from kurswerk.storage.operations import service_status
from kurswerk.storage.outcomes import PostgresOutcomeLog
from kurswerk.storage.server import HEAD, Database

# The days of rows whose outcomes the metrics of live models speak of.
_LIVE_DAYS = 7


def health_service(service: Service, *, timeout_s: float = HEALTH_TIMEOUT_S) -> HealthService:
    """Return what reports a service's health and metrics, given up on after ``timeout_s`` seconds."""
    # A connection of its own: that the pool is busy does not make the database unwell.
    database = Database(service.database.source)
    return HealthService(
        lambda: _with_cache(read_database(database), service.settings),
        metrics=service.metrics,
        data_dir=service.settings.data_dir,
        started_s=service.started_s,
        timeout_s=timeout_s,
    )


def _with_cache(reading: DatabaseReading, settings: Settings) -> DatabaseReading:
    kept = feature_cache(settings).state()
    state = replace(reading.state, feature_cache_hit_rate=kept.counts.hit_rate, feature_cache_bytes=kept.bytes)
    return replace(reading, state=state)


def read_database(database: Database) -> DatabaseReading:
    """Read what the database has on the service.

    Raises
    ------
    DatabaseUnavailableError
        If it cannot be reached.
    """
    started = time.perf_counter()
    status = service_status(database)
    seconds = time.perf_counter() - started
    workers = workers_status(database) if status.revision else ()
    missing = missing_columns(database) if status.revision == HEAD else ()
    collectors = collector_reports(database) if status.revision == HEAD else ()
    outcomes = PostgresOutcomeLog(database) if status.revision == HEAD else None
    judged = outcomes.counts() if outcomes else {}
    of_late = outcomes.counts(days=_LIVE_DAYS) if outcomes else {}
    backups = PostgresBackupStates(database).read() if status.revision == HEAD else None
    return DatabaseReading(
        checks={
            "database": database_check(seconds),
            "migrations": migrations_check(status.revision, HEAD),
            "workers": workers_check(workers),
            "predictors": predictors_check(status.predictors, status.active_models),
            "inputs": inputs_check(missing),
            "collectors": collectors_check(collectors),
            **_backup_checks(backups),
        },
        state=ServiceState(
            uptime_seconds=0.0,
            db_connected=True,
            models_total=status.models,
            active_models=status.active_models,
            pending_jobs=status.pending_jobs,
            job_progress=status.job_progress,
            missing_columns={(one.market, one.column): len(one.model_ids) for one in missing},
            outcomes={(model, kind): n for model, one in judged.items() for kind, n in one.by_kind().items()},
            live_precision={model: one.precision for model, one in of_late.items() if one.precision is not None},
            live_base_rate={model: one.base_rate for model, one in of_late.items() if one.base_rate is not None},
            backup=_backup_reading(backups),
        ),
        predictions_last_hour=status.predictions_last_hour,
    )


def _backup_checks(state: BackupState | None) -> dict[str, Check]:
    """Return the check of backups; none where nobody makes any."""
    if state is None or (state.schedule is None and state.last is None):
        return {}
    completed = state.completed.started_at if state.completed else None
    error = state.last.error if state.last else None
    return {"backups": backups_check(state.due, completed, error, overdue=state.is_overdue(datetime.now(UTC)))}


def _backup_reading(state: BackupState | None) -> BackupReading | None:
    if state is None or (state.schedule is None and state.last is None):
        return None
    now, done = datetime.now(UTC), state.completed
    return BackupReading(
        succeeded=state.last is not None and state.last.error is None,
        overdue=state.is_overdue(now),
        age_seconds=(now - done.started_at).total_seconds() if done else None,
        duration_seconds=done.seconds if done else None,
        size_bytes=done.stored_bytes if done else None,
    )
