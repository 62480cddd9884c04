"""A lane: takes rows of its partitions from the feed, predicts them with all active models and stores the outcome.

Everything a batch does is one transaction of the session that holds the partitions' leases, so that a row is taken
exactly when its predictions are there, and nobody else can have the partition before that transaction has ended.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import ConstraintError, StorageError
from kurswerk.market import MarketSchema
from kurswerk.serving._active_models import ActiveModels
from kurswerk.serving._backfill import backfill
from kurswerk.serving._commit import Committed, ScoredRows, commit
from kurswerk.serving._input_columns import InputColumns
from kurswerk.serving._instrument_states import FeatureRows, InstrumentStates, by_coin
from kurswerk.serving._moments import MomentOptions, Moments, wait_for_moments
from kurswerk.serving._scoring import score
from kurswerk.serving.moment_ports import PendingRows
from kurswerk.serving.ports import (
    FeedRows,
    FeedSession,
    FeedTransaction,
    Int,
    MissedRows,
)

Float = NDArray[np.float64]
_FIRST_ROWS = 100
# Who holds it seals the market's moments: the lease that one lane alone can have.
_MOMENT_PARTITION = 0


@dataclass(frozen=True)
class LaneOptions:
    """How a lane works.

    Attributes
    ----------
    batch_rows
        Most rows per transaction.
    store_features
        Whose feature vectors are kept with the prediction: ``none``, ``alerts`` or ``all``.
    max_instruments
        Coins kept in memory; those silent for longest are dropped and come back from the table.
    moments
        When moments are sealed, at which models compare instruments.
    """

    batch_rows: int = 2000
    store_features: str = "none"
    max_instruments: int = 100_000
    moments: MomentOptions = field(default_factory=MomentOptions)


@dataclass(frozen=True, eq=False)
class BatchReport:
    """What a batch did and how long it took, for metrics."""

    rows: int = 0
    predictions: Mapping[int, int] = field(default_factory=dict)
    alerts: Mapping[int, int] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)
    feature_seconds: float = 0.0
    predict_seconds: float = 0.0
    total_seconds: float = 0.0
    committed_us: Int = field(default_factory=lambda: np.empty(0, dtype=np.int64))


class Lane:
    """Predicts the rows of the partitions that its session holds.

    Parameters
    ----------
    session
        The connection with its leases.
    active
        This lane's own.
    options
        How it works.
    market
        Whose rows it predicts.
    """

    def __init__(self, session: FeedSession, active: ActiveModels, options: LaneOptions, market: MarketSchema) -> None:
        self._session, self.active, self._options, self._market = session, active, options, market
        self._states = InstrumentStates(options.max_instruments)
        self.columns = InputColumns(session, market)
        self._moments = Moments(market, options.moments)
        self._compares = False  # whether rows may be pending
        self._partitions: frozenset[int] = frozenset()

    @property
    def instruments(self) -> int:
        """How many coins are kept in memory."""
        return len(self._states)

    @property
    def memory_bytes(self) -> int:
        """What their states take."""
        return self._states.memory_bytes

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions held."""
        return self._partitions

    def lease(self) -> None:
        """Look after the leases; coins of partitions that were given back are dropped, for others will move them on."""
        held = self._session.lease()
        if self._partitions - held:
            self._states.keep_partitions(held)
        self._partitions = held

    def refresh_columns(self) -> bool:
        """Look at the market's tables; return whether what can be read has changed.

        States of features whose inputs came, went or were added again are dropped, in memory and in storage, so that
        every later prediction is what the table as it is now leads to.
        """
        before = self.columns.versions or {}
        changed = self.columns.refresh()
        now, plan = self.columns.versions or {}, self.active.plan
        if changed and plan is not None and any(before.get(name) != now.get(name) for name in plan.inputs):
            self._reset_states()
            if self.columns.fault is None:
                with self._session.transaction() as tx:
                    tx.clear_states()
        self.columns.note(self.active.models)
        return changed

    def note_joined_changes(self) -> int:
        """Note changes of joined values, such as an exchange rate that came late; return how many there were.

        Instruments with rows from the moment of a change on are built from the table again, so that predictions from
        now on know it; those before are under the id that it is noted with.
        """
        with self._session.transaction() as tx:
            changes = tx.take_joined_changes()
            if not changes:
                return 0
            for first_id, change in zip(tx.reserve(len(changes)).tolist(), changes, strict=True):
                tx.note_joined_change(first_id, change)
            first_us = min(change.from_us for change in changes)
            tx.delete_states_since(first_us)
            if self.active.compared is not None:
                tx.forget_pending_values_since(first_us)
        self._states.forget_since(first_us)
        return len(changes)

    def _reset_states(self) -> None:
        plan = self.active.plan
        self._states.reset(plan, () if plan is None else self.columns.absent(plan.inputs))

    def step(self) -> BatchReport:
        """Take one batch; nothing has happened if it raises, and the same rows come again."""
        try:
            return self._step(skip_stored=False)
        except ConstraintError:
            # A row was taken away and written again: its predictions are there. Look before storing.
            return self._step(skip_stored=True)

    def _step(self, *, skip_stored: bool) -> BatchReport:
        started = time.perf_counter()
        rows: FeedRows | None = None
        try:
            with self._session.transaction() as tx:
                self._states.evict(tx)
                plan = self.active.plan
                # A lane that knows nothing yet gets its first predictions out before it learns of thousands of coins.
                limit = self._options.batch_rows if len(self._states) else min(_FIRST_ROWS, self._options.batch_rows)
                rows, segments = self._take(tx, plan.inputs if plan is not None else (), limit)
                if self.active.update(tx.active_models()):
                    self._reset_states()
                if not len(rows):
                    return BatchReport()
                report = self._predict(tx, rows, segments, skip_stored=skip_stored)
        except BaseException:
            self._states.forget(rows.instruments if rows is not None else ())
            raise
        self._states.count_rows(rows)
        return replace(report, total_seconds=time.perf_counter() - started)

    def _take(self, tx: FeedTransaction, inputs: Sequence[str], limit: int) -> tuple[FeedRows, Float]:
        """Take rows with the columns that features need; return them, and the rows' segments."""
        segment = self._market.segment
        needed = segment is not None and any(served.scope.segments is not None for served in self.active.models)
        if segment is None or (not needed and self.columns.absent([segment.column])):
            rows = tx.take(inputs, limit)
            return rows, np.full(len(rows), np.nan)
        rows = tx.take((*inputs, segment.column), limit)
        return replace(rows, values=np.ascontiguousarray(rows.values[:, :-1])), rows.values[:, -1]

    def store_states(self, most: int = 200, *, all_of_them: bool = False) -> int:
        """Store states of coins that had many rows since theirs was, or any; return how many were stored."""
        due = self._states.due(all_of_them=all_of_them)[:most]
        if due:
            with self._session.transaction() as tx:
                self._states.store(tx, due)
        return len(due)

    def backfill(self, limit: int = 500) -> int:
        """Let models that have recovered predict the rows they missed; return how many predictions were stored."""
        models_with_missed_rows = self._session.models_with_missed_rows()
        done = 0
        for served in self.active.healthy:
            if served.model.id in models_with_missed_rows:
                try:
                    with self._session.transaction() as tx:
                        done += backfill(tx, served, limit, self._market, self._moments)
                except StorageError:
                    raise
                except Exception as error:  # noqa: BLE001 - one model's fault must not stop the others
                    self.active.fail(served, error)
        return done

    def _predict(self, tx: FeedTransaction, rows: FeedRows, segments: Float, *, skip_stored: bool) -> BatchReport:
        started = time.perf_counter()
        known = self._states.update(tx, rows)
        wait_for_moments(tx, self.active, self._market, rows, known, segments[known.places])
        featured = time.perf_counter()
        scored = self._score(tx, known, segments[known.places], skip_stored=skip_stored)
        predicted = time.perf_counter()
        failed = [served.model.id for served in scored.models if served.fault is not None]
        stored = commit(tx, scored, known.features, self._options.store_features)
        if failed and known.instruments:
            first_ids = np.full(len(known.instruments), stored.first_id, dtype=np.int64)
            tx.add_missed(failed, MissedRows(known.instruments, known.timestamps, first_ids), known.partitions)
        if known.late:
            tx.note_revisions("late", stored.first_id, known.late)
        corrected = by_coin(rows.instruments, rows.timestamps, np.flatnonzero(~rows.fresh).tolist())
        if corrected:
            tx.note_revisions("corrected", stored.first_id, corrected)
        return replace(
            _report(scored, stored, rows=len(rows)),
            feature_seconds=featured - started,
            predict_seconds=predicted - featured,
            committed_us=rows.committed_us,
        )

    def predict_moment(self) -> BatchReport:
        """Predict the rows of the oldest moment that is sealed or may be now; nothing has happened if it raises.

        Of all lanes the one that holds the first partition does.
        """
        self._compares |= self.active.compared is not None
        if not self._compares or _MOMENT_PARTITION not in self._partitions:
            return BatchReport()
        try:
            return self._predict_moment(skip_stored=False)
        except ConstraintError:
            return self._predict_moment(skip_stored=True)

    def _predict_moment(self, *, skip_stored: bool) -> BatchReport:
        started = time.perf_counter()
        with self._session.transaction() as tx:
            moment = self._moments.due(tx)
            if moment is None:
                return BatchReport()
            if self.active.update(tx.active_models()):
                self._reset_states()
            plan = self.active.compared
            if plan is None:
                tx.discard_pending()
                self._compares = False
                return BatchReport()
            rows, features = self._moments.take(tx, plan, moment)
            featured = time.perf_counter()
            report = self._commit_moment(tx, rows, features, skip_stored=skip_stored)
        now = time.perf_counter()
        return replace(
            report, feature_seconds=featured - started, predict_seconds=now - featured, total_seconds=now - started
        )

    def _commit_moment(
        self, tx: FeedTransaction, rows: PendingRows, features: Float, *, skip_stored: bool
    ) -> BatchReport:
        models = tuple(self.active.comparing)
        scores, given, digests, forecasts = score(self.active, models, features)
        scored = ScoredRows(rows.instruments, rows.timestamps, models, scores, given, digests, rows.segments, forecasts)
        if skip_stored and given.size:
            given &= ~tx.existing(rows.instruments, rows.timestamps, scored.model_ids)
        stored = commit(tx, scored, features, self._options.store_features)
        failed = [served.model.id for served in models if served.fault is not None]
        if failed:
            first_ids = np.full(len(rows), stored.first_id, dtype=np.int64)
            tx.add_missed(failed, MissedRows(rows.instruments, rows.timestamps, first_ids), rows.partitions)
        return _report(scored, stored, rows=len(rows))

    def _score(self, tx: FeedTransaction, known: FeatureRows, segments: Float, *, skip_stored: bool) -> ScoredRows:
        models = tuple(self.active.alone)
        scores, given, digests, forecasts = score(self.active, models, known.features)
        scored = ScoredRows(known.instruments, known.timestamps, models, scores, given, digests, segments, forecasts)
        if skip_stored and given.size:
            given &= ~tx.existing(known.instruments, known.timestamps, scored.model_ids)
        return scored


def _report(scored: ScoredRows, stored: Committed, *, rows: int) -> BatchReport:
    counts = zip(scored.model_ids, scored.given.sum(axis=0), strict=True)
    return BatchReport(
        rows=rows,
        predictions={int(model): int(n) for model, n in counts if n},
        alerts=stored.alerts,
        names={served.model.id: served.model.name for served in scored.models},
    )
