"""A lane kept running: waits for rows, looks after its leases, reports, and begins again when the database was lost."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import cache
from typing import Any, Protocol

import numpy as np

from kurswerk.core.errors import StorageError
from kurswerk.features import FeaturePlan, LiveEngine
from kurswerk.market import MarketSchema, Panel, market_named
from kurswerk.models import as_model_input
from kurswerk.observability import get_logger
from kurswerk.serving._active_models import ActiveModels, ModelCache
from kurswerk.serving._digest import feature_digests
from kurswerk.serving._lane import BatchReport, Lane, LaneOptions
from kurswerk.serving.ports import FeedSession

log = get_logger(__name__)
_LEASE_EVERY_S = 1.0
# How often a lane without rows looks whether a moment has come, where models compare instruments.
_MOMENT_EVERY_S = 0.02
# Weight of the newest batch in the mean time per row.
_NEW_SHARE = 0.1
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
_SHUTDOWN_S = 1.0
_IDLE: Mapping[str, Any] = {"partitions": 0, "coins": 0, "memory_bytes": 0, "loaded": [], "faults": {}}
# So few that rows that come meanwhile hardly wait.
_STATES_BETWEEN_ROWS = 16


# Lanes begin together: a cache alone lets each of them compile while the first still does.
_compiling = threading.Lock()


def compile_now() -> None:
    """Compile what computes features, once per process, so that the first rows need not wait for it."""
    with _compiling:
        _compile()


@cache
def _compile() -> None:
    plan = FeaturePlan(["price_change_1", "ema_20"], market_named())
    engine = LiveEngine(plan)
    row = np.ones((1, len(plan.inputs)))
    features = engine.update(["A"], np.ones(1, dtype=np.int64), row)
    panel = Panel(("A",), np.array([0, 1]), np.ones(1, dtype=np.int64), plan.inputs, np.ascontiguousarray(row.T))
    plan.compute(panel)
    engine.rebuild(panel)
    feature_digests(as_model_input(features))


class PredictorEvents(Protocol):
    """Receives what a predictor does; called from its thread."""

    def stored(self, report: BatchReport) -> None:
        """Receive a batch whose predictions are stored."""
        ...

    def failed(self, kind: str) -> None:
        """Receive an error's type."""
        ...

    def state(self, state: Mapping[str, Any]) -> None:
        """Receive the lane's state, once a second."""
        ...


class Predictor:
    """Runs one lane until it is stopped, whatever happens to the database.

    Parameters
    ----------
    open_session
        Opens the lane's connection.
    cache
        Models; shared by the lanes of a process.
    options
        How the lane works.
    events
        Receives what it does.
    market
        Whose rows it predicts.
    poll_s
        How long it waits at most where nothing notifies it of new rows.
    has_work
        Whether the market has a model that predicts, looked at once a second; without one there is no connection.
        Always by default.
    """

    def __init__(
        self,
        open_session: Callable[[], FeedSession],
        cache: ModelCache,
        options: LaneOptions,
        events: PredictorEvents,
        market: MarketSchema,
        *,
        poll_s: float = 1.0,
        has_work: Callable[[], bool] = lambda: True,
    ) -> None:
        self._open_session, self._cache, self._options, self._events = open_session, cache, options, events
        self._market, self._poll_s, self._has_work = market, poll_s, has_work
        self._row_ms: float | None = None
        self.ready = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Predict until ``stop`` is set."""
        if stop.is_set():
            return  # what is compiled first cannot be interrupted
        compile_now()
        pause = _FIRST_PAUSE_S
        while not stop.is_set():
            started = time.monotonic()
            try:
                if not self._has_work():
                    self._idle(stop)
                    continue
                with closing(self._open_session()) as session:
                    self._serve(session, stop)
            except Exception as error:  # noqa: BLE001 - whatever it was, the rows are still there: begin again
                self._report_failure(error)
                lasted = time.monotonic() - started > _LONGEST_PAUSE_S
                pause = _FIRST_PAUSE_S if lasted else min(_LONGEST_PAUSE_S, 2 * pause)
                stop.wait(pause)

    def _idle(self, stop: threading.Event) -> None:
        self._events.state(_IDLE)
        self.ready.set()
        stop.wait(_LEASE_EVERY_S)

    def _report_failure(self, error: Exception) -> None:
        self._events.failed(type(error).__name__)
        log.warning("the predictor starts again", reason=str(error), kind=type(error).__name__)

    def _serve(self, session: FeedSession, stop: threading.Event) -> None:
        active = ActiveModels(self._cache, on_fault=self._events.failed)
        lane = Lane(session, active, self._options, self._market)
        next_report = next_poll = 0.0
        while not stop.is_set():
            now = time.monotonic()
            if now >= next_report:
                if not self._has_work():
                    break
                lane.lease()
                self._refresh_columns(lane)
                if lane.columns.fault is None:
                    if changes := lane.note_joined_changes():
                        log.info("joined values have changed", market=self._market.name, changes=changes)
                    lane.backfill()
                    lane.store_states()
                state = self._state(lane, active, session)
                session.report_state(state)
                self._events.state(state)
                self.ready.set()
                next_report = now + _LEASE_EVERY_S
            if lane.columns.fault is not None:
                session.wait(max(0.01, next_report - time.monotonic()))
                continue
            if now >= next_poll:
                session.poll_table()
                next_poll = now + self._poll_s
            if not self._work(lane) and not lane.store_states(_STATES_BETWEEN_ROWS):
                pause = min(next_report, next_poll) - time.monotonic()
                session.wait(max(0.01, pause if active.compared is None else min(pause, _MOMENT_EVERY_S)))
        self._save_states(lane)

    def _work(self, lane: Lane) -> bool:
        """Predict a batch of rows, and a moment; return whether there was anything."""
        done = [report for report in (self._step(lane), lane.predict_moment()) if report.rows]
        for report in done:
            self._record(report)
        return bool(done)

    def _step(self, lane: Lane) -> BatchReport:
        try:
            return lane.step()
        except StorageError:
            # The columns that it asked for may be others by now; the rows are still there.
            if not self._refresh_columns(lane):
                raise
            return BatchReport()

    @staticmethod
    def _refresh_columns(lane: Lane) -> bool:
        before = lane.columns.fault
        changed = lane.refresh_columns()
        if changed or (before is None) != (lane.columns.fault is None):
            log.warning("the market's columns have changed", reason=str(lane.columns.fault or ""))
        return changed

    @staticmethod
    def _save_states(lane: Lane) -> None:
        """Leave states behind for whoever goes on, as many as there is time for."""
        deadline = time.monotonic() + _SHUTDOWN_S
        while time.monotonic() < deadline and lane.store_states(all_of_them=True):
            pass

    def _record(self, report: BatchReport) -> None:
        milliseconds = 1000 * report.total_seconds / report.rows
        before = milliseconds if self._row_ms is None else self._row_ms
        self._row_ms = before + _NEW_SHARE * (milliseconds - before)
        self._events.stored(report)

    def _state(self, lane: Lane, active: ActiveModels, session: FeedSession) -> dict[str, Any]:
        rows, seconds = session.lag()
        return {
            "partitions": len(lane.partitions),
            "coins": lane.instruments,
            "memory_bytes": lane.memory_bytes,
            "loaded": [served.model.id for served in active.models if served.runtime is not None],
            "faults": {str(served.model.id): served.fault for served in active.faulty},
            "missing_columns": lane.columns.missing(active.models),
            "stopped": None if lane.columns.fault is None else lane.columns.fault.message.as_json(),
            "prediction_ms": None if self._row_ms is None else round(self._row_ms, 4),
            "lag_rows": rows,
            "lag_seconds": round(seconds, 3),
        }
