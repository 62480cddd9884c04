"""Diebold and Mariano's test and the information coefficient, against scipy, brute force and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr, t

from kurswerk.evaluation import Moments, diebold_mariano, information_coefficient
from kurswerk.evaluation._forecast_tests import long_run_variance, rank_correlations

STEP = 1_000_000


def moments(count, span=1, instruments=1):
    times = np.repeat(np.arange(count, dtype=np.int64) * STEP, instruments)
    return Moments.of(times, times + span * STEP)


@pytest.mark.parametrize("span", [1, 3, 7])
def test_a_horizon_spans_so_many_moments(span):
    assert moments(40, span).span == span
    assert moments(40, span, instruments=3).count == 40


def test_gaps_and_unequal_ends_count_by_time():
    times = np.array([0, 1, 2, 50, 51], dtype=np.int64)
    assert Moments.of(times, times + 1).span == 1
    assert Moments.of(times, times + 60).span == 5
    assert Moments.of(times, np.array([3, 3, 3, 51, 52])).span == 3


@given(st.integers(12, 60), st.integers(0, 6), st.integers(0, 2**32 - 1))
def test_the_long_run_variance_is_that_of_the_definition(count, lag, seed):
    values = np.random.default_rng(seed).standard_normal(count)
    centred = values - values.mean()
    total = sum(
        (1 - abs(i - j) / (lag + 1)) * centred[i] * centred[j]
        for i in range(count)
        for j in range(count)
        if abs(i - j) <= lag
    )
    assert long_run_variance(values, lag) == pytest.approx(max(total, 0) / count, abs=1e-12)


def test_the_statistic_is_the_corrected_one_of_the_papers():
    rng = np.random.default_rng(3)
    first, second = rng.standard_normal((2, 50)) ** 2
    found = diebold_mariano(first, second, moments(50, 2))
    loss, lag = first - second, found.lag
    assert lag == max(1, math.floor(4 * (50 / 100) ** (2 / 9)))
    variance = long_run_variance(loss, lag) / 50
    correction = math.sqrt((50 + 1 - 2 * 2 + 2 * 1 / 50) / 50)
    statistic = loss.mean() / math.sqrt(variance) * correction
    assert found.statistic == pytest.approx(statistic)
    assert found.p_value == pytest.approx(2 * t.sf(abs(statistic), 49))
    turned = diebold_mariano(second, first, moments(50, 2))
    assert (turned.statistic, turned.p_value) == pytest.approx((-found.statistic, found.p_value))


def test_equal_forecasts_are_called_different_about_as_often_as_alpha_states():
    rng = np.random.default_rng(7)
    tries = 400
    for span, most in ((1, 0.08), (4, 0.10)):
        called = 0
        for _ in range(tries):
            noise = rng.standard_normal((2, 150 + span - 1))
            overlapping = np.array([np.convolve(one, np.ones(span), "valid") for one in noise])
            called += diebold_mariano(*overlapping, moments(150, span)).better is not None
        assert called / tries < most


def test_the_better_forecast_is_named_and_equal_ones_are_not():
    rng = np.random.default_rng(1)
    good, bad = rng.standard_normal(200) ** 2, 4 * rng.standard_normal(200) ** 2
    assert diebold_mariano(good, bad, moments(200)).better == "first"
    assert diebold_mariano(bad, good, moments(200)).better == "second"
    same = diebold_mariano(good, good, moments(200))
    assert (same.statistic, same.p_value, same.better) == (None, None, None)
    assert diebold_mariano(good[:9], bad[:9], moments(9)).p_value is None


def test_rows_of_one_moment_are_one_witness():
    rng = np.random.default_rng(2)
    first, second = rng.standard_normal((2, 60)) ** 2
    alone = diebold_mariano(first, second, moments(60))
    repeated = diebold_mariano(np.repeat(first, 20), np.repeat(second, 20), moments(60, instruments=20))
    assert repeated.as_json() == pytest.approx(alone.as_json())


@settings(max_examples=40)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_rank_correlations_are_those_of_scipy(sizes, seed):
    rng = np.random.default_rng(seed)
    bounds = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    a, b = rng.integers(0, 6, bounds[-1]).astype(float), rng.integers(0, 6, bounds[-1]).astype(float)
    found = rank_correlations(bounds, a, b, 3)
    for k, size in enumerate(sizes):
        x, y = (values[bounds[k] : bounds[k + 1]] for values in (a, b))
        varied = size >= 3 and len(set(x)) > 1 and len(set(y)) > 1
        if varied:
            assert found[k] == pytest.approx(spearmanr(x, y).statistic)
        else:
            assert math.isnan(found[k])


def test_the_information_coefficient_finds_skill_and_none():
    rng = np.random.default_rng(4)
    days = moments(120, instruments=20)
    actual = rng.standard_normal(2400)
    skilled = information_coefficient(actual + 3 * rng.standard_normal(2400), actual, days)
    blind = information_coefficient(rng.standard_normal(2400), actual, days)
    assert skilled["t"] > 4
    assert skilled["p_value"] < 0.01
    assert 0.2 < skilled["mean"] < 0.4
    assert abs(blind["t"]) < 3
    assert skilled["moments"] == 120
    assert information_coefficient(actual[:120], actual[:120], moments(120)) is None
