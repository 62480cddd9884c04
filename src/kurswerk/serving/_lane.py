"""A lane: takes rows of its partitions from the feed, predicts them with all active models and stores the outcome.

Everything a batch does is one transaction of the session that holds the partitions' leases, so that a row is taken
exactly when its predictions are there, and nobody else can have the partition before that transaction has ended.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import ConstraintError, StorageError
from kurswerk.serving._alerting import say
from kurswerk.serving._coin_memory import CoinMemory, KnownRows, by_coin
from kurswerk.serving._fleet import Fleet
from kurswerk.serving._scoring import feature_json, score
from kurswerk.serving._settling import settle
from kurswerk.serving.ports import Bool, FeedRows, FeedSession, FeedWork, Int, NewAlert, NewPredictions, OwedRows, Score

Float = NDArray[np.float64]
_FIRST_ROWS = 100
STORE_FEATURES = ("none", "alerts", "all")


@dataclass(frozen=True)
class LaneOptions:
    """How a lane works.

    Attributes
    ----------
    batch_rows
        Most rows per transaction.
    store_features
        Whose feature vectors are kept with the prediction: ``none``, ``alerts`` or ``all``.
    most_coins
        Coins kept in memory; those silent for longest are dropped and come back from the table.
    """

    batch_rows: int = 2000
    store_features: str = "none"
    most_coins: int = 100_000


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
    fleet
        This lane's own.
    options
        How it works.
    """

    def __init__(self, session: FeedSession, fleet: Fleet, options: LaneOptions) -> None:
        self._session, self._fleet, self._options = session, fleet, options
        self._memory = CoinMemory(options.most_coins)
        self._partitions: frozenset[int] = frozenset()

    @property
    def coins(self) -> int:
        """How many coins are kept in memory."""
        return len(self._memory)

    @property
    def memory_bytes(self) -> int:
        """What their states take."""
        return self._memory.memory_bytes

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions held."""
        return self._partitions

    def lease(self) -> None:
        """Look after the leases; coins of partitions that were given back are dropped, for others will move them on."""
        held = self._session.lease()
        if self._partitions - held:
            self._memory.keep_partitions(held)
        self._partitions = held

    def step(self) -> BatchReport:
        """Take one batch; nothing has happened if it raises, and the same rows come again."""
        try:
            return self._step(careful=False)
        except ConstraintError:
            # A row was taken away and written again: its predictions are there. Look before storing.
            return self._step(careful=True)

    def _step(self, *, careful: bool) -> BatchReport:
        started = time.perf_counter()
        rows: FeedRows | None = None
        try:
            with self._session.work() as work:
                self._memory.evict(work)
                plan = self._fleet.plan
                # A lane that knows nothing yet gets its first predictions out before it learns of thousands of coins.
                limit = self._options.batch_rows if len(self._memory) else min(_FIRST_ROWS, self._options.batch_rows)
                rows = work.take(plan.inputs if plan is not None else (), limit)
                if self._fleet.adopt(work.active_models()):
                    self._memory.begin(self._fleet.plan)
                if not len(rows):
                    return BatchReport()
                report = self._predict(work, rows, careful=careful)
        except BaseException:
            self._memory.forget(rows.coins if rows is not None else ())
            raise
        self._memory.note(rows)
        return replace(report, total_seconds=time.perf_counter() - started)

    def store_states(self, most: int = 200, *, all_of_them: bool = False) -> int:
        """Store states of coins that had many rows since theirs was, or any; return how many were stored."""
        due = self._memory.due(all_of_them=all_of_them)[:most]
        if due:
            with self._session.work() as work:
                self._memory.store(work, due)
        return len(due)

    def settle(self, limit: int = 500) -> int:
        """Let models that have recovered predict what they owe; return how many predictions were stored."""
        owing = self._session.owing()
        done = 0
        for member in self._fleet.healthy:
            if member.model.id in owing:
                try:
                    with self._session.work() as work:
                        done += settle(work, member, limit)
                except StorageError:
                    raise
                except Exception as error:  # noqa: BLE001 - one model's fault must not stop the others
                    self._fleet.fail(member, error)
        return done

    def _predict(self, work: FeedWork, rows: FeedRows, *, careful: bool) -> BatchReport:
        started = time.perf_counter()
        known = self._memory.learn(work, rows)
        featured = time.perf_counter()
        scores, given, digests = score(self._fleet, known.features)
        models = np.array([member.model.id for member in self._fleet.members], dtype=np.int64)
        failed = [member.model.id for k, member in enumerate(self._fleet.members) if not given[:, k].any()]
        if careful and given.size:
            given &= ~work.stored(known.coins, known.timestamps, models)
        predicted = time.perf_counter()
        # An id even where nothing is predicted: it tells what later predictions knew from what earlier ones did.
        first_id, alerts = self._store(work, known, models, (scores, given, digests))
        if failed and known.coins:
            first_ids = np.full(len(known.coins), first_id, dtype=np.int64)
            work.owe(failed, OwedRows(known.coins, known.timestamps, first_ids), known.partitions)
        if known.late:
            work.revise("late", first_id, known.late)
        corrected = by_coin(rows.coins, rows.timestamps, np.flatnonzero(~rows.fresh).tolist())
        if corrected:
            work.revise("corrected", first_id, corrected)
        counts = {int(model): int(n) for model, n in zip(models, given.sum(axis=0), strict=True) if n}
        return BatchReport(
            rows=len(rows),
            predictions=counts,
            alerts=alerts,
            names={member.model.id: member.model.name for member in self._fleet.members},
            feature_seconds=featured - started,
            predict_seconds=predicted - featured,
            committed_us=rows.committed_us,
        )

    def _store(
        self, work: FeedWork, known: KnownRows, models: Int, outcome: tuple[Score, Bool, Int]
    ) -> tuple[int, dict[int, int]]:
        scores, given, digests = outcome
        ids = work.reserve(max(1, int(given.sum())))
        thresholds = np.array([member.model.alert_threshold for member in self._fleet.members])
        alerting = given & (scores.astype(np.float64) >= thresholds)
        order = np.full(given.shape, -1, dtype=np.int64)
        order[given] = ids[: int(given.sum())]
        alerts = [
            NewAlert(
                int(order[i, j]), known.coins[i], int(known.timestamps[i]), int(models[j]), float(scores[i, j]),
                float(thresholds[j]),
            )
            for i, j in np.argwhere(alerting).tolist()
        ]  # fmt: skip
        if given.any():
            kept = self._kept_features(known.features, given, alerting)
            work.store(
                NewPredictions(
                    ids[: int(given.sum())], known.coins, known.timestamps, models, scores, given, digests, kept
                ),
                alerts,
            )
            say(work, models, thresholds.tolist(), (known.coins, known.timestamps), (scores, given))
        return int(ids[0]), {int(model): int(n) for model, n in zip(models, alerting.sum(axis=0), strict=True) if n}

    def _kept_features(self, features: Float, given: Bool, alerting: Bool) -> list[bytes | None] | None:
        if self._options.store_features == "none":
            return None
        wanted = given if self._options.store_features == "all" else alerting
        return [
            feature_json(self._fleet.members[j], features[i]) if wanted[i, j] else None
            for i, j in np.argwhere(given).tolist()
        ]
