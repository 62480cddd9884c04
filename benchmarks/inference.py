"""The same forest through the served model and through scikit-learn, in one run on the same rows."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from kurswerk.models import OnnxModel
from kurswerk.models.trees import from_scikit_learn

TREES, DEPTH, FEATURES = 100, 10, 60
DEMANDED = {1: 100.0, 1000: 3.0}


def run(*, train_rows: int = 20_000, repeats: int = 31, threads: int = 2, seed: int = 42) -> list[dict[str, Any]]:
    """Measure probabilities for 1 row and for 1,000 rows, ours and the peer in turn, and report medians.

    The forest is grown by scikit-learn and taken over by :func:`kurswerk.models.trees.from_scikit_learn`, so both
    walk the same trees. The peer is the faster of scikit-learn on one thread and on ``threads``.

    Parameters
    ----------
    train_rows
        Rows the forest is grown on; decides how large its trees get.
    repeats
        Measurements of each.
    threads
        Most threads of either side.
    seed
        Of the data and the forest.

    Returns
    -------
    list of dict
        ``name, ours_s, peer, peer_s, ratio, at_least, note`` each.
    """
    X, y = training_data(train_rows, seed)
    forest = RandomForestClassifier(TREES, max_depth=DEPTH, random_state=seed, n_jobs=threads).fit(X, y)
    data = from_scikit_learn(forest).to_onnx([f"f{column}" for column in range(FEATURES)], {})
    served = OnnxModel.load(data, threads=threads)
    return [_compared(forest, served, X[:rows].copy(), repeats, threads) for rows in DEMANDED]


def training_data(rows: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Return features, float32 (rows, 60), and labels that depend on the first four."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, FEATURES)).astype(np.float32)
    margin = X[:, 0] * X[:, 1] + X[:, 2] - 0.5 * X[:, 3] ** 2 - 1.5
    return X, (rng.random(rows) < 1 / (1 + np.exp(-margin))).astype(np.int8)


def _compared(
    forest: RandomForestClassifier, served: OnnxModel, X: NDArray[np.float32], repeats: int, threads: int
) -> dict[str, Any]:
    def theirs_on(jobs: int) -> Callable[[], object]:
        def predict() -> object:
            forest.n_jobs = jobs
            return forest.predict_proba(X)

        return predict

    calls = 200 if len(X) == 1 else 5
    ours, one, many = [], [], []
    for _ in range(repeats):
        ours.append(_seconds(lambda: served.predict_proba(X), calls))
        one.append(_seconds(theirs_on(1), 5))
        many.append(_seconds(theirs_on(threads), 5))
    forest.n_jobs = 1
    off = float(np.abs(served.predict_proba(X) - forest.predict_proba(X)[:, 1]).max())
    ours_s = statistics.median(ours)
    by_jobs = {1: statistics.median(one), threads: statistics.median(many)}
    jobs = min(by_jobs, key=lambda count: by_jobs[count])
    return {
        "name": f"inference, {len(X):,} row{'s' if len(X) > 1 else ''}",
        "ours_s": ours_s,
        "peer": f"scikit-learn predict_proba, n_jobs={jobs}",
        "peer_s": by_jobs[jobs],
        "ratio": by_jobs[jobs] / ours_s,
        "at_least": DEMANDED[len(X)],
        "note": f"{TREES} trees of depth {DEPTH}, {FEATURES} features, at most {threads} threads; "
        f"probabilities differ by {off:.1e} at most",
    }


def _seconds(call: Callable[[], object], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times
