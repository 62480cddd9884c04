"""What a lane knows of its coins: states in memory, stored now and then, built from the table if need be."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.digest import sha256_json
from kurswerk.features import FeaturePlan, LiveEngine
from kurswerk.market import Panel
from kurswerk.serving._known_rows import find_late_rows
from kurswerk.serving.ports import FeedRows, FeedTransaction, InstrumentState, Int

Float = NDArray[np.float64]
_NO_ROW = np.iinfo(np.int64).max
# A state is stored when so many rows have come since it last was: what a start reads of each coin is bounded by it.
ROWS_BETWEEN_STATES = 64
# Of so many coins whole histories are read at once: a day of one is 17,000 rows, and 15 MB on the way into a state.
COINS_AT_ONCE = 16
_NEAR_COINS_AT_ONCE = 512


@dataclass(eq=False)
class FeatureRows:
    """Features of the rows to predict, in the order of their time, and which of the rows came late.

    ``places`` are their places among the rows taken.
    """

    places: Int
    instruments: list[str]
    timestamps: Int
    partitions: Int
    features: Float
    late: dict[str, list[int]] = field(default_factory=dict)


class InstrumentStates:
    """The states of a lane's coins; those silent for longest are dropped beyond a bound.

    A state in memory is that of all known rows of its coin. A stored one is that of all known rows up to its moment: a
    row up to that moment that comes late or is corrected takes it away in the transaction that learns of it.

    Parameters
    ----------
    max_instruments
        How many are kept.
    """

    def __init__(self, max_instruments: int) -> None:
        self._max_instruments = max_instruments
        self._plan: FeaturePlan | None = None
        self._engine: LiveEngine | None = None
        self._definition = ""
        # Plain dicts in order of use: every row of every batch passes here, and a cache object costs a call per row.
        self._home: dict[str, int] = {}  # coin → partition, least recently used first
        self._unstored: dict[str, int] = {}  # coin → rows since its state was stored
        self._due: dict[str, None] = {}  # those that have had many, in the order in which they had

    def __len__(self) -> int:
        return 0 if self._engine is None else len(self._engine)

    @property
    def memory_bytes(self) -> int:
        """What the states take."""
        return 0 if self._engine is None else self._engine.memory_bytes()

    def reset(self, plan: FeaturePlan | None, absent: Sequence[str] = ()) -> None:
        """Forget everything and keep states of other features from now on.

        Parameters
        ----------
        absent
            Inputs that the market's tables lack: states without them are stored apart from those with them.
        """
        self._plan, self._engine = plan, None if plan is None else LiveEngine(plan)
        if plan is not None:
            definition = plan.definition_hash
            self._definition = sha256_json([definition, sorted(absent)]) if absent else definition
        self._home.clear()
        self._unstored.clear()
        self._due.clear()

    def forget(self, coins: Iterable[str]) -> None:
        """Drop coins; they come back from the table."""
        for coin in coins:
            self._home.pop(coin, None)
            self._stored(coin)
            if self._engine is not None:
                self._engine.forget(coin)

    def forget_since(self, first_us: int) -> None:
        """Drop the instruments with a row at or after a moment; they come back from the table."""
        if self._engine is not None:
            newest = ((coin, self._engine.last_timestamp(coin)) for coin in self._home)
            self.forget([coin for coin, moment in newest if moment is not None and moment >= first_us])

    def keep_partitions(self, held: frozenset[int]) -> None:
        """Drop the coins of all other partitions, for others will move them on."""
        self.forget([coin for coin, home in self._home.items() if home not in held])

    def count_rows(self, rows: FeedRows) -> None:
        """Remember that coins had rows, once their predictions are stored."""
        recursive = self._plan is not None and self._plan.lookback is None
        for coin, partition in zip(rows.instruments, rows.partitions.tolist(), strict=True):
            self._home.pop(coin, None)
            self._home[coin] = partition
            if recursive:
                self._unstored[coin] = unstored = self._unstored.get(coin, 0) + 1
                if unstored >= ROWS_BETWEEN_STATES:
                    self._due[coin] = None

    def evict(self, tx: FeedTransaction) -> None:
        """Store and drop the coins beyond the bound."""
        surplus = [coin for coin, _ in zip(self._home, range(len(self._home) - self._max_instruments), strict=False)]
        if surplus:
            self._store(tx, [coin for coin in surplus if coin in self._unstored])
            self.forget(surplus)

    def due(self, *, all_of_them: bool = False) -> list[str]:
        """Return coins that had many rows since their states were stored, or any, longest due first."""
        return list(self._unstored if all_of_them else self._due)

    def store(self, tx: FeedTransaction, coins: Sequence[str]) -> None:
        """Store the states of coins."""
        self._store(tx, coins)
        for coin in coins:
            self._stored(coin)

    def _stored(self, coin: str) -> None:
        self._unstored.pop(coin, None)
        self._due.pop(coin, None)

    def _store(self, tx: FeedTransaction, coins: Sequence[str]) -> None:
        engine, plan = self._engine, self._plan
        if engine is None or plan is None:
            return
        states = [
            InstrumentState(coin, moment, engine.snapshot(coin))
            for coin in coins
            if (moment := engine.last_timestamp(coin)) is not None
        ]
        if states:
            tx.save_states(self._definition, states)

    def update(self, tx: FeedTransaction, rows: FeedRows) -> FeatureRows:
        """Take new rows into the states and return their features."""
        kept = _new_rows(rows)
        plan, engine = self._plan, self._engine
        if plan is None or engine is None:
            # Without models nobody knows what is late: every stored state that is not older goes.
            tx.delete_states(_first(rows, set(rows.instruments)))
            coins = [rows.instruments[i] for i in kept]
            return FeatureRows(kept, coins, rows.timestamps[kept], rows.partitions[kept], np.empty((len(kept), 0)))
        slow = _slow_coins(engine, rows, kept)
        if not slow:
            coins, times = [rows.instruments[i] for i in kept], rows.timestamps[kept]
            features = engine.update(coins, times, rows.values[kept])
            return FeatureRows(kept, coins, times, rows.partitions[kept], features)
        fast = np.array([i for i in kept.tolist() if rows.instruments[i] not in slow], dtype=np.int64)
        swift = np.empty((0, len(plan.names)))
        if len(fast):
            swift = engine.update([rows.instruments[i] for i in fast], rows.timestamps[fast], rows.values[fast])
        rest = np.array([i for i in kept.tolist() if rows.instruments[i] in slow], dtype=np.int64)
        found, features, late = self._look_up(tx, plan, engine, rows, rest, slow)
        places = np.concatenate([fast, rest[found]])
        order = np.argsort(rows.timestamps[places], kind="stable")
        return FeatureRows(
            places[order],
            [rows.instruments[i] for i in places[order].tolist()],
            rows.timestamps[places[order]],
            rows.partitions[places[order]],
            np.concatenate([swift, features])[order],
            late,
        )

    def _look_up(
        self, tx: FeedTransaction, plan: FeaturePlan, engine: LiveEngine, rows: FeedRows, wanted: Int, slow: set[str]
    ) -> tuple[Int, Float, dict[str, list[int]]]:
        """Build coins' states from what is stored; return which wanted rows are there, their features and the late."""
        asked = by_coin(rows.instruments, rows.timestamps, wanted.tolist())
        # Also where windows alone are in use: features with states may come back.
        tx.delete_states(_first(rows, slow))
        after = self._restore(tx, plan, engine, slow)
        bare = sorted(slow.difference(after))
        self.forget(bare)
        given: dict[tuple[str, int], Float] = {}
        late: dict[str, list[int]] = {}
        for coins, reach in [*_slices(sorted(after), 0), *_slices(bare, plan.lookback)]:
            first = {coin: after.get(coin, min(asked.get(coin, (_NO_ROW,)))) for coin in coins}
            panel = tx.history(coins, np.array(list(first.values()), dtype=np.int64), plan.inputs, reach)
            given |= _replay(engine, panel, first, asked)
            if plan.lookback is None:
                for coin, count in zip(panel.instruments, np.diff(panel.offsets).tolist(), strict=True):
                    self._unstored[coin] = count - len(asked.get(coin, ()))  # `count_rows` counts those
            late |= find_late_rows(panel, asked)
        keys = [(rows.instruments[i], int(rows.timestamps[i])) for i in wanted.tolist()]
        found = np.array([k for k, key in enumerate(keys) if key in given], dtype=np.int64)
        return found, np.array([given[keys[k]] for k in found.tolist()]).reshape(len(found), len(plan.names)), late

    def _restore(self, tx: FeedTransaction, plan: FeaturePlan, engine: LiveEngine, coins: set[str]) -> dict[str, int]:
        """Take back coins' stored states; return from when on each lacks rows."""
        if plan.lookback is not None:
            return {}
        after = {}
        for state in tx.load_states(self._definition, sorted(coins)):
            engine.restore(state.instrument, state.state)
            after[state.instrument] = state.timestamp_us + 1
        return after


def _replay(
    engine: LiveEngine, panel: Panel, first: Mapping[str, int], asked: Mapping[str, Sequence[int]]
) -> dict[tuple[str, int], Float]:
    """Move coins on by a panel: rows before ``first`` are their past, the others come one by one.

    Returns
    -------
    dict
        Features of those rows that are asked for, by coin and timestamp.
    """
    names = np.repeat(np.array(panel.instruments, dtype=object), np.diff(panel.offsets))
    tail = panel.timestamps >= np.repeat([first[coin] for coin in panel.instruments], np.diff(panel.offsets))
    past = panel.where(~tail)
    if len(past):
        engine.rebuild(past)
    values = np.column_stack([panel.column(name)[tail] for name in engine.plan.inputs])
    keys = list(zip(names[tail].tolist(), panel.timestamps[tail].tolist(), strict=True))
    features = engine.update([coin for coin, _ in keys], panel.timestamps[tail], values)
    wanted = {(coin, moment) for coin, moments in asked.items() for moment in moments}
    return {key: row for key, row in zip(keys, features, strict=True) if key in wanted}


def _slices(coins: Sequence[str], reach: int | None) -> list[tuple[Sequence[str], int | None]]:
    """Part coins so that what is read of them at once is little: whole histories may be long."""
    size = COINS_AT_ONCE if reach is None else _NEAR_COINS_AT_ONCE
    return [(coins[k : k + size], reach) for k in range(0, len(coins), size)]


def _first(rows: FeedRows, coins: set[str]) -> dict[str, int]:
    """Return the earliest of coins' rows."""
    found: dict[str, int] = {}
    for coin, moment in zip(rows.instruments, rows.timestamps.tolist(), strict=True):
        if coin in coins:
            found[coin] = min(moment, found.get(coin, moment))
    return found


def _new_rows(rows: FeedRows) -> Int:
    """Return the places of new rows that are still there, each once, in the order of time."""
    order = np.argsort(rows.timestamps, kind="stable")
    order = order[(rows.fresh & rows.present)[order]]
    keys = dict.fromkeys(
        zip([rows.instruments[i] for i in order.tolist()], rows.timestamps[order].tolist(), strict=True)
    )
    if len(keys) == len(order):
        return order
    seen: set[tuple[str, int]] = set()
    kept = []
    for i in order.tolist():
        key = rows.instruments[i], int(rows.timestamps[i])
        if key not in seen:
            seen.add(key)
            kept.append(i)
    return np.array(kept, dtype=np.int64)


def _slow_coins(engine: LiveEngine, rows: FeedRows, kept: Int) -> set[str]:
    """Return coins whose state must be built from the table: unknown, corrected, or with a row that comes late."""
    changed = np.flatnonzero(~(rows.fresh & rows.present))
    slow = {rows.instruments[i] for i in changed.tolist()}
    first: dict[str, int] = {}
    for coin, moment in zip([rows.instruments[i] for i in kept.tolist()], rows.timestamps[kept].tolist(), strict=True):
        first.setdefault(coin, moment)
    for coin, moment in first.items():
        newest = engine.last_timestamp(coin)
        if newest is None or moment <= newest:
            slow.add(coin)
    return slow


def by_coin(coins: Sequence[str], timestamps: Int, places: Iterable[int]) -> dict[str, list[int]]:
    """Return the timestamps at some places, by coin."""
    found: dict[str, list[int]] = {}
    for i in places:
        found.setdefault(coins[i], []).append(int(timestamps[i]))
    return found
