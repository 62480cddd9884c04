"""Data every test of the models starts from."""

import numpy as np
import pytest


@pytest.fixture
def market():
    """Return a maker of (X, y): signal, a coarse and a constant column, an empty one, missing and huge values."""

    def make(n=600, f=8, seed=0, missing=0.1):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((n, f)).astype(np.float32)
        signal = X[:, 0] * X[:, 1 % f] + X[:, 2 % f]
        y = (signal + rng.standard_normal(n) > 0.8).astype(np.int8)
        y[:2] = [0, 1]
        if f >= 8:
            X[:, 4] = np.round(X[:, 4])
            X[:, 5] = 7.0
            X[:, 6] = np.nan
            X[rng.random(n) < 0.02, 7] = np.float32(3.4028235e38)
        X[rng.random((n, f)) < missing] = np.nan
        return X, y

    return make
