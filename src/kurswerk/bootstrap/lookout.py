"""What health and metrics are read from, anew each time."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from kurswerk.bootstrap.service import Service
from kurswerk.core.errors import DatabaseUnavailableError, KurswerkError, StorageError
from kurswerk.jobs import WorkerStatus, workers_status
from kurswerk.observability import Check, HealthReport, ServiceState, disk_check, memory_check
from kurswerk.storage import HEAD, Database, ServiceFigures, service_figures

Seen = TypeVar("Seen")
# A load balancer does not wait longer either.
PATIENCE_S = 2.0
# Workers give a sign of life every 5 s; after three without one others take over their jobs.
MOST_SILENCE_S = 15.0


@dataclass(frozen=True)
class Look:
    """What the database said, and how long that took."""

    figures: ServiceFigures
    workers: Sequence[WorkerStatus]
    seconds: float


class Impatient(Generic[Seen]):
    """Asks in a thread of its own, so that nobody waits for a database that has stopped answering.

    Whoever asks while the last answer is still awaited gets that one: there is never more than one question.

    Examples
    --------
    >>> Impatient(lambda: 5, patience_s=1.0)()
    5
    """

    def __init__(self, ask: Callable[[], Seen], patience_s: float = PATIENCE_S) -> None:
        self._ask = ask
        self._patience_s = patience_s
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
            return awaited.result(self._patience_s)
        except TimeoutError:
            raise DatabaseUnavailableError(f"no answer within {self._patience_s:g} s") from None

    def _fulfil(self, awaited: Future[Seen]) -> None:
        try:
            awaited.set_result(self._ask())
        except KurswerkError as error:
            awaited.set_exception(error)
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            awaited.set_exception(StorageError(f"{type(error).__name__}: {error}"))


class Lookout:
    """Says how a service is, to people, load balancers and Prometheus."""

    def __init__(self, service: Service, patience_s: float = PATIENCE_S) -> None:
        self._service = service
        # A connection of its own: that the pool is busy does not make the database unwell.
        database = Database(service.database.url)

        def look() -> Look:
            started = time.perf_counter()
            figures = service_figures(database)
            seconds = time.perf_counter() - started
            return Look(figures, workers_status(database) if figures.revision else (), seconds)

        self._look = Impatient(look, patience_s)

    def health(self) -> HealthReport:
        """Look at everything that serving needs."""
        checks = {"disk": disk_check(self._service.settings.data_dir), "memory": memory_check()}
        try:
            look = self._look()
        except StorageError as error:
            return HealthReport({"database": Check("failed", str(error)), **checks}, self._uptime_s())
        return HealthReport(
            {
                "database": _database_check(look),
                "migrations": _migrations_check(look),
                "workers": _workers_check(look),
                "predictors": _predictors_check(look),
                **checks,
            },
            self._uptime_s(),
            active_models=look.figures.active_models,
            predictions_last_hour=look.figures.predictions_last_hour,
        )

    def metrics_text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        try:
            figures = self._look().figures
        except StorageError:
            return self._service.metrics.text(ServiceState(self._uptime_s(), db_connected=False))
        state = ServiceState(
            self._uptime_s(),
            db_connected=True,
            models_total=figures.models,
            active_models=figures.active_models,
            pending_jobs=figures.pending_jobs,
            job_progress=figures.job_progress,
        )
        return self._service.metrics.text(state)

    def _uptime_s(self) -> float:
        return time.monotonic() - self._service.started_s


def _database_check(look: Look) -> Check:
    milliseconds = round(1000 * look.seconds, 3)
    return Check("ok", f"answered in {milliseconds:.1f} ms", {"round_trip_ms": milliseconds})


def _migrations_check(look: Look) -> Check:
    revision = look.figures.revision
    if revision == HEAD:
        return Check("ok", f"at revision {revision}", {"revision": revision})
    if revision is not None and revision > HEAD:
        # A newer service is being rolled out beside this one; its tables hold all that this one knows.
        return Check("degraded", f"at revision {revision}, newer than this service's {HEAD}", {"revision": revision})
    return Check("failed", f"at revision {revision or 'none'} instead of {HEAD}; run kurswerk db upgrade")


def _workers_check(look: Look) -> Check:
    """Say who works; without anybody requests can be answered, but jobs wait."""
    silences = sorted(worker.seconds_since_heartbeat for worker in look.workers)
    alive = [silence for silence in silences if silence <= MOST_SILENCE_S]
    details = {
        "alive": len(alive),
        "silent": len(silences) - len(alive),
        "running_jobs": sum(worker.running for worker in look.workers),
        "seconds_since_heartbeat": round(silences[0], 3) if silences else None,
    }
    if not alive:
        return Check("degraded", "no worker is alive, jobs wait; start one with kurswerk worker", details)
    return Check("ok", f"{len(alive)} alive, the last heartbeat {silences[0]:.1f} s ago", details)


def _predictors_check(look: Look) -> Check:
    """Say who predicts; without anybody no row is lost, but predictions wait."""
    alive, active = look.figures.predictors, look.figures.active_models
    details = {"alive": alive}
    if active and not alive:
        return Check("degraded", f"{active} active models and nobody who predicts; start kurswerk serve", details)
    return Check("ok", f"{alive} alive, {active} active models", details)
