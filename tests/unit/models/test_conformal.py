"""Intervals and probabilities from held-out errors, against their definitions and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kurswerk.core.errors import DataError
from kurswerk.models import Calibration, half_width

errors_ = arrays(np.float64, st.integers(20, 80), elements=st.floats(-50, 50, width=32))
coverages = st.floats(0.5, 0.9)


@given(errors_, coverages)
def test_the_half_width_is_the_smallest_error_with_enough_others_below(errors, coverage):
    half = half_width(errors, coverage)
    size = np.abs(errors)
    need = (len(errors) + 1) * coverage
    assert np.count_nonzero(size <= half) >= need - 1e-9
    assert np.count_nonzero(size < half) < need


@given(errors_, coverages)
def test_a_calibration_never_rounds_its_interval_inwards(errors, coverage):
    found = Calibration.of(errors, coverage)
    assert float(found.half_width) >= half_width(errors, coverage)
    assert np.all(np.diff(found.sizes) >= 0)
    assert found.rows == len(errors)


def test_intervals_cover_exchangeable_values_at_least_as_often_as_promised():
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(400):
        values = rng.standard_t(3, size=60)
        shares.append(np.mean(np.abs(values[30:]) <= half_width(values[:30], 0.8)))
    assert 0.8 - 0.015 < np.mean(shares) < 0.8 + 1 / 31 + 0.015


def test_too_few_rows_for_the_coverage_are_refused():
    assert math.isfinite(half_width(np.ones(99), 0.99))
    with pytest.raises(DataError, match="at least 99 rows"):
        half_width(np.ones(98), 0.99)
