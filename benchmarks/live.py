"""One row for each of many coins through the live engine, against the demanded time."""

import statistics
import time
from typing import Any

import numpy as np

from kurswerk.features import FeaturePlan, LiveEngine, engineered_names
from kurswerk.market import COINS, SOL_PRICE

DEMANDED_S = 0.003


def run(*, coins: int = 1000, updates: int = 300, seed: int = 42) -> list[dict[str, Any]]:
    """Measure updates of one row per coin into the full feature matrix, and report the median.

    Returns
    -------
    list of dict
        One entry with ``name, ours_s, peer, peer_s, ratio, at_least, note``; the peer is the demanded 3 ms.
    """
    columns = (*COINS.columns, SOL_PRICE)
    plan = FeaturePlan([*columns, *engineered_names(columns, COINS, (5, 10, 15))], COINS)
    engine = LiveEngine(plan)
    rng = np.random.default_rng(seed)
    keys = [f"{k:044d}" for k in range(coins)]
    times = []
    for turn in range(updates + 30):
        values = rng.random((coins, len(plan.inputs)))
        moment = np.full(coins, turn * 5_000_000, dtype=np.int64)
        start = time.perf_counter()
        engine.update(keys, moment, values)
        times.append(time.perf_counter() - start)
    ordered = sorted(times[30:])
    median = statistics.median(ordered)
    late = ordered[int(0.99 * (len(ordered) - 1))]
    return [
        {
            "name": "live",
            "ours_s": median,
            "peer": "demanded 3 ms",
            "peer_s": DEMANDED_S,
            "ratio": DEMANDED_S / median,
            "at_least": 1.0,
            "note": f"{coins:,} coins, {len(plan.names)} features, p50 of {updates} updates; p99 {late * 1e3:.2f} ms",
        }
    ]
