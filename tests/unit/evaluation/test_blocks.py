"""Blocks, draws and whether intervals hold what they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurswerk.core.errors import DataError, SpecError
from kurswerk.core.timestamps import DAY_US, HOUR_US
from kurswerk.evaluation import Bootstrap, Estimate, evaluate, make_blocks
from kurswerk.evaluation._blocks import draw, estimates_of, resampling_json

table = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40 * 24)), min_size=1, max_size=80)


@settings(max_examples=150, deadline=None)
@given(table, st.sampled_from([0, HOUR_US, 3 * DAY_US]))
def test_a_block_is_one_instrument_in_one_bucket(rows: list[tuple[int, int]], horizon: int) -> None:
    codes, hours = (np.array(column) for column in zip(*rows, strict=True))
    times = hours * HOUR_US
    blocks = make_blocks(codes, times, horizon)
    assert blocks.bucket_us >= max(horizon, 1)
    assert blocks.bucket_us <= max(horizon, DAY_US)
    assert sorted(set(blocks.codes.tolist())) == list(range(blocks.count))
    for i in range(len(rows)):
        for j in range(i):
            bucket_i, bucket_j = ((times[k] - times.min()) // blocks.bucket_us for k in (i, j))
            assert (blocks.codes[i] == blocks.codes[j]) == (codes[i] == codes[j] and bucket_i == bucket_j)
            instrument, bucket = blocks.instrument[blocks.codes], blocks.bucket[blocks.codes]
            assert (instrument[i] == instrument[j]) == (codes[i] == codes[j])
            assert (bucket[i] == bucket[j]) == (bucket_i == bucket_j)
    assert blocks.sums(np.ones(len(rows))).sum() == len(rows)


def drawn_weights(blocks, bootstrap: Bootstrap) -> np.ndarray:
    weights: list[np.ndarray] = []
    draw(blocks, bootstrap, weights.append)
    return np.array(weights)


def test_draws_are_reproducible_and_crossed() -> None:
    codes, hours = (grid.ravel() for grid in np.meshgrid(np.arange(6), np.arange(30) * 24, indexing="ij"))
    blocks = make_blocks(codes, hours * HOUR_US)
    assert (blocks.num_instruments, blocks.num_buckets, blocks.count) == (6, 30, 180)
    bootstrap = Bootstrap(replicates=200)
    weights = drawn_weights(blocks, bootstrap)
    assert np.array_equal(weights, drawn_weights(blocks, bootstrap))
    assert not np.array_equal(weights, drawn_weights(blocks, Bootstrap(200, random_state=7)))
    assert weights.sum(axis=1).tolist() == [180.0] * 200
    assert weights.mean() == pytest.approx(1.0)
    assert all(np.linalg.matrix_rank(one.reshape(6, 30)) == 1 for one in weights[:10])


def test_few_instruments_are_kept_and_few_of_both_give_no_interval() -> None:
    times = np.arange(30) * DAY_US
    one_coin = make_blocks(np.zeros(30, dtype=int), times)
    assert one_coin.give_intervals
    assert drawn_weights(one_coin, Bootstrap(20)).sum(axis=1).tolist() == [30.0] * 20
    moment = make_blocks(np.arange(4), np.zeros(4, dtype=int))
    assert moment.bucket_us == 1
    assert not moment.give_intervals
    found = estimates_of({"x": 1.0}, {"x": np.arange(10.0)}, moment, Bootstrap(10))
    assert found == {"x": Estimate(1.0, None, None)}
    assert not found["x"].excludes_zero


def test_undefined_values_and_replicates() -> None:
    blocks = make_blocks(np.arange(9), np.zeros(9, dtype=int))
    half = np.array([1.0, np.nan] * 5)
    assert estimates_of({"x": np.nan}, {"x": half}, blocks, Bootstrap(10))["x"] == Estimate(None, None, None)
    assert estimates_of({"x": 1.0}, {"x": half}, blocks, Bootstrap(10))["x"] == Estimate(1.0, None, None)
    mostly = np.array([1.0] * 8 + [np.nan] * 2)
    assert estimates_of({"x": 1.0}, {"x": mostly}, blocks, Bootstrap(10))["x"] == Estimate(1.0, 1.0, 1.0)


def test_percentiles_and_sides_of_zero() -> None:
    blocks = make_blocks(np.arange(9), np.zeros(9, dtype=int))
    found = estimates_of({"x": 50.0}, {"x": np.arange(101.0)}, blocks, Bootstrap(101, confidence=0.9))["x"]
    assert (found.low, found.high) == pytest.approx((5.0, 95.0))
    assert found.excludes_zero
    assert Estimate(-1.0, -2.0, -0.5).excludes_zero
    assert not Estimate(0.0, -1.0, 1.0).excludes_zero
    assert found.as_json() == {"value": 50.0, "low": found.low, "high": found.high}


@pytest.mark.parametrize("effect", ["coins", "days", "both"])
def test_interval_covers_what_rows_would_miss(effect: str) -> None:
    covered = covered_by_rows = 0
    simulations = 40
    for seed in range(simulations):
        rng = np.random.default_rng(seed)
        coins, days, per_block = 25, 25, 24
        logit = np.full((coins, days), -0.5)
        if effect != "days":
            logit += rng.normal(0, 0.7, (coins, 1))
        if effect != "coins":
            logit += rng.normal(0, 0.7, (1, days))
        chance = np.repeat(1 / (1 + np.exp(-logit)).ravel(), per_block)
        y = (rng.random(len(chance)) < chance).astype(int)
        codes = np.repeat(np.repeat(np.arange(coins), days), per_block)
        times = np.tile(np.arange(days * per_block), coins) * HOUR_US
        found = evaluate(y, np.full(len(y), 0.4), codes, times, bootstrap=Bootstrap(150)).estimates["base_rate"]
        truth = population_rate(effect)
        covered += found.low <= truth <= found.high
        by_rows = 1.96 * np.sqrt(y.mean() * (1 - y.mean()) / len(y))
        covered_by_rows += abs(y.mean() - truth) <= by_rows
    assert covered >= 0.85 * simulations
    assert covered_by_rows <= 0.5 * simulations


def population_rate(effect: str) -> float:
    rng = np.random.default_rng(999)
    scale = 0.7 * np.sqrt(2) if effect == "both" else 0.7
    return float(np.mean(1 / (1 + np.exp(0.5 - rng.normal(0, scale, 400_000)))))


def test_refused() -> None:
    with pytest.raises(DataError, match="one of each per row"):
        make_blocks(np.zeros(2, dtype=int), np.zeros(3, dtype=int))
    with pytest.raises(DataError, match="0 instruments"):
        make_blocks(np.zeros(0, dtype=int), np.zeros(0, dtype=int))
    with pytest.raises(SpecError, match="replicates is 0"):
        Bootstrap(0)
    with pytest.raises(SpecError, match="confidence is 1"):
        Bootstrap(confidence=1)


def test_record_of_resampling() -> None:
    record = resampling_json(make_blocks(np.arange(3), np.arange(3) * DAY_US), Bootstrap(7, 0.9, 1))
    assert record == {
        "unit": "instruments and time buckets, crossed",
        "instruments": 3,
        "buckets": 3,
        "blocks": 3,
        "bucket_minutes": 96.0,
        "replicates": 7,
        "confidence": 0.9,
        "random_state": 1,
    }
