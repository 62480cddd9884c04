"""What predictors count: predictions, alerts, errors and how long a row waits."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kurswerk.observability import Metrics
from kurswerk.serving._lane import BatchReport

# Of each batch so many lags are counted, evenly over its rows: a histogram is not worth a share of the processor.
_LAGS_PER_BATCH = 16


class PredictorMetrics:
    """Counts what all lanes of this process do, in the service's metrics; used by their threads."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._lock = threading.Lock()
        self._states: dict[str, Mapping[str, Any]] = {}

    def lane(self, name: str, on_alerts: Callable[[], None] = lambda: None) -> "LaneMetrics":
        """Return what counts one lane's events; ``on_alerts`` is called when a batch raised any."""
        return LaneMetrics(self, name, on_alerts)

    def stored(self, report: BatchReport) -> None:
        """Count a batch."""
        metrics, total = self._metrics, sum(report.predictions.values())
        metrics.predictions.inc(total)
        for model, count in report.predictions.items():
            metrics.predictions_by_model.labels(str(model), report.names.get(model, "")).inc(count)
        for model, count in report.alerts.items():
            metrics.alerts.labels(str(model)).inc(count)
        metrics.feature_seconds.observe(report.feature_seconds)
        if total:
            metrics.prediction_seconds.observe(report.predict_seconds / total)
        lags = time.time() - report.committed_us / 1e6
        for place in np.linspace(0, len(lags) - 1, min(len(lags), _LAGS_PER_BATCH)).astype(int):
            metrics.commit_to_prediction_seconds.observe(max(0.0, float(lags[place])))

    def failed(self, kind: str) -> None:
        """Count an error."""
        self._metrics.errors.labels(kind).inc()

    def state(self, lane: str, state: Mapping[str, Any]) -> None:
        """Keep a lane's state and show the sum over all lanes."""
        with self._lock:
            self._states[lane] = state
            states = list(self._states.values())
        self._metrics.coins_tracked.set(sum(one["coins"] for one in states))
        self._metrics.models_loaded.set(len({model for one in states for model in one["loaded"]}))


class LaneMetrics:
    """Implements `PredictorEvents` for one lane."""

    def __init__(self, metrics: PredictorMetrics, lane: str, on_alerts: Callable[[], None]) -> None:
        self._metrics, self._lane, self._on_alerts = metrics, lane, on_alerts

    def stored(self, report: BatchReport) -> None:
        """Count a batch."""
        if report.alerts:
            self._on_alerts()
        self._metrics.stored(report)

    def failed(self, kind: str) -> None:
        """Count an error."""
        self._metrics.failed(kind)

    def state(self, state: Mapping[str, Any]) -> None:
        """Show the lane's state."""
        self._metrics.state(self._lane, state)
