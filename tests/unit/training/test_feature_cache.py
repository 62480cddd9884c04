"""Kept features: the bits that would be computed, or nothing; bounded, counted, shared."""

import os
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurswerk.core.errors import UnknownNameError
from kurswerk.features import FeaturePlan
from kurswerk.market import COINS, Panel
from kurswerk.training import FeatureCache, build_dataset, use_feature_cache
from memory_market import a_spec, random_market

NAMES = ["price_close", "price_change_5", "volume_ratio_10", "rsi_14", "market_rank_price_change_5"]
MARKET = random_market(coins=3, minutes=60)
PLAN = FeaturePlan(NAMES[:4], COINS)
ROOM, AGE_S = 100_000_000, 3600.0


def same(found: np.ndarray, wanted: np.ndarray) -> bool:
    return found.dtype == wanted.dtype and found.tobytes("F") == wanted.tobytes("F")


def changed(panel: Panel, kind: str, row: int, column: int) -> Panel:
    """Return a panel that differs from another in one place."""
    values, times = panel.values.copy(), panel.timestamps.copy()
    instruments = list(panel.instruments)
    if kind == "value":
        values[column % len(values), row % len(panel)] *= 1.0 + 2**-52
    elif kind == "time":
        times[panel.offsets[1:] - 1] += 1 + row
    elif kind == "name":
        instruments[-1] += "x"
    elif kind == "sign":
        values[column % len(values), row % len(panel)] = -0.0
    return replace(panel, values=values, timestamps=times, instruments=tuple(instruments))


@settings(max_examples=10, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["same", "value", "time", "name", "sign"]),
            st.integers(0, 10_000),
            st.integers(0, 100),
            st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True),
            st.sampled_from([np.float32, np.float64]),
        ),
        min_size=2,
        max_size=6,
    )
)
def test_whatever_changes_the_bits_are_those_that_would_be_computed(tmp_path_factory, steps):
    cache = FeatureCache(tmp_path_factory.mktemp("cache"), ROOM, AGE_S)
    for kind, row, column, names, dtype in steps:
        panel, plan = changed(MARKET, kind, row, column), FeaturePlan(names, COINS)
        wanted = plan.compute(panel, dtype=dtype)
        assert same(cache.compute(plan, panel, dtype=dtype), wanted)
        before = cache.state().counts
        assert same(cache.compute(plan, panel, dtype=dtype), wanted)
        after = cache.state().counts
        assert (after.hits - before.hits, after.misses) == (len(names), before.misses)


def test_nineteen_of_twenty_trainings_of_a_sweep_compute_nothing(tmp_path):
    spec = a_spec()
    panel, cache = random_market(coins=3, minutes=200), FeatureCache(tmp_path, ROOM, AGE_S)
    plan = FeaturePlan(list(NAMES[:4]), spec.market_schema)
    period = (int(panel.timestamps.min()), int(panel.timestamps.max()))
    wanted = build_dataset(panel, plan, spec.label_spec(), period, None, None, from_cache=False).features
    use_feature_cache(cache)
    try:
        for _ in range(20):
            found = build_dataset(panel, plan, spec.label_spec(), period, None, None).features
            assert same(found, wanted)
        build_dataset(panel, plan, spec.label_spec(), period, None, None, from_cache=False)
    finally:
        use_feature_cache(None)
    counts = cache.state().counts
    assert (counts.hits, counts.misses, counts.hit_rate) == (19 * 4, 4, 0.95)


def test_a_column_that_is_not_what_was_written_is_computed_again(tmp_path):
    cache = FeatureCache(tmp_path, ROOM, AGE_S)
    wanted = cache.compute(PLAN, MARKET)
    for damage in (lambda b: b[:-1], lambda b: b[:-3] + b"xyz", lambda b: b"", lambda b: b"x" + b[1:]):
        for path in tmp_path.glob("*.column"):
            path.write_bytes(damage(path.read_bytes()))
        assert same(cache.compute(PLAN, MARKET), wanted)
    counts = cache.state().counts
    assert (counts.damaged, counts.misses, counts.hits) == (16, 20, 0)
    first, second, *_ = sorted(tmp_path.glob("*.column"))
    first.write_bytes(second.read_bytes())  # whole, but of another name
    assert same(cache.compute(PLAN, MARKET), wanted)
    assert cache.state().counts.damaged == 17


def test_what_was_not_asked_for_longest_goes_first_and_then_what_is_too_old(tmp_path):
    size = len(MARKET) * 8
    cache = FeatureCache(tmp_path, 3 * size + 1000, AGE_S)
    names = ["price_close", "price_change_5", "volume_ratio_10", "rsi_14"]
    for number, name in enumerate(names[:3]):
        cache.compute(FeaturePlan([name], COINS), MARKET)
        for path in tmp_path.glob("*.column"):
            moment = path.stat().st_mtime
            os.utime(path, (moment - 10, moment - 10) if number < 2 else None)
    cache.compute(FeaturePlan([names[0]], COINS), MARKET)  # asked for again: now the latest
    cache.compute(FeaturePlan([names[3]], COINS), MARKET)
    state = cache.state()
    assert (state.columns, state.counts.evicted) == (3, 1)
    assert state.bytes <= 3 * size + 1000
    hits = state.counts.hits
    cache.compute(FeaturePlan([names[0]], COINS), MARKET)
    assert cache.state().counts.hits == hits + 1
    old = time.time() - 2 * AGE_S
    for path in tmp_path.glob("*.column"):
        os.utime(path, (old, old))
    (tmp_path / "tmpabandoned").write_text("x")
    os.utime(tmp_path / "tmpabandoned", (old, old))
    assert cache.evict() == 3
    assert not list(tmp_path.glob("tmp*"))
    tiny = FeatureCache(tmp_path, size // 2, AGE_S)
    assert same(tiny.compute(PLAN, MARKET), PLAN.compute(MARKET))
    assert tiny.state().columns == 0
    assert cache.clear() == 0
    assert cache.state().counts.hit_rate is None


def test_several_that_share_a_folder_agree_and_no_count_is_lost(tmp_path):
    wanted, failures = PLAN.compute(MARKET), []

    def work() -> None:
        cache = FeatureCache(tmp_path, ROOM, AGE_S)
        failures.extend(1 for _ in range(10) if not same(cache.compute(PLAN, MARKET), wanted))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = FeatureCache(tmp_path, ROOM, AGE_S).state().counts
    assert (failures, counts.hits + counts.misses, counts.damaged) == ([], 4 * 10 * 4, 0)


def test_a_folder_that_cannot_be_written_and_a_column_that_lacks_are_as_without_a_cache(tmp_path):
    (tmp_path / "file").write_text("no folder")
    cache = FeatureCache(tmp_path / "file" / "below", ROOM, AGE_S)
    assert same(cache.compute(PLAN, MARKET), PLAN.compute(MARKET))
    assert cache.state().columns == 0
    lacking = replace(MARKET, columns=("other", *MARKET.columns[1:]))
    with pytest.raises(UnknownNameError):
        FeatureCache(tmp_path, ROOM, AGE_S).compute(FeaturePlan([MARKET.columns[0]], COINS), lacking)
