"""The live engine: refusals leave it as it was, places are reused, snapshots are checked."""

import numpy as np
import pytest

from kurswerk.core.errors import DataError, UnknownNameError
from kurswerk.features import FeaturePlan, LateRowError, LiveEngine
from kurswerk.market import COINS
from unit.features.markets import inputs_of, keys_of, market, same_bits

PLAN = FeaturePlan(["price_change_2", "ema_3"], COINS)


def row(engine, key, time, value):
    return engine.update([key], np.array([time]), np.array([[value]]))[0]


@pytest.mark.parametrize(
    ("keys", "times", "late"),
    [
        (["B", "A"], [9, 2], ("A",)),
        (["A", "A"], [5, 5], ("A",)),
        (["C", "C"], [5, 4], ("C",)),
        (["A", "B", "A"], [5, 1, 6], ("B",)),
    ],
)
def test_a_late_row_is_refused_before_anything_changes(keys, times, late):
    engine = LiveEngine(PLAN)
    for key, time in (("A", 1), ("B", 1), ("A", 2)):
        row(engine, key, time, 5.0)
    before = {key: engine.snapshot(key) for key in engine.keys}
    with pytest.raises(LateRowError, match="not newer") as caught:
        engine.update(keys, np.array(times), np.ones((len(keys), 1)))
    assert caught.value.keys == late
    assert {key: engine.snapshot(key) for key in engine.keys} == before
    assert row(engine, "A", 3, 10.0)[0] == 100.0


def test_shapes_are_checked():
    with pytest.raises(DataError, match="give one timestamp"):
        LiveEngine(PLAN).update(["A"], np.array([1]), np.ones((1, 2)))


def test_no_rows_give_no_rows():
    assert LiveEngine(PLAN).update([], np.zeros(0, np.int64), np.zeros((0, 1))).shape == (0, 2)


def test_a_forgotten_coin_starts_anew_in_a_reused_place():
    engine = LiveEngine(PLAN)
    for time in range(5):
        row(engine, "A", time, 1.0)
    size = engine.memory_bytes()
    engine.forget("A")
    engine.forget("never seen")
    assert "A" not in engine
    assert engine.last_timestamp("A") is None
    assert np.isnan(row(engine, "B", 0, 1.0)).all()
    assert (len(engine), engine.last_timestamp("B"), engine.memory_bytes()) == (1, 0, size)


def test_states_survive_growth():
    engine, keys = LiveEngine(PLAN), [f"coin{k}" for k in range(300)]
    for key in keys[:3]:
        for time in range(2):
            row(engine, key, time, 1.0)
    out = engine.update(keys, np.full(300, 7), np.full((300, 1), 2.0))
    assert out[:3, 0].tolist() == [100.0] * 3
    assert np.isnan(out[3:]).all()


@pytest.mark.parametrize("blob", [b"", b"KWF1", b"x" * 200])
def test_foreign_bytes_are_refused(blob):
    with pytest.raises(DataError, match="no state"):
        LiveEngine(PLAN).restore("A", blob)


def test_a_state_of_other_definitions_is_refused():
    engine = LiveEngine(FeaturePlan(["price_change_2", "ema_4"], COINS))
    row(engine, "A", 1, 1.0)
    other = LiveEngine(PLAN)
    with pytest.raises(DataError, match="other features"):
        other.restore("A", engine.snapshot("A"))
    assert "A" not in other


def test_unknown_instruments_and_columns_are_named():
    with pytest.raises(UnknownNameError, match="coin"):
        LiveEngine(PLAN).snapshot("A")
    panel = market(1)
    lacking = type(panel)(panel.instruments, panel.offsets, panel.timestamps, ("volume_sol",), panel.values[:1])
    with pytest.raises(UnknownNameError, match="price_close"):
        LiveEngine(PLAN).rebuild(lacking)


def test_the_look_back_is_all_a_window_plan_needs_to_start():
    plan = FeaturePlan(["price_volatility_5", "cci_7", "price_change_10"], COINS)
    panel = market(4, rows=(60,), holes=0)
    engine = LiveEngine(plan)
    rows = np.arange(60)
    engine.rebuild(panel.where((rows < 50) & (rows >= 50 - plan.lookback)))
    out = engine.update(keys_of(panel)[50:], panel.timestamps[50:], inputs_of(plan, panel)[50:])
    assert same_bits(out, plan.compute(panel)[50:])
