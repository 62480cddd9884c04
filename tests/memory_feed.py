"""A feed in memory, under the same contract as the PostgreSQL one: rows, leases, predictions and one transaction."""

import copy
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kurswerk.alerts import AlertRule, Notice, Notification, without_repeats
from kurswerk.core.errors import ConstraintError, StorageError
from kurswerk.market import COINS, Panel
from kurswerk.serving.ports import (
    ActiveModel,
    FeedRows,
    InstrumentState,
    JoinedChange,
    MissedRows,
    NewAlert,
    NewPredictions,
)

Int = NDArray[np.int64]
Key = tuple[str, int]
PARTITIONS = 64
NEW, CORRECTED = 0, 1


def partition_of(instrument: str) -> int:
    return zlib.crc32(instrument.encode()) % PARTITIONS


@dataclass
class Tables:
    """What a transaction may change; copied when one begins, put back when it fails."""

    rows: dict[Key, Mapping[str, float]] = field(default_factory=dict)
    waiting: list[tuple[Key, int, int]] = field(default_factory=list)  # key, kind, when it was written
    predictions: dict[tuple[str, int, int], tuple[int, np.float32, int, bool]] = field(default_factory=dict)
    alerts: list[NewAlert] = field(default_factory=list)
    notifications: list[Notification] = field(default_factory=list)
    missed: dict[tuple[int, str, int], int] = field(default_factory=dict)
    revisions: list[tuple[str, int, Mapping[str, Sequence[int]]]] = field(default_factory=list)
    states: dict[str, tuple[str, InstrumentState]] = field(default_factory=dict)
    joined: list[tuple[int, str, int, int | None]] = field(default_factory=list)  # partition, source, from, until
    joined_noted: list[tuple[int, JoinedChange]] = field(default_factory=list)
    reports: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    noted_missing: set[str] = field(default_factory=set)
    notices: list[tuple[int, Notice]] = field(default_factory=list)


class MemoryFeed:
    """The database that sessions share. For one thread: transactions come one after another."""

    def __init__(self) -> None:
        self.tables = Tables()
        self.models: list[ActiveModel] = []
        self.rules: list[AlertRule] = []
        self.cooldown_us: dict[int, int] = {}
        self.leases: dict[int, MemoryFeedSession] = {}
        self.sessions: list[MemoryFeedSession] = []
        self.columns = dict.fromkeys(COINS.panel_columns, "1")  # column → version
        self.rates: set[int] = set()
        self._clock = self._last_id = 0

    def drop_column(self, name: str) -> None:
        """Remove a column with its values."""
        del self.columns[name]
        self.tables.rows = {
            key: {column: value for column, value in row.items() if column != name}
            for key, row in self.tables.rows.items()
        }

    def add_rate(self, us: int) -> None:
        """Insert an exchange rate that is known from a moment on."""
        until = min((moment for moment in self.rates if moment > us), default=None)
        self.rates.add(us)
        if self.models:
            self.tables.joined += [(number, "exchange_rates", us, until) for number in range(PARTITIONS)]

    def add_column(self, name: str) -> None:
        """Add a column that is empty."""
        self._clock += 1
        self.columns[name] = f"added at {self._clock}"

    def write(self, rows: Mapping[Key, Mapping[str, float]]) -> None:
        """Insert or correct rows; they are fed while a model is active."""
        self._clock += 1
        for key, values in rows.items():
            kind = CORRECTED if key in self.tables.rows else NEW
            if self.models:
                self.tables.waiting.append((key, kind, self._clock))
            self.tables.rows[key] = {name: value for name, value in values.items() if name in self.columns}

    def delete(self, instrument: str) -> None:
        """Remove an instrument's rows."""
        self.tables.rows = {key: row for key, row in self.tables.rows.items() if key[0] != instrument}

    def next_ids(self, count: int) -> Int:
        """Hand out ids; those of a transaction that fails are lost, as a sequence loses them."""
        first, self._last_id = self._last_id + 1, self._last_id + count
        return np.arange(first, self._last_id + 1, dtype=np.int64)


class MemoryFeedSession:
    """Implements `kurswerk.serving.ports.FeedSession`."""

    def __init__(self, feed: MemoryFeed) -> None:
        self.feed, self._columns = feed, dict(feed.columns)
        feed.sessions.append(self)

    def read_columns(self) -> Mapping[str, str]:
        self._columns = dict(self.feed.columns)
        return dict(self._columns)

    @property
    def held(self) -> frozenset[int]:
        return frozenset(number for number, holder in self.feed.leases.items() if holder is self)

    def lease(self) -> frozenset[int]:
        share = -(-PARTITIONS // len(self.feed.sessions))
        for number in sorted(self.held)[share:]:
            del self.feed.leases[number]
        free = [number for number in range(PARTITIONS) if number not in self.feed.leases]
        for number in free[: share - len(self.held)]:
            self.feed.leases[number] = self
        return self.held

    def models_with_missed_rows(self) -> frozenset[int]:
        held = self.held
        return frozenset(model for model, coin, _ in self.feed.tables.missed if partition_of(coin) in held)

    @contextmanager
    def transaction(self) -> Iterator["MemoryFeedTransaction"]:
        before = copy.copy(self.feed.tables)
        self.feed.tables = Tables(**{name: copy.copy(value) for name, value in vars(before).items()})
        try:
            yield MemoryFeedTransaction(self.feed, self.held, self._columns)
        except BaseException:
            self.feed.tables = before
            raise

    def wait(self, timeout_s: float) -> None:
        pass

    def lag(self) -> tuple[int, float]:
        held = self.held
        return sum(partition_of(key[0]) in held for key, _, _ in self.feed.tables.waiting), 0.0

    def poll_table(self) -> int:
        return 0

    def report_state(self, state: Mapping[str, Any]) -> None:
        self.feed.tables.reports[id(self)] = dict(state)

    def close(self) -> None:
        self.feed.sessions.remove(self)
        self.feed.leases = {number: holder for number, holder in self.feed.leases.items() if holder is not self}


class MemoryFeedTransaction:
    """Implements `kurswerk.serving.ports.FeedTransaction`."""

    def __init__(self, feed: MemoryFeed, held: frozenset[int], columns: Mapping[str, str]) -> None:
        self._feed, self._held, self._columns = feed, held, columns

    @property
    def _tables(self) -> Tables:
        return self._feed.tables

    def take(self, columns: Sequence[str], limit: int) -> FeedRows:
        asked = {name: self._columns.get(name) for name in columns}
        if asked != {name: self._feed.columns.get(name) for name in columns}:
            raise StorageError("database.columns_changed", table="memory")
        mine = [entry for entry in self._tables.waiting if partition_of(entry[0][0]) in self._held][:limit]
        for entry in mine:
            self._tables.waiting.remove(entry)
        rows = self._tables.rows
        values = [[rows.get(key, {}).get(name, np.nan) for name in columns] for key, _, _ in mine]
        return FeedRows(
            instruments=[key[0] for key, _, _ in mine],
            timestamps=np.array([key[1] for key, _, _ in mine], dtype=np.int64),
            partitions=np.array([partition_of(key[0]) for key, _, _ in mine], dtype=np.int64),
            committed_us=np.array([written for _, _, written in mine], dtype=np.int64),
            fresh=np.array([kind == NEW for _, kind, _ in mine], dtype=np.bool_),
            present=np.array([key in rows for key, _, _ in mine], dtype=np.bool_),
            values=np.array(values, dtype=np.float64).reshape(len(mine), len(columns)),
        )

    def active_models(self) -> Sequence[ActiveModel]:
        return list(self._feed.models)

    def history(self, instruments: Sequence[str], first_us: Int, columns: Sequence[str], lookback: int | None) -> Panel:
        unknown = {key for key, kind, _ in self._tables.waiting if kind == NEW}
        keys: list[Key] = []
        for instrument, first in zip(instruments, first_us.tolist(), strict=True):
            times = sorted(us for name, us in self._tables.rows if name == instrument and (name, us) not in unknown)
            past, rest = [us for us in times if us < first], [us for us in times if us >= first]
            reach = len(past) if lookback is None else lookback
            keys += [(instrument, us) for us in (past[len(past) - min(reach, len(past)) :] + rest)]
        names = sorted({name for name, _ in keys})
        values = {
            column: np.array([self._tables.rows[key].get(column, np.nan) for key in keys], dtype=np.float64)
            for column in columns
        }
        codes = np.array([names.index(name) for name, _ in keys], dtype=np.int64)
        return Panel.from_codes(names, codes, np.array([us for _, us in keys], dtype=np.int64), values)

    def load_states(self, definition: str, instruments: Sequence[str]) -> Sequence[InstrumentState]:
        found = [self._tables.states[name] for name in instruments if name in self._tables.states]
        return [state for made_by, state in found if made_by == definition]

    def delete_states(self, first_us: Mapping[str, int]) -> None:
        for name, first in first_us.items():
            if name in self._tables.states and self._tables.states[name][1].timestamp_us >= first:
                del self._tables.states[name]

    def delete_states_since(self, first_us: int) -> None:
        self.delete_states({name: first_us for name in self._tables.states if partition_of(name) in self._held})

    def take_joined_changes(self) -> Sequence[JoinedChange]:
        mine = [entry for entry in self._tables.joined if entry[0] in self._held]
        self._tables.joined = [entry for entry in self._tables.joined if entry[0] not in self._held]
        homes: dict[tuple[str, int, int | None], list[int]] = {}
        for number, *change in mine:
            homes.setdefault((change[0], change[1], change[2]), []).append(number)
        return [JoinedChange(key[0], tuple(numbers), key[1], key[2]) for key, numbers in homes.items()]

    def note_joined_change(self, first_id: int, change: JoinedChange) -> None:
        self._tables.joined_noted.append((first_id, change))

    def clear_states(self) -> None:
        kept = {name: state for name, state in self._tables.states.items() if partition_of(name) not in self._held}
        self._tables.states = kept

    def save_states(self, definition: str, states: Sequence[InstrumentState]) -> None:
        self._tables.states |= {state.instrument: (definition, state) for state in states}

    def reserve(self, count: int) -> Int:
        return self._feed.next_ids(count)

    def existing(self, instruments: Sequence[str], timestamps: Int, models: Int) -> NDArray[np.bool_]:
        there = [
            [(name, us, model) in self._tables.predictions for model in models.tolist()]
            for name, us in zip(instruments, timestamps.tolist(), strict=True)
        ]
        return np.array(there, dtype=np.bool_).reshape(len(instruments), len(models))

    def store(self, predictions: NewPredictions, alerts: Sequence[NewAlert]) -> None:
        p = predictions
        scope = p.given if p.in_scope is None else p.in_scope
        for number, (i, j) in zip(p.ids.tolist(), np.argwhere(p.given).tolist(), strict=True):
            key = p.instruments[i], int(p.timestamps[i]), int(p.models[j])
            if key in self._tables.predictions:
                raise ConstraintError("database.row_refused", reason=str(key), constraint="predictions_key")
            self._tables.predictions[key] = number, p.scores[i, j], int(p.digests[i, j]), bool(scope[i, j])
        self._tables.alerts += alerts

    def alert_rules(self) -> Sequence[AlertRule]:
        return list(self._feed.rules)

    def enqueue_notifications(self, deliveries: Sequence[Notification]) -> None:
        sent: dict[tuple[int, str], list[tuple[int, Sequence[int]]]] = {}
        for one in self._tables.notifications:
            sent.setdefault((one.rule_id, one.instrument), []).append((one.timestamp_us, one.model_ids))
        self._tables.notifications += without_repeats(deliveries, self._feed.cooldown_us, sent)

    def note_missing_columns(self, needed: Collection[str]) -> Sequence[str]:
        lost = [name for name in COINS.in_order(needed) if name not in self._feed.columns]
        noted = {name for name in self._tables.noted_missing if name not in self._feed.columns}
        self._tables.noted_missing = noted | set(lost)
        return [name for name in lost if name not in noted]

    def enqueue_notice(self, rule_ids: Sequence[int], notice: Notice) -> None:
        self._tables.notices += [(rule_id, notice) for rule_id in rule_ids]

    def add_missed(self, model_ids: Sequence[int], rows: MissedRows, partitions: Int) -> None:
        for name, us, first_id in zip(rows.instruments, rows.timestamps.tolist(), rows.first_ids.tolist(), strict=True):
            for model in model_ids:
                self._tables.missed.setdefault((model, name, us), first_id)

    def take_missed(self, model_id: int, limit: int) -> MissedRows:
        mine = sorted(
            (name, us) for model, name, us in self._tables.missed
            if model == model_id and partition_of(name) in self._held
        )[:limit]  # fmt: skip
        first = [self._tables.missed.pop((model_id, *key)) for key in mine]
        times = np.array([us for _, us in mine], dtype=np.int64)
        return MissedRows([name for name, _ in mine], times, np.array(first, dtype=np.int64))

    def note_revisions(self, kind: str, first_id: int, rows: Mapping[str, Sequence[int]]) -> None:
        self._tables.revisions.append((kind, first_id, {name: list(times) for name, times in rows.items()}))

    def late_rows(self, instruments: Sequence[str]) -> Mapping[str, Sequence[tuple[int, Sequence[int]]]]:
        found: dict[str, list[tuple[int, Sequence[int]]]] = {}
        for kind, first_id, rows in self._tables.revisions:
            for name in instruments:
                if kind == "late" and name in rows:
                    found.setdefault(name, []).append((first_id, rows[name]))
        return found
