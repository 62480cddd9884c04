"""Kernels keep the order of operations and follow IEEE 754."""

import numpy as np

from kurswerk.core.jit import inlined_kernel, kernel


@inlined_kernel
def _quotient(a, b):
    return a / b


@kernel
def _quotients(a, b):
    out = np.empty(len(a))
    for i in range(len(a)):
        out[i] = _quotient(a[i], b[i])
    return out


@kernel
def _sum(values):
    total = 0.0
    for i in range(len(values)):
        total += values[i]
    return total


def test_division_by_zero_is_what_ieee_defines():
    got = _quotients(np.array([1.0, -1.0, 0.0]), np.zeros(3))
    assert got[:2].tolist() == [np.inf, -np.inf]
    assert np.isnan(got[2])


def test_sums_are_taken_in_order():
    values = np.array([1.0, 1e100, 1.0, -1e100] * 64)
    total = 0.0
    for value in values.tolist():
        total += value
    assert _sum(values) == total
