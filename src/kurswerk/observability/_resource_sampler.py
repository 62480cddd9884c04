"""What the machine and the service do over time, measured every few seconds."""

import logging
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil
from prometheus_client.parser import text_string_to_metric_families

_log = logging.getLogger(__name__)
# The first measurement is one of a stretch of time, too.
_FIRST_S: Final = 1.0
# As long as a measurement may wait for a database that does not answer.
_MOST_STOP_S: Final = 3.0
# To read all metrics, most of them buckets of histograms, would take far longer.
_READ: Final = (
    "api_requests_total",
    "request_duration_seconds_sum",
    "ml_predictions_total",
    "ml_service_uptime_seconds",
)


@dataclass(frozen=True)
class ResourceSample:
    """One measurement.

    Attributes
    ----------
    moment
        When it was taken, UTC.
    processor
        Share of all processors in use since the measurement before, in [0, 1].
    memory, disk
        Shares in use, in [0, 1]; the disk is that of the data directory.
    process_bytes
        Memory of this process.
    requests, request_seconds, predictions
        Counted by all processes of this machine until now: answers of the API, the time they took, and predictions.
    uptime_s
        Since this process began.
    """

    moment: datetime
    processor: float
    memory: float
    disk: float
    process_bytes: int
    requests: float
    request_seconds: float
    predictions: float
    uptime_s: float


class ResourceSampler:
    """Measures in a thread of its own while it is open as a context, and keeps what it found.

    Parameters
    ----------
    metrics_text
        All metrics in Prometheus' text format.
    folder
        On the disk to watch.
    every_s
        Seconds from one measurement to the next.
    kept_s
        For how many seconds a measurement is kept.
    """

    def __init__(
        self, metrics_text: Callable[[], bytes], folder: Path, *, every_s: float = 5.0, kept_s: float = 86_400.0
    ) -> None:
        self._metrics_text = metrics_text
        self._folder = folder
        self._every_s = every_s
        self._kept: deque[ResourceSample] = deque(maxlen=round(kept_s / every_s))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="load", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(_MOST_STOP_S)

    def samples(self) -> Sequence[ResourceSample]:
        """Return what was measured, oldest first."""
        return tuple(self._kept)

    def _watch(self) -> None:
        psutil.cpu_percent()  # counts for each thread anew, from its first call
        wait_s, well = min(_FIRST_S, self._every_s), True
        while not self._stop.wait(wait_s):
            try:
                self._kept.append(self._measured())
                well = True
            except Exception:  # noqa: BLE001 - what goes wrong once must not end it
                if well:
                    _log.warning("the load cannot be measured", exc_info=True)
                well = False
            wait_s = self._every_s

    def _measured(self) -> ResourceSample:
        counted: defaultdict[str, float] = defaultdict(float)
        lines = [line for line in self._metrics_text().decode().splitlines() if line.startswith(_READ)]
        for family in text_string_to_metric_families("\n".join([*lines, ""])):
            for sample in family.samples:
                counted[sample.name] += sample.value
        return ResourceSample(
            moment=datetime.now(UTC),
            processor=psutil.cpu_percent() / 100,
            memory=psutil.virtual_memory().percent / 100,
            disk=psutil.disk_usage(str(self._folder)).percent / 100,
            process_bytes=psutil.Process().memory_info().rss,
            requests=counted["api_requests_total"],
            request_seconds=counted["request_duration_seconds_sum"],
            predictions=counted["ml_predictions_total"],
            uptime_s=counted["ml_service_uptime_seconds"],
        )
