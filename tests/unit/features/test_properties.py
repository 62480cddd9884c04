"""Properties of all features: batch equals live, the past never changes, look-back is exact, coins never mix."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurswerk.features import FeaturePlan, LiveEngine, engineered_names, registered_features, resolve
from kurswerk.market import COINS, Panel
from unit.features.markets import COLUMNS, inputs_of, keys_of, market, same_bits

EVERYTHING = FeaturePlan(
    list(dict.fromkeys([*(f.name for f in registered_features(COINS)), *engineered_names(COLUMNS, COINS, [2, 3, 7])])),
    COINS,
)
WINDOWS = [f.name for f in registered_features(COINS) if f.lookback is not None]


def live(plan, panel, order, cuts, engine=None):
    """Rows of a panel through the live path, in an order that keeps each coin's time, cut into updates."""
    engine = engine or LiveEngine(plan)
    inputs, keys = inputs_of(plan, panel), keys_of(panel)
    out = np.empty((len(panel), len(plan.names)))
    for places in np.split(order, sorted(cuts)):
        out[places] = engine.update([keys[k] for k in places], panel.timestamps[places], inputs[places])
    return out


def interleaved(panel, rng):
    """A random order of rows in which each coin's rows keep theirs."""
    lots = rng.permutation(panel.codes)
    order = np.empty(len(panel), dtype=np.int64)
    for k in range(len(panel.instruments)):
        order[lots == k] = np.arange(panel.offsets[k], panel.offsets[k + 1])
    return order


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), data=st.data())
def test_batch_equals_live_in_any_chunks(seed, data):
    panel = market(seed)
    cuts = data.draw(st.lists(st.integers(0, len(panel)), max_size=12))
    order = interleaved(panel, np.random.default_rng(seed))
    assert same_bits(EVERYTHING.compute(panel), live(EVERYTHING, panel, order, cuts))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), cut=st.integers(1, 97))
def test_restart_from_snapshots_continues_with_the_same_bits(seed, cut):
    panel = market(seed)
    order = interleaved(panel, np.random.default_rng(seed))
    first, inputs, keys = LiveEngine(EVERYTHING), inputs_of(EVERYTHING, panel), keys_of(panel)
    first.update([keys[k] for k in order[:cut]], panel.timestamps[order[:cut]], inputs[order[:cut]])
    second = LiveEngine(EVERYTHING)
    for key in first.keys:
        second.restore(key, first.snapshot(key))
    rest = order[cut:]
    out = second.update([keys[k] for k in rest], panel.timestamps[rest], inputs[rest])
    assert same_bits(out, EVERYTHING.compute(panel)[rest])


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), cut=st.integers(1, 59))
def test_rebuild_after_a_late_row_gives_the_bits_of_batch(seed, cut):
    panel = market(seed)
    order = interleaved(panel, np.random.default_rng(seed))
    engine, inputs, keys = LiveEngine(EVERYTHING), inputs_of(EVERYTHING, panel), keys_of(panel)
    without = order[order != cut - 1]
    engine.update([keys[k] for k in without], panel.timestamps[without], inputs[without])
    rows = np.arange(len(panel))
    past = panel.where(rows < panel.offsets[:-1][panel.codes] + cut)
    engine.rebuild(past)
    rest = np.flatnonzero(rows >= panel.offsets[:-1][panel.codes] + cut)
    out = engine.update([keys[k] for k in rest], panel.timestamps[rest], inputs[rest])
    assert same_bits(out, EVERYTHING.compute(panel)[rest])


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), cut=st.integers(0, 59))
def test_later_rows_never_change_earlier_values(seed, cut):
    panel, other = market(seed), market(seed + 1)
    values = panel.values.copy()
    values[:, cut + 1 : 60] = other.values[:, cut + 1 : 60]
    changed = Panel(panel.instruments, panel.offsets, panel.timestamps, panel.columns, values)
    assert same_bits(EVERYTHING.compute(panel)[: cut + 1], EVERYTHING.compute(changed)[: cut + 1])


def test_coins_never_mix():
    panel = market(3)
    together = EVERYTHING.compute(panel)
    for key in panel.instruments:
        alone = panel.where(panel.codes == panel.instruments.index(key))
        assert same_bits(EVERYTHING.compute(alone), together[panel.rows_of(key)])


@pytest.mark.parametrize("name", WINDOWS)
def test_look_back_is_exact(name):
    panel, other = market(5, rows=(80,), holes=0), market(6, rows=(80,), holes=0)
    plan, lookback = FeaturePlan([name], COINS), resolve(name, COINS).lookback
    value = plan.compute(panel)
    row = next(k for k in range(79, lookback - 1, -1) if not np.isnan(value[k, 0]))
    values = panel.values.copy()
    values[:, : row - lookback + 1] = other.values[:, : row - lookback + 1]
    older = Panel(panel.instruments, panel.offsets, panel.timestamps, panel.columns, values)
    assert same_bits(plan.compute(older)[row], value[row])
    values[:, row - lookback + 1] = np.nan
    assert np.isnan(plan.compute(older)[row, 0])
    assert np.isnan(value[: lookback - 1]).all()
    short = panel.where(np.arange(80) > row - lookback)
    assert same_bits(plan.compute(short)[lookback - 1], value[row])


@pytest.mark.parametrize("rows", [None, slice(13, 55), slice(62, 62), slice(30, 98), slice(-5, None)])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_and_slices_change_no_bit(rows, threads):
    panel = market(8, rows=(3000, 1, 37))
    full = EVERYTHING.compute(panel)
    assert same_bits(EVERYTHING.compute(panel, threads=threads, rows=rows), full[rows or slice(None)])
    windows = FeaturePlan(WINDOWS, COINS)
    assert same_bits(windows.compute(panel, threads=threads, rows=rows), windows.compute(panel)[rows or slice(None)])


def test_float32_is_the_rounded_float64():
    panel = market(9)
    out = EVERYTHING.compute(panel, dtype=np.float32)
    assert out.dtype == np.float32
    assert out.flags.f_contiguous
    assert same_bits(out, EVERYTHING.compute(panel).astype(np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e308, -1e308, 0.0, 5e-324])
def test_hostile_values_crash_nothing_and_batch_still_equals_live(value):
    panel = market(10)
    values = panel.values.copy()
    values[:, 20:30] = value
    hostile = Panel(panel.instruments, panel.offsets, panel.timestamps, panel.columns, values)
    batch = EVERYTHING.compute(hostile)
    assert same_bits(batch, live(EVERYTHING, hostile, np.arange(len(panel)), [7, 25, 26]))


def test_after_a_hole_windows_recover_and_recursive_state_carries_over():
    panel = market(11, rows=(60,), holes=0)
    values = panel.values.copy()
    values[:, 30] = np.nan
    holed = Panel(panel.instruments, panel.offsets, panel.timestamps, panel.columns, values)
    plan = FeaturePlan(["sma_5", "ema_5", "dev_sold_cumsum"], COINS)
    out = plan.compute(holed)
    assert np.isnan(out[30:35, 0]).all()
    assert not np.isnan(out[35:, 0]).any()
    assert np.isnan(out[30, 1:]).all()
    assert not np.isnan(out[31:, 1:]).any()
    assert out[31, 2] == pytest.approx(out[29, 2] + panel.column("dev_sold_amount")[31])


@pytest.mark.parametrize("rows", [(), (1,), (3,)])
def test_windows_larger_than_the_rows_are_nan(rows):
    panel = market(12, rows=rows)
    plan = FeaturePlan(
        ["price_change_100000", "price_volatility_5000", "cci_300", "volume_ratio_99999", "ema_100000"], COINS
    )
    out = plan.compute(panel, threads=2)
    assert out.shape == (sum(rows), 5)
    assert np.isnan(out).all()
    assert np.isnan(live(FeaturePlan(["cci_300"], COINS), panel, np.arange(len(panel)), [1])).all()


def test_a_constant_price_has_no_deviation():
    panel = Panel.from_columns(["A"] * 40, np.arange(40), {"price_close": np.full(40, 0.1)})
    out = FeaturePlan(["stddev_15", "sma_15", "price_volatility_7", "zscore_15"], COINS).compute(panel)
    assert (out[14:, 0] == 0).all()
    assert (out[14:, 1] == 0.1).all()
    assert (out[7:, 2] == 0).all()
    assert np.isnan(out[14:, 3]).all()
