"""The properties of a feed session, for every implementation of the port.

A subclass provides the feed: its fixture ``world`` gives a `World`.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, Protocol

import numpy as np
import pytest

from kurswerk.core.errors import ConstraintError, StorageError
from kurswerk.market import COINS as MARKET
from kurswerk.registry import ModelStore
from kurswerk.serving import ActiveModels, Lane, LaneOptions, ModelCache
from kurswerk.serving.ports import FeedSession, InstrumentState, MissedRows, NewPredictions
from served_models import COLUMNS, RECURSIVE, START_US, STEP_US, WINDOWED, coin_rows

NAMES = [f"{k:03d}pump" for k in range(6)]
Predictions = dict[tuple[str, int, int], np.float32]


class World(Protocol):
    """A market with its feed, whatever it is kept in."""

    models: ModelStore

    def write(self, rows: Mapping[tuple[str, int], Sequence[float]]) -> None:
        """Insert or correct rows, values in the order of `COLUMNS`."""

    def register(self, name: str, features: Sequence[str] = WINDOWED, **options: Any) -> int:
        """Register a model that is active."""

    def open_session(self) -> FeedSession:
        """Open a session."""

    def drop_column(self, name: str) -> None:
        """Remove a column of the market with its values."""

    def add_column(self, name: str) -> None:
        """Add a column to the market that is empty."""

    def add_rate(self, us: int, price: float) -> None:
        """Insert an exchange rate that is known from a moment on."""

    def predictions(self) -> Predictions:
        """Return all stored predictions: (instrument, microseconds, model) → score."""

    def expected(self, model_ids: Sequence[int]) -> Predictions:
        """Compute the predictions of all rows in batch."""


def a_lane(world: World, session: FeedSession, **options: Any) -> Lane:
    lane = Lane(session, ActiveModels(ModelCache(world.models)), LaneOptions(**options), MARKET)
    lane.lease()
    return lane


def drain(lane: Lane) -> int:
    total = 0
    while rows := lane.step().rows:
        total += rows
    return total


def batch(ids: np.ndarray, names: Sequence[str], times: Sequence[int], model: int) -> NewPredictions:
    shape = len(names), 1
    return NewPredictions(
        ids, names, np.array(times, dtype=np.int64), np.array([model], dtype=np.int64),
        np.full(shape, 0.25, dtype=np.float32), np.ones(shape, dtype=np.bool_), np.zeros(shape, dtype=np.int64), None,
    )  # fmt: skip


def store_and_fail(session: FeedSession, model: int) -> None:
    """Change everything that a transaction can change, and fail."""
    with session.transaction() as tx:
        taken = tx.take(COLUMNS, 1000)
        tx.store(batch(tx.reserve(len(taken)), taken.instruments, taken.timestamps.tolist(), model), [])
        tx.note_revisions("late", 1, {NAMES[0]: [5]})
        tx.add_missed([model], MissedRows([NAMES[0]], np.array([5]), np.array([1])), np.array([0]))
        tx.save_states("ab" * 32, [InstrumentState(NAMES[0], 5, b"x")])
        raise ZeroDivisionError


def take_changes_and_fail(session: FeedSession) -> None:
    with session.transaction() as tx:
        assert tx.take_joined_changes()
        raise ZeroDivisionError


class FeedSessionContract:
    """Each test is a property that the prediction service relies on."""

    def test_rows_are_taken_and_predictions_stored_in_one_transaction(self, world: World) -> None:
        model = world.register("m")
        world.write(coin_rows(NAMES, 0, 2))
        with closing(world.open_session()) as session:
            session.lease()
            with session.transaction() as tx:
                rows = tx.take(COLUMNS, 1000)
                tx.store(batch(tx.reserve(len(rows)), rows.instruments, rows.timestamps.tolist(), model), [])
            assert session.lag()[0] == 0
            assert len(world.predictions()) == len(rows) == 2 * len(NAMES)
            assert rows.fresh.all()
            assert rows.present.all()

    def test_a_rollback_returns_the_rows_and_stores_nothing(self, world: World) -> None:
        model = world.register("m")
        rows = coin_rows(NAMES, 0, 2)
        world.write(rows)
        with closing(world.open_session()) as session:
            session.lease()
            with pytest.raises(ZeroDivisionError):
                store_and_fail(session, model)
            assert world.predictions() == {}
            assert session.lag()[0] == len(rows)
            assert session.models_with_missed_rows() == frozenset()
            with session.transaction() as tx:
                assert not tx.late_rows(NAMES)
                assert not tx.load_states("ab" * 32, NAMES)
                again = tx.take(COLUMNS, 1000)
            assert set(zip(again.instruments, again.timestamps.tolist(), strict=True)) == set(rows)

    def test_a_prediction_is_stored_at_most_once(self, world: World) -> None:
        model = world.register("m")
        world.write(coin_rows(NAMES[:1], 0, 1))
        with closing(world.open_session()) as session:
            session.lease()
            with session.transaction() as tx:
                tx.store(batch(tx.reserve(1), NAMES[:1], [7], model), [])
                assert tx.existing(NAMES[:2], np.array([7, 7]), np.array([model])).tolist() == [[True], [False]]
            with pytest.raises(ConstraintError), session.transaction() as tx:
                tx.store(batch(tx.reserve(1), NAMES[:1], [7], model), [])
        assert len(world.predictions()) == 1

    def test_ids_ascend_from_transaction_to_transaction(self, world: World) -> None:
        with closing(world.open_session()) as session:
            session.lease()
            found = []
            for count in (1, 3, 2):
                with session.transaction() as tx:
                    found += tx.reserve(count).tolist()
        assert found == sorted(set(found))

    def test_leases_are_exclusive_and_fall_back(self, world: World) -> None:
        with closing(world.open_session()) as first:
            assert len(first.lease()) == 64
            with closing(world.open_session()) as second:
                assert second.lease() == frozenset()
                kept = first.lease()
                given = second.lease()
                assert len(kept) == len(given) == 32
                assert not kept & given
            assert len(first.lease()) == 64

    def test_a_session_takes_only_rows_of_its_partitions(self, world: World) -> None:
        world.register("m")
        names = [f"{k:03d}pump" for k in range(40)]
        world.write(coin_rows(names, 0, 1))
        with closing(world.open_session()) as first, closing(world.open_session()) as second:
            taken = []
            for session in (first, second):
                held = session.lease()
                with session.transaction() as tx:
                    rows = tx.take((), 1000)
                assert set(rows.partitions.tolist()) <= held
                taken += rows.instruments
            assert sorted(taken) == names

    def test_nothing_is_fed_while_no_model_is_active(self, world: World) -> None:
        world.write(coin_rows(NAMES, 0, 2))
        with closing(world.open_session()) as session:
            session.lease()
            assert session.lag()[0] == 0

    def test_history_leaves_out_what_still_waits(self, world: World) -> None:
        world.write(coin_rows(NAMES[:2], 0, 5))
        world.register("m")
        world.write(coin_rows(NAMES[:2], 5, 6))
        first = np.array([min(us for _, us in coin_rows(NAMES[:1], 4, 5))] * 2)
        with closing(world.open_session()) as session:
            session.lease()
            with session.transaction() as tx:
                panel = tx.history(NAMES[:2], first, ("price_close",), 2)
                assert np.diff(panel.offsets).tolist() == [3, 3]
                assert len(tx.history(NAMES[:2], first, ("price_close",), None)) == 10
                tx.take((), 1000)
                assert len(tx.history(NAMES[:2], first, ("price_close",), 2)) == 8

    def test_states_are_of_their_features_alone_and_go_with_a_late_row(self, world: World) -> None:
        ours, others = "ab" * 32, "cd" * 32
        with closing(world.open_session()) as session:
            session.lease()
            with session.transaction() as tx:
                tx.save_states(ours, [InstrumentState(name, 10, b"state") for name in NAMES[:3]])
                tx.save_states(others, [InstrumentState(NAMES[2], 10, b"other")])
                tx.delete_states({NAMES[0]: 10, NAMES[1]: 11})
                assert [state.instrument for state in tx.load_states(ours, NAMES)] == [NAMES[1]]
                assert [state.state for state in tx.load_states(others, NAMES)] == [b"other"]

    def test_a_lost_column_is_seen_at_the_next_look_and_noted_once(self, world: World) -> None:
        with closing(world.open_session()) as session, closing(world.open_session()) as other:
            whole = session.read_columns()
            world.drop_column("num_buys")
            assert set(whole) - set(session.read_columns()) == {"num_buys"}
            other.read_columns()
            for one, new in ((session, ["num_buys"]), (other, []), (session, [])):
                with one.transaction() as tx:
                    assert tx.note_missing_columns(["num_buys", "price_close"]) == new
            world.add_column("num_buys")
            again = session.read_columns()
            assert again.keys() == whole.keys()
            assert {name for name in whole if whole[name] != again[name]} == {"num_buys"}
            with other.transaction() as tx:
                assert tx.note_missing_columns([]) == []
            world.drop_column("num_buys")
            with session.transaction() as tx:
                assert tx.note_missing_columns(["num_buys"]) == ["num_buys"]

    def test_rows_are_not_taken_without_a_column_that_is_back(self, world: World) -> None:
        world.register("m")
        world.drop_column("volume_sol")
        with closing(world.open_session()) as session:
            session.lease()
            session.read_columns()
            world.add_column("volume_sol")
            world.write(coin_rows(NAMES, 0, 1))
            with pytest.raises(StorageError), session.transaction() as tx:
                tx.take(["price_close", "volume_sol"], 100)
            session.read_columns()
            with session.transaction() as tx:
                assert np.isfinite(tx.take(["price_close", "volume_sol"], 100).values).all()

    def test_a_lane_drops_states_when_an_input_goes_and_comes(self, world: World) -> None:
        # What a model of this helper predicts hangs on its first feature.
        ids = [world.register("w", ("volume_ratio_10", "price_close")), world.register("r", RECURSIVE, seed=1)]
        with closing(world.open_session()) as session:
            lane = a_lane(world, session)
            lane.refresh_columns()
            world.write(coin_rows(NAMES, 0, 12))
            drain(lane)
            lane.store_states(all_of_them=True)
            world.drop_column("volume_sol")
            assert lane.refresh_columns()
            assert lane.columns.missing(lane.active.models) == {"volume_sol": [ids[0]]}
            world.add_column("volume_sol")
            assert lane.refresh_columns()
            known = world.predictions()
            world.write(coin_rows(NAMES, 12, 20))
            assert drain(lane) == 8 * len(NAMES)
        right = {key: value for key, value in world.expected(ids).items() if key not in known}
        assert {key: value for key, value in world.predictions().items() if key not in known} == right

    def test_changes_of_joined_values_reach_every_partition_once(self, world: World) -> None:
        world.register("m")
        world.add_rate(START_US, 1.0)
        with closing(world.open_session()) as first, closing(world.open_session()) as second:
            for session in (first, second, first):
                session.lease()
            with first.transaction() as tx:
                tx.take_joined_changes()
            with second.transaction() as tx:
                tx.take_joined_changes()
            world.add_rate(START_US - 5 * STEP_US, 2.0)
            taken = []
            with pytest.raises(ZeroDivisionError):
                take_changes_and_fail(first)
            for session in (first, second, first, second):
                with session.transaction() as tx:
                    taken += tx.take_joined_changes()
        assert sorted(number for change in taken for number in change.partitions) == list(range(64))
        assert {(change.source, change.from_us, change.until_us) for change in taken} == {
            ("exchange_rates", START_US - 5 * STEP_US, START_US)
        }

    def test_a_lane_forgets_instruments_with_rows_since_a_joined_value_that_came_late(self, world: World) -> None:
        ids = [world.register("w"), world.register("r", RECURSIVE, seed=1)]
        with closing(world.open_session()) as session:
            lane = a_lane(world, session)
            world.write(coin_rows(NAMES[:2], 0, 12))
            world.write(coin_rows(NAMES[2:], 0, 6))
            drain(lane)
            lane.store_states(all_of_them=True)
            world.add_rate(START_US + 8 * STEP_US, 2.0)
            assert lane.note_joined_changes() == 1
            assert lane.note_joined_changes() == 0
            assert lane.instruments == len(NAMES) - 2
            with session.transaction() as tx:
                kept = tx.load_states(lane.active.plan.definition_hash, NAMES)
            assert sorted(state.instrument for state in kept) == NAMES[2:]
            world.write(coin_rows(NAMES, 12, 15))
            drain(lane)
        assert world.predictions() == world.expected(ids)

    def test_missed_rows_come_back_once_instrument_by_instrument(self, world: World) -> None:
        model = world.register("m")
        with closing(world.open_session()) as session:
            session.lease()
            with session.transaction() as tx:
                rows = MissedRows([NAMES[1], NAMES[0], NAMES[1]], np.array([2, 2, 1]), np.array([9, 9, 9]))
                tx.add_missed([model], rows, np.zeros(3, dtype=np.int64))
                tx.add_missed([model], rows, np.zeros(3, dtype=np.int64))
            assert session.models_with_missed_rows() == {model}
            with session.transaction() as tx:
                first, rest = tx.take_missed(model, 2), tx.take_missed(model, 9)
            found = [*zip(first.instruments, first.timestamps.tolist(), strict=True)]
            found += [*zip(rest.instruments, rest.timestamps.tolist(), strict=True)]
            assert sorted(found) == [(NAMES[0], 2), (NAMES[1], 1), (NAMES[1], 2)]
            assert first.first_ids.tolist() == [9, 9]
            assert session.models_with_missed_rows() == frozenset()

    def test_late_rows_are_noted_with_the_first_prediction_that_knew_them(self, world: World) -> None:
        with closing(world.open_session()) as session:
            session.lease()
            with session.transaction() as tx:
                tx.note_revisions("late", 5, {NAMES[0]: [3, 1]})
                tx.note_revisions("corrected", 6, {NAMES[1]: [2]})
            with session.transaction() as tx:
                late = tx.late_rows(NAMES)
        assert {name: [(first, sorted(times)) for first, times in entries] for name, entries in late.items()} == {
            NAMES[0]: [(5, [1, 3])]
        }

    def test_a_lane_predicts_every_row_once_with_the_bits_of_batch(self, world: World) -> None:
        ids = [world.register("w"), world.register("r", RECURSIVE, seed=1)]
        with closing(world.open_session()) as session:
            lane = a_lane(world, session)
            for start in range(0, 24, 8):
                world.write(coin_rows(NAMES, start, start + 8))
                assert drain(lane) == 8 * len(NAMES)
        assert world.predictions() == world.expected(ids)

    def test_a_lane_takes_over_what_another_left(self, world: World) -> None:
        ids = [world.register("w"), world.register("r", RECURSIVE)]
        world.write(coin_rows(NAMES, 0, 10))
        with closing(world.open_session()) as session:
            drain(a_lane(world, session))
        world.write(coin_rows(NAMES, 10, 20))
        with closing(world.open_session()) as session:
            assert drain(a_lane(world, session)) == 10 * len(NAMES)
        assert world.predictions() == world.expected(ids)

    def test_rows_that_come_late_leave_a_state_as_if_they_had_not(self, world: World) -> None:
        ids = [world.register("w"), world.register("r", RECURSIVE, seed=1)]
        rows = coin_rows(NAMES, 0, 30)
        keys = sorted(rows, key=lambda key: key[1])
        with closing(world.open_session()) as session:
            lane = a_lane(world, session)
            for part in np.array_split(np.random.default_rng(5).permutation(len(keys)), 6):
                world.write({keys[i]: rows[keys[i]] for i in part})
                assert drain(lane) == len(part)
            with session.transaction() as tx:
                late = tx.late_rows(NAMES)
            world.write(coin_rows(NAMES, 30, 33))
            drain(lane)
        assert sum(len(times) for entries in late.values() for _, times in entries) > 30
        new = min(us for _, us in coin_rows(NAMES, 30, 31))
        found, right = world.predictions(), world.expected(ids)
        assert set(found) == set(right)
        assert {key: found[key] for key in found if key[1] >= new} == {k: right[k] for k in right if k[1] >= new}

    def test_a_correction_keeps_the_prediction_and_rebuilds_the_state(self, world: World) -> None:
        ids = [world.register("r", RECURSIVE)]
        rows = coin_rows(NAMES, 0, 20)
        with closing(world.open_session()) as session:
            lane = a_lane(world, session)
            world.write(rows)
            drain(lane)
            before = world.predictions()
            key = (NAMES[3], min(us for _, us in rows) + 12 * STEP_US)
            world.write({key: [value * 3 for value in rows[key]]})
            assert drain(lane) == 1
            assert world.predictions() == before
            world.write(coin_rows(NAMES, 20, 23))
            drain(lane)
        found, right = world.predictions(), world.expected(ids)
        assert {k: v for k, v in found.items() if k not in before} == {
            k: v for k, v in right.items() if k not in before
        }

    def test_a_model_that_recovers_backfills_what_it_missed(self, world: World) -> None:
        ids = [world.register("good"), world.register("bad", RECURSIVE, seed=3)]
        with closing(world.open_session()) as session:
            lane = a_lane(world, session)
            world.write(coin_rows(NAMES, 0, 6))
            lane.step()
            lane.active.fail(lane.active.models[1], ValueError("for a while"))
            world.write(coin_rows(NAMES, 6, 12))
            drain(lane)
            assert session.models_with_missed_rows() == {ids[1]}
            lane.active.models[1].retry_at = 0.0
            lane.step()
            while lane.backfill(limit=20):
                pass
            assert session.models_with_missed_rows() == frozenset()
        assert world.predictions() == world.expected(ids)

    def test_instruments_beyond_the_bound_are_evicted_and_come_back_unchanged(self, world: World) -> None:
        ids = [world.register("w"), world.register("r", RECURSIVE)]
        names = [f"{k:03d}pump" for k in range(12)]
        with closing(world.open_session()) as session:
            lane = a_lane(world, session, max_instruments=5)
            for k in range(0, 24, 4):
                world.write(coin_rows(names[k % 12 : k % 12 + 4], k, k + 4))
                drain(lane)
                assert lane.instruments <= 5
            assert lane.memory_bytes > 0
        assert world.predictions() == world.expected(ids)
