"""What health and metrics are read from, anew each time."""

import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from kurswerk.bootstrap.service import Service
from kurswerk.core.errors import DatabaseUnavailableError, KurswerkError, StorageError
from kurswerk.core.messages import Message
from kurswerk.jobs import WorkerStatus
from kurswerk.observability import Check, HealthReport, ServiceState, disk_check, memory_check
from kurswerk.serving import missing_columns_message
from kurswerk.storage.jobs import workers_status
from kurswerk.storage.markets import MissingColumn, missing_columns
from kurswerk.storage.operations import ServiceStatus, service_status
from kurswerk.storage.server import HEAD, Database

Seen = TypeVar("Seen")
# A load balancer does not wait longer either.
TIMEOUT_S = 2.0
# Workers give a sign of life every 5 s; after three without one others take over their jobs.
MOST_SILENCE_S = 15.0


@dataclass(frozen=True)
class DatabaseStatus:
    """What the database said, and how long that took."""

    service: ServiceStatus
    workers: Sequence[WorkerStatus]
    seconds: float
    missing_columns: Sequence[MissingColumn] = ()


class SingleFlightCall(Generic[Seen]):
    """A call with a timeout that runs in a thread of its own, so that nobody waits for a database that does not answer.

    Callers that come while it runs share its result: there is never more than one call under way.

    Examples
    --------
    >>> SingleFlightCall(lambda: 5, timeout_s=1.0)()
    5
    """

    def __init__(self, ask: Callable[[], Seen], timeout_s: float = TIMEOUT_S) -> None:
        self._ask = ask
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._awaited: Future[Seen] | None = None

    def __call__(self) -> Seen:
        """Return the answer, or raise what asking raised; DatabaseUnavailableError if there is none in time."""
        with self._lock:
            if self._awaited is None or self._awaited.done():
                self._awaited = Future()
                threading.Thread(target=self._fulfil, args=[self._awaited], daemon=True).start()
            awaited = self._awaited
        try:
            return awaited.result(self._timeout_s)
        except TimeoutError:
            raise DatabaseUnavailableError("health.no_answer", seconds=self._timeout_s) from None

    def _fulfil(self, awaited: Future[Seen]) -> None:
        try:
            awaited.set_result(self._ask())
        except KurswerkError as error:
            awaited.set_exception(error)
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            awaited.set_exception(StorageError("health.check_failed", kind=type(error).__name__, reason=error))


class HealthService:
    """Says how a service is, to people, load balancers and Prometheus."""

    def __init__(self, service: Service, timeout_s: float = TIMEOUT_S) -> None:
        self._service = service
        # A connection of its own: that the pool is busy does not make the database unwell.
        database = Database(service.database.url)

        def read() -> DatabaseStatus:
            started = time.perf_counter()
            service = service_status(database)
            seconds = time.perf_counter() - started
            workers = workers_status(database) if service.revision else ()
            missing = missing_columns(database) if service.revision == HEAD else ()
            return DatabaseStatus(service, workers, seconds, missing)

        self._database_status = SingleFlightCall(read, timeout_s)

    def health(self) -> HealthReport:
        """Check everything that serving needs."""
        checks = {"disk": disk_check(self._service.settings.data_dir), "memory": memory_check()}
        try:
            status = self._database_status()
        except StorageError as error:
            return HealthReport({"database": Check("failed", error.message), **checks}, self._uptime_s())
        return HealthReport(
            {
                "database": _database_check(status),
                "migrations": _migrations_check(status),
                "workers": _workers_check(status),
                "predictors": _predictors_check(status),
                "inputs": _inputs_check(status),
                **checks,
            },
            self._uptime_s(),
            active_models=status.service.active_models,
            predictions_last_hour=status.service.predictions_last_hour,
        )

    def metrics_text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        try:
            status = self._database_status()
        except StorageError:
            return self._service.metrics.text(ServiceState(self._uptime_s(), db_connected=False))
        service = status.service
        state = ServiceState(
            self._uptime_s(),
            db_connected=True,
            models_total=service.models,
            active_models=service.active_models,
            pending_jobs=service.pending_jobs,
            job_progress=service.job_progress,
            missing_columns={(one.market, one.column): len(one.model_ids) for one in status.missing_columns},
        )
        return self._service.metrics.text(state)

    def _uptime_s(self) -> float:
        return time.monotonic() - self._service.started_s


def _database_check(status: DatabaseStatus) -> Check:
    milliseconds = round(1000 * status.seconds, 3)
    return Check("ok", Message("health.database_answered", milliseconds=milliseconds), {"round_trip_ms": milliseconds})


def _migrations_check(status: DatabaseStatus) -> Check:
    revision = status.service.revision
    if revision == HEAD:
        return Check("ok", Message("health.at_revision", revision=revision), {"revision": revision})
    if revision is not None and revision > HEAD:
        # A newer service is being rolled out beside this one; its tables hold all that this one knows.
        newer = Message("health.newer_revision", revision=revision, supported=HEAD)
        return Check("degraded", newer, {"revision": revision})
    return Check("failed", Message("health.other_revision", revision=revision or "none", wanted=HEAD))


def _workers_check(status: DatabaseStatus) -> Check:
    """Say who works; without anybody requests can be answered, but jobs wait."""
    silences = sorted(worker.seconds_since_heartbeat for worker in status.workers)
    alive = [silence for silence in silences if silence <= MOST_SILENCE_S]
    details = {
        "alive": len(alive),
        "silent": len(silences) - len(alive),
        "running_jobs": sum(worker.running for worker in status.workers),
        "seconds_since_heartbeat": round(silences[0], 3) if silences else None,
    }
    if not alive:
        return Check("degraded", Message("health.no_worker"), details)
    return Check("ok", Message("health.workers", count=len(alive), seconds=silences[0]), details)


def _inputs_check(status: DatabaseStatus) -> Check:
    """Report columns that active models need and the database lacks; predictions go on without them."""
    missing = status.missing_columns
    if not missing:
        return Check("ok", Message("market.columns_complete"))
    # Without its key a market stands still: that comes first.
    reported = [one for one in missing if one.is_key] or missing
    models = {model for one in reported for model in one.model_ids}
    details = {"missing_columns": [dataclasses.asdict(one) for one in missing]}
    columns = [(one.table, one.column) for one in reported]
    if reported[0].is_key:
        names = [f"{table}.{column}" for table, column in columns]
        return Check("degraded", Message("market.keys_missing", columns=names, count=len(models)), details)
    return Check("degraded", missing_columns_message(columns, len(models)), details)


def _predictors_check(status: DatabaseStatus) -> Check:
    """Say who predicts; without anybody no row is lost, but predictions wait."""
    alive, active = status.service.predictors, status.service.active_models
    details = {"alive": alive}
    if active and not alive:
        return Check("degraded", Message("health.no_predictor", models=active), details)
    return Check("ok", Message("health.predictors", count=alive, models=active), details)
