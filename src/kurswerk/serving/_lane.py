"""A lane: takes rows of its partitions from the feed, predicts them with all active models and stores the outcome.

Everything a batch does is one transaction of the session that holds the partitions' leases, so that a row is taken
exactly when its predictions are there, and nobody else can have the partition before that transaction has ended.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import ConstraintError, StorageError
from kurswerk.features import FeaturePlan, LiveEngine
from kurswerk.market import Panel
from kurswerk.serving._alerting import say
from kurswerk.serving._fleet import Fleet
from kurswerk.serving._known_rows import late_rows, rows_at
from kurswerk.serving._scoring import feature_json, score
from kurswerk.serving._settling import settle
from kurswerk.serving.ports import Bool, FeedRows, FeedSession, FeedWork, Int, NewAlert, NewPredictions, OwedRows, Score

Float = NDArray[np.float64]
_NO_ROW = np.iinfo(np.int64).max
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


@dataclass(eq=False)
class _Known:
    """Features of the rows to predict, and what was learnt about the past on the way."""

    coins: list[str]
    timestamps: Int
    partitions: Int
    features: Float
    late: dict[str, list[int]] = field(default_factory=dict)


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
        self._engine: LiveEngine | None = None
        self._home: dict[str, int] = {}  # coin → partition, least recently used first
        self._partitions: frozenset[int] = frozenset()
        self._careful = False

    @property
    def coins(self) -> int:
        """How many coins are kept in memory."""
        return 0 if self._engine is None else len(self._engine)

    @property
    def memory_bytes(self) -> int:
        """What their states take."""
        return 0 if self._engine is None else self._engine.memory_bytes()

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions held."""
        return self._partitions

    def lease(self) -> None:
        """Look after the leases; coins of partitions that were given back are dropped, for others will move them on."""
        held = self._session.lease()
        if self._partitions - held:
            self._forget([coin for coin, home in self._home.items() if home not in held])
        self._partitions = held

    def step(self) -> BatchReport:
        """Take one batch; nothing has happened if it raises, and the same rows come again."""
        started = time.perf_counter()
        rows: FeedRows | None = None
        try:
            with self._session.work() as work:
                plan = self._fleet.plan
                rows = work.take(plan.inputs if plan is not None else (), self._options.batch_rows)
                if self._fleet.adopt(work.active_models()):
                    self._start_over()
                if not len(rows):
                    return BatchReport()
                report = self._predict(work, rows)
        except ConstraintError:
            # A row was taken away and written again: its predictions are there. Look before storing.
            self._careful = True
            self._forget(rows.coins if rows is not None else ())
            raise
        except BaseException:
            self._forget(rows.coins if rows is not None else ())
            raise
        self._careful = False
        self._evict(rows)
        return replace(report, total_seconds=time.perf_counter() - started)

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

    def _start_over(self) -> None:
        self._engine = LiveEngine(self._fleet.plan) if self._fleet.plan is not None else None
        self._home.clear()

    def _forget(self, coins: Iterable[str]) -> None:
        for coin in coins:
            self._home.pop(coin, None)
            if self._engine is not None:
                self._engine.forget(coin)

    def _evict(self, rows: FeedRows) -> None:
        home = self._home
        for coin, partition in zip(rows.coins, rows.partitions.tolist(), strict=True):
            home.pop(coin, None)
            home[coin] = partition
        for coin in [coin for coin, _ in zip(home, range(len(home) - self._options.most_coins), strict=False)]:
            self._forget([coin])

    def _predict(self, work: FeedWork, rows: FeedRows) -> BatchReport:
        started = time.perf_counter()
        known = self._features(work, rows)
        featured = time.perf_counter()
        scores, given, digests = score(self._fleet, known.features)
        models = np.array([member.model.id for member in self._fleet.members], dtype=np.int64)
        failed = [member.model.id for k, member in enumerate(self._fleet.members) if not given[:, k].any()]
        if self._careful and given.size:
            given &= ~work.stored(known.coins, known.timestamps, models)
        predicted = time.perf_counter()
        # An id even where nothing is predicted: it tells what later predictions knew from what earlier ones did.
        first_id, alerts = self._store(work, known, models, (scores, given, digests))
        if failed and known.coins:
            first_ids = np.full(len(known.coins), first_id, dtype=np.int64)
            work.owe(failed, OwedRows(known.coins, known.timestamps, first_ids), known.partitions)
        if known.late:
            work.revise("late", first_id, known.late)
        corrected = _by_coin(rows.coins, rows.timestamps, ~rows.fresh)
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
        self, work: FeedWork, known: _Known, models: Int, outcome: tuple[Score, Bool, Int]
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

    def _features(self, work: FeedWork, rows: FeedRows) -> _Known:
        """Return the features of the new rows, in the order of their time."""
        kept = _new_rows(rows)
        plan, engine = self._fleet.plan, self._engine
        if plan is None or engine is None:
            coins = [rows.coins[i] for i in kept]
            return _Known(coins, rows.timestamps[kept], rows.partitions[kept], np.empty((len(kept), 0)))
        slow = _slow_coins(engine, rows, kept)
        if not slow:
            coins = [rows.coins[i] for i in kept]
            times = rows.timestamps[kept]
            return _Known(coins, times, rows.partitions[kept], engine.update(coins, times, rows.values[kept]))
        fast = np.array([i for i in kept.tolist() if rows.coins[i] not in slow], dtype=np.int64)
        coins = [rows.coins[i] for i in fast]
        swift = np.empty((0, len(plan.names)))
        if len(fast):
            swift = engine.update(coins, rows.timestamps[fast], rows.values[fast])
        rest = np.array([i for i in kept.tolist() if rows.coins[i] in slow], dtype=np.int64)
        wanted = _by_coin(rows.coins, rows.timestamps, _mask(len(rows), rest))
        panel = self._rebuild(work, engine, plan, slow, wanted)
        found, features = rows_at(plan, panel, [(rows.coins[i], int(rows.timestamps[i])) for i in rest.tolist()])
        rest = rest[found]
        places = np.concatenate([fast, rest])
        order = np.argsort(rows.timestamps[places], kind="stable")
        return _Known(
            [rows.coins[i] for i in places[order].tolist()],
            rows.timestamps[places[order]],
            rows.partitions[places[order]],
            np.concatenate([swift, features])[order],
            late_rows(panel, wanted),
        )

    def _rebuild(
        self, work: FeedWork, engine: LiveEngine, plan: FeaturePlan, slow: set[str], wanted: Mapping[str, Sequence[int]]
    ) -> Panel:
        """Read what is known of coins and set their states to it."""
        coins = sorted(slow)
        first = np.array([min(wanted.get(coin, (_NO_ROW,))) for coin in coins], dtype=np.int64)
        panel = work.history(coins, first, plan.inputs, plan.lookback)
        engine.rebuild(panel)
        for coin in slow.difference(panel.instruments):
            engine.forget(coin)
        return panel


def _new_rows(rows: FeedRows) -> Int:
    """Return the places of new rows that are still there, each once, in the order of time."""
    order = np.argsort(rows.timestamps, kind="stable")
    order = order[(rows.fresh & rows.present)[order]]
    keys = dict.fromkeys(zip([rows.coins[i] for i in order.tolist()], rows.timestamps[order].tolist(), strict=True))
    if len(keys) == len(order):
        return order
    seen: set[tuple[str, int]] = set()
    kept = []
    for i in order.tolist():
        key = rows.coins[i], int(rows.timestamps[i])
        if key not in seen:
            seen.add(key)
            kept.append(i)
    return np.array(kept, dtype=np.int64)


def _slow_coins(engine: LiveEngine, rows: FeedRows, kept: Int) -> set[str]:
    """Return coins whose state must be built from the table: unknown, corrected, or with a row that comes late."""
    changed = np.flatnonzero(~(rows.fresh & rows.present))
    slow = {rows.coins[i] for i in changed.tolist()}
    first: dict[str, int] = {}
    for coin, moment in zip([rows.coins[i] for i in kept.tolist()], rows.timestamps[kept].tolist(), strict=True):
        first.setdefault(coin, moment)
    for coin, moment in first.items():
        newest = engine.last_timestamp(coin)
        if newest is None or moment <= newest:
            slow.add(coin)
    return slow


def _mask(size: int, places: Int) -> Bool:
    mask = np.zeros(size, dtype=np.bool_)
    mask[places] = True
    return mask


def _by_coin(coins: Sequence[str], timestamps: Int, mask: Bool) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for i in np.flatnonzero(mask).tolist():
        found.setdefault(coins[i], []).append(int(timestamps[i]))
    return found
