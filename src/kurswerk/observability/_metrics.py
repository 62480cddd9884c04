"""The Prometheus metrics that dashboards rely on (names: contracts.md), counted over all processes together.

Each process writes its counts into files of its own in a directory that all share; a scrape of any of them adds them
up. prometheus_client chooses this way when it is imported, by the variable ``PROMETHEUS_MULTIPROC_DIR``; without it the
counts are this process's alone.

The directory may be shared by containers, in which numbers of processes mean different processes. So files carry a
random name, and a process holds a lock on ``<name>.alive`` for as long as it lives: the lock is free if, and only if,
the process has ended.
"""

import fcntl
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TextIO

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_KEPT = ("counter", "histogram")  # the kinds whose values outlive the process
_ARCHIVE = "0"  # stands where a file's name has the process's name; no process has this one

# Those that carry no type information.
_ValueFile: Any = MmapedDict
_SharedCollector: Any = MultiProcessCollector
_MultiProcessValue: Any = values.MultiProcessValue

_ALIVE = ".alive"
# Closing a file gives up its lock.
_held_locks: dict[tuple[Path, int], TextIO] = {}

_REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_FAST_BUCKETS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0)
_BACKUP_METRICS = (
    ("ml_backup_succeeded", "Whether the last attempt at a backup succeeded"),
    ("ml_backup_overdue", "Whether a scheduled backup is overdue"),
    ("ml_backup_age_seconds", "Since the last backup began"),
    ("ml_backup_duration_seconds", "How long the last backup took"),
    ("ml_backup_size_bytes", "Size of the last backup as stored"),
)
_LAG_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


@dataclass(frozen=True)
class BackupReading:
    """The last backup that succeeded, and whether the last attempt did and the next one is overdue."""

    succeeded: bool
    overdue: bool
    age_seconds: float | None = None
    duration_seconds: float | None = None
    size_bytes: int | None = None


@dataclass(frozen=True)
class ServiceState:
    """What is read anew at each scrape.

    ``None`` is left out of the answer: a database that cannot be asked has no number of models.
    ``job_progress`` maps a running job to its share done in [0, 1]; ``missing_columns`` a market and a column that its
    table lacks to the number of active models that need it; ``outcomes`` a model and what became of predictions to how
    many there are, ``live_precision`` and ``live_base_rate`` a model to its share of the last days.
    """

    uptime_seconds: float
    db_connected: bool
    models_total: int | None = None
    active_models: int | None = None
    pending_jobs: int | None = None
    job_progress: Mapping[int, float] | None = field(default=None)
    missing_columns: Mapping[tuple[str, str], int] = field(default_factory=dict)
    outcomes: Mapping[tuple[int, str], int] = field(default_factory=dict)
    live_precision: Mapping[int, float] = field(default_factory=dict)
    live_base_rate: Mapping[int, float] = field(default_factory=dict)
    backup: BackupReading | None = None
    feature_cache_hit_rate: float | None = None
    feature_cache_bytes: int | None = None


class Metrics:
    """All metrics of a process; make one and hand it on.

    Examples
    --------
    >>> metrics = Metrics()
    >>> metrics.observe_request("GET", "/api/models/{model_id}", 200, 0.004)
    >>> text = metrics.text(ServiceState(uptime_seconds=1.0, db_connected=True)).decode()
    >>> 'api_requests_total{endpoint="/api/models/{model_id}",method="GET",status="200"} 1.0' in text
    True
    """

    def __init__(self) -> None:
        shared = values.ValueClass is not values.MutexValue
        self._directory = Path(os.environ[DIRECTORY_VARIABLE]) if shared else None
        if self._directory:
            with _locked(self._directory):
                _archive_ended_processes(self._directory)
            setattr(values, "ValueClass", _value_class(self._directory))  # noqa: B010 - it carries no type information
        self._registry = registry = CollectorRegistry()
        self._requests = Counter("api_requests", "HTTP requests", ["method", "endpoint", "status"], registry=registry)
        self._request_seconds = Histogram(
            "request_duration_seconds", "Time to answer", ["endpoint"], buckets=_REQUEST_BUCKETS, registry=registry
        )
        self.errors = Counter("ml_errors", "Errors by type", ["type"], registry=registry)
        self.predictions = Counter("ml_predictions", "Predictions stored", registry=registry)
        self.predictions_by_model = Counter(
            "ml_predictions_by_model", "Predictions stored", ["model_id", "model_name"], registry=registry
        )
        self.alerts = Counter("ml_alerts_triggered", "Alerts raised", ["model_id"], registry=registry)
        self.models_loaded = Gauge(
            "ml_models_loaded", "Models in memory", multiprocess_mode="livemax", registry=registry
        )
        self.coins_tracked = Gauge(
            "ml_coins_tracked", "Coins with live state", multiprocess_mode="livesum", registry=registry
        )
        self.prediction_seconds = _seconds("ml_prediction_duration", "One prediction", _FAST_BUCKETS, registry)
        self.feature_seconds = _seconds(
            "ml_feature_processing_duration", "Features of a batch", _FAST_BUCKETS, registry
        )
        self.model_load_seconds = _seconds("ml_model_load_duration", "Load of a model", _REQUEST_BUCKETS, registry)
        self.commit_to_prediction_seconds = _seconds(
            "ml_commit_to_prediction", "From a row's commit to its stored prediction", _LAG_BUCKETS, registry
        )
        self.collector_messages = Counter(
            "collector_messages", "Messages received by a collector", ["source", "readable"], registry=registry
        )
        self.collector_trades = Counter(
            "collector_trades", "Trades by what became of them", ["source", "verdict"], registry=registry
        )
        self.collector_rows = Counter("collector_rows", "Rows stored", ["source"], registry=registry)
        self.collector_reconnects = Counter("collector_reconnects", "Connections lost", ["source"], registry=registry)
        self.collector_gaps = Counter("collector_gaps", "Gaps noted", ["source", "reason"], registry=registry)
        self.collector_coins = Gauge(
            "collector_coins", "Coins followed", ["source"], multiprocess_mode="livesum", registry=registry
        )

    def observe_request(self, method: str, endpoint: str, status: int, seconds: float) -> None:
        """Count an answered request; ``endpoint`` is the route's template, never the path."""
        self._requests.labels(method, endpoint, str(status)).inc()
        self._request_seconds.labels(endpoint).observe(seconds)
        if status >= 500:
            self.errors.labels(f"http_{status}").inc()

    def text(self, state: ServiceState) -> bytes:
        """Return all metrics in Prometheus' text format."""
        if self._directory is None:
            return generate_latest(self._registry) + _state_text(state)
        shared = CollectorRegistry()
        _SharedCollector(shared, path=str(self._directory))
        with _locked(self._directory):
            _archive_ended_processes(self._directory)
            return generate_latest(shared) + _state_text(state)


def _seconds(name: str, text: str, buckets: tuple[float, ...], registry: CollectorRegistry) -> Histogram:
    return Histogram(f"{name}_seconds", text, buckets=buckets, registry=registry)


def _state_text(state: ServiceState) -> bytes:
    registry = CollectorRegistry()
    registry.register(_StateCollector(state))
    return generate_latest(registry)


class _StateCollector:
    def __init__(self, state: ServiceState) -> None:
        self._state = state

    def collect(self) -> Iterable[Metric]:
        state = self._state
        jobs = state.job_progress
        for name, text, value in (
            ("ml_service_uptime_seconds", "Since this process started", state.uptime_seconds),
            ("ml_db_connected", "Whether the database answers", float(state.db_connected)),
            ("ml_models_total", "Models that are not deleted", state.models_total),
            ("ml_active_models", "Models that predict", state.active_models),
            ("ml_pending_jobs", "Jobs that wait", state.pending_jobs),
            ("ml_active_jobs", "Jobs at work", None if jobs is None else len(jobs)),
            ("ml_feature_cache_hit_rate", "Share of features that were kept", state.feature_cache_hit_rate),
            ("ml_feature_cache_bytes", "Size of the features that are kept", state.feature_cache_bytes),
        ):
            if value is not None:
                yield GaugeMetricFamily(name, text, value=value)
        progress = GaugeMetricFamily("ml_job_progress_percent", "How far a running job is", labels=["job_id"])
        for job_id, share in (jobs or {}).items():
            progress.add_metric([str(job_id)], 100 * share)
        yield progress
        missing = GaugeMetricFamily(
            "ml_missing_input_columns", "Active models that need a column the market lacks", labels=["market", "column"]
        )
        for (market, column), models in state.missing_columns.items():
            missing.add_metric([market, column], models)
        yield missing
        yield from self._outcomes()
        yield from _backup_metrics(state.backup)

    def _outcomes(self) -> Iterator[Metric]:
        # Gauges: a correction takes from one and gives to another.
        judged = GaugeMetricFamily(
            "ml_outcomes", "Predictions in scope by what became of them", labels=["model_id", "outcome"]
        )
        for (model_id, kind), count in self._state.outcomes.items():
            judged.add_metric([str(model_id), kind], count)
        yield judged
        for name, text, values_by_model in (
            ("ml_live_precision", "Share of predicted positives that came true, last week", self._state.live_precision),
            ("ml_live_base_rate", "Share of all predictions that came true, last week", self._state.live_base_rate),
        ):
            family = GaugeMetricFamily(name, text, labels=["model_id"])
            for model_id, value in values_by_model.items():
                family.add_metric([str(model_id)], value)
            yield family


def _backup_metrics(backup: BackupReading | None) -> Iterator[Metric]:
    read: tuple[float | None, ...] = (None,) * 5
    if backup is not None:
        read = (
            float(backup.succeeded),
            float(backup.overdue),
            backup.age_seconds,
            backup.duration_seconds,
            backup.size_bytes,
        )
    for (name, text), value in zip(_BACKUP_METRICS, read, strict=True):
        metric = GaugeMetricFamily(name, text, labels=[])
        if value is not None:
            metric.add_metric([], value)
        yield metric


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@cache
def _value_class(directory: Path) -> Any:
    """Return the class of shared values whose files carry the process's own name."""
    return _MultiProcessValue(process_identifier=lambda: _process_name(directory, os.getpid()))


@cache
def _process_name(directory: Path, pid: int) -> str:
    """Return a name that no other process has, also after a fork, and hold its lock until the process ends."""
    name = uuid.uuid4().hex
    with _locked(directory):  # or it is taken for one of an ended process before its lock is held
        file = (directory / f"{name}{_ALIVE}").open("w")
        fcntl.flock(file, fcntl.LOCK_EX)
        _held_locks[directory, pid] = file
    return name


def _archive_ended_processes(directory: Path) -> None:
    """Add what ended processes counted to the archive and remove their files, so that sums never fall."""
    for path in directory.glob("*.db"):
        kind, name = path.stem.partition("_")[0], path.stem.rpartition("_")[2]
        if name == _ARCHIVE or _lives(directory / f"{name}{_ALIVE}"):
            continue
        if kind in _KEPT:
            _add(path, directory / f"{kind}_{_ARCHIVE}.db")
        path.unlink(missing_ok=True)
    for path in directory.glob(f"*{_ALIVE}"):
        if not _lives(path):
            path.unlink(missing_ok=True)


def _lives(path: Path) -> bool:
    """Whether somebody holds the lock on a file."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:  # held, or a file system that cannot lock: then nothing is removed
        return True
    return False


def _add(path: Path, archive_path: Path) -> None:
    archive = _ValueFile(str(archive_path))
    try:
        for key, value, _, _ in _ValueFile.read_all_values_from_file(str(path)):
            before, _ = archive.read_value(key)
            archive.write_value(key, before + value, 0.0)
    finally:
        archive.close()
