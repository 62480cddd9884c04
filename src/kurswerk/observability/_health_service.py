"""Health and metrics of a service, read anew each time from a database that may not answer."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from kurswerk.core.errors import DatabaseUnavailableError, KurswerkError, StorageError
from kurswerk.observability._health import Check, HealthReport, disk_check, memory_check
from kurswerk.observability._metrics import Metrics, ServiceState

Answer = TypeVar("Answer")
# A load balancer does not wait longer either.
HEALTH_TIMEOUT_S = 2.0


class SingleFlightCall(Generic[Answer]):
    """A call with a timeout that runs in a thread of its own, so that nobody waits for a database that does not answer.

    Callers that come while it runs share its result: there is never more than one call under way.

    Examples
    --------
    >>> SingleFlightCall(lambda: 5, timeout_s=1.0)()
    5
    """

    def __init__(self, ask: Callable[[], Answer], timeout_s: float = HEALTH_TIMEOUT_S) -> None:
        self._ask = ask
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._awaited: Future[Answer] | None = None

    def __call__(self) -> Answer:
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

    def _fulfil(self, awaited: Future[Answer]) -> None:
        try:
            awaited.set_result(self._ask())
        except KurswerkError as error:
            awaited.set_exception(error)
        except Exception as error:  # noqa: BLE001 - whoever waits must receive it
            awaited.set_exception(StorageError("health.check_failed", kind=type(error).__name__, reason=error))


@dataclass(frozen=True)
class DatabaseReading:
    """What the database has on the service at one moment.

    Attributes
    ----------
    checks
        Name → what was found, in the order of the report.
    state
        For metrics; its uptime is not read.
    predictions_last_hour
        Rows × models.
    """

    checks: Mapping[str, Check]
    state: ServiceState
    predictions_last_hour: int


class HealthService:
    """Reports how a service is, to people, load balancers and Prometheus.

    Parameters
    ----------
    read
        Reads what the database has; raises StorageError. Called in threads of their own, one at a time.
    metrics
        What all processes count.
    data_dir
        Whose disk is checked.
    started_s
        When the service was started, by `time.monotonic`.
    timeout_s
        How long a database may take to answer.
    """

    def __init__(
        self,
        read: Callable[[], DatabaseReading],
        *,
        metrics: Metrics,
        data_dir: Path,
        started_s: float,
        timeout_s: float = HEALTH_TIMEOUT_S,
    ) -> None:
        self._read = SingleFlightCall(read, timeout_s)
        self._metrics, self._data_dir, self._started_s = metrics, data_dir, started_s

    def health(self) -> HealthReport:
        """Check everything that serving needs."""
        checks = {"disk": disk_check(self._data_dir), "memory": memory_check()}
        try:
            reading = self._read()
        except StorageError as error:
            return HealthReport({"database": Check("failed", error.message), **checks}, self._uptime_s())
        return HealthReport(
            {**reading.checks, **checks},
            self._uptime_s(),
            active_models=reading.state.active_models,
            predictions_last_hour=reading.predictions_last_hour,
        )

    def metrics_text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        try:
            state = self._read().state
        except StorageError:
            return self._metrics.text(ServiceState(self._uptime_s(), db_connected=False))
        return self._metrics.text(replace(state, uptime_seconds=self._uptime_s()))

    def _uptime_s(self) -> float:
        return time.monotonic() - self._started_s
