"""Joins the health service to the database of a service."""

import time

from kurswerk.bootstrap.service import Service
from kurswerk.ingest.collector import collectors_check
from kurswerk.jobs import workers_check
from kurswerk.observability import (
    HEALTH_TIMEOUT_S,
    DatabaseReading,
    HealthService,
    ServiceState,
    database_check,
    migrations_check,
)
from kurswerk.serving import inputs_check, predictors_check
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
    database = Database(service.database.url)
    return HealthService(
        lambda: read_database(database),
        metrics=service.metrics,
        data_dir=service.settings.data_dir,
        started_s=service.started_s,
        timeout_s=timeout_s,
    )


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
    return DatabaseReading(
        checks={
            "database": database_check(seconds),
            "migrations": migrations_check(status.revision, HEAD),
            "workers": workers_check(workers),
            "predictors": predictors_check(status.predictors, status.active_models),
            "inputs": inputs_check(missing),
            "collectors": collectors_check(collectors),
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
        ),
        predictions_last_hour=status.predictions_last_hour,
    )
