"""A day of a market with everything that makes outcomes hard, and what became of predictions by brute force.

The brute force goes row by row through plain dictionaries; it shares nothing with the code that it checks.
"""

import math
from collections.abc import Iterable, Mapping
from itertools import takewhile
from typing import Any

import numpy as np
import pyarrow as pa

from kurswerk.market import COINS
from kurswerk.storage.markets import PostgresMarketStore
from kurswerk.storage.predictions import create_partitions
from kurswerk.storage.server import Database
from served_models import COLUMNS, register

START_US = 1_704_067_200_000_000
SECOND_US = 1_000_000
Rows = dict[tuple[str, int], float]
# Name of the model → what its specification states about the target.
TARGETS: dict[str, dict[str, Any]] = {
    "up at": {"use_time_based_prediction": True, "future_minutes": 10, "min_percent_change": 1.0, "direction": "up"},
    "down within": {
        "use_time_based_prediction": True, "future_minutes": 3, "min_percent_change": 2.0, "direction": "down",
        "horizon_mode": "within",
    },
    "above at": {"operator": ">", "target_value": 1.0, "future_minutes": 30},
    "below within": {"operator": "<=", "target_value": 0.95, "future_minutes": 5, "horizon_mode": "within"},
    "next": {"operator": ">", "target_value": 1.0},
}  # fmt: skip


def register_targets(database: Database, names: Iterable[str] = TARGETS, **options: Any) -> dict[str, int]:
    """Register a model for each target, inactive unless asked otherwise; return their ids."""
    time_based = {"operator": None, "target_value": None}
    return {
        name: register(
            database,
            name,
            scope=(time_based if "use_time_based_prediction" in TARGETS[name] else {}) | TARGETS[name],
            **({"active": False} | options),
        )
        for name in names
    }


def a_day(coins: int, minutes: float, seed: int = 0) -> Rows:
    """Return closing prices by (coin, microseconds): coins that report every 5, 30 or 60 s, with gaps, missing values
    and ends.
    """
    rng = np.random.default_rng(seed)
    rows: Rows = {}
    for k in range(coins):
        step_s = (5, 30, 60)[k % 3]
        end_s = 60 * minutes * (rng.uniform(0.2, 0.9) if k % 4 == 1 else 1.0)
        price, now_s = 1.0, float(rng.integers(0, step_s))
        while now_s < end_s:
            price *= math.exp(rng.normal(0, 0.004 * math.sqrt(step_s)))
            rows[f"{k:03d}pump", START_US + round(now_s * SECOND_US)] = math.nan if rng.random() < 0.01 else price
            now_s += step_s * (rng.uniform(20, 200) if rng.random() < 0.005 else 1)
    return rows


def write_prices(database: Database, rows: Mapping[tuple[str, int], float]) -> None:
    """Insert or correct rows; NaN is stored as NULL."""
    arrays = {
        "mint": pa.array([coin for coin, _ in rows]),
        "timestamp": pa.array([us for _, us in rows], pa.timestamp("us", "UTC")),
        COLUMNS[3]: pa.array(list(rows.values()), pa.float64()),
    }
    PostgresMarketStore(database, COINS).upsert(pa.table(arrays).to_batches())


def predict(database: Database, keys: Iterable[tuple[str, int]], models: Iterable[int], seed: int = 0) -> int:
    """Store a prediction of each row by each model, as a predictor would; return how many."""
    rng = np.random.default_rng(seed)
    ordered = sorted(keys, key=lambda key: key[1])
    rows = [(coin, us, model, float(rng.random())) for coin, us in ordered for model in models]
    with database.connection() as connection:
        create_partitions(connection, np.array([us for _, us, *_ in rows], dtype=np.int64))
        connection.execute(
            'INSERT INTO predictions (coin_id, "timestamp", model_id, prediction, probability, score, in_scope)'
            " SELECT coin, timestamptz 'epoch' + us * interval '1 microsecond', model, (p >= 0.5)::int, p, p, p < 0.9"
            " FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::float8[]) AS r(coin, us, model, p)",
            [list(column) for column in zip(*rows, strict=True)] if rows else [[], [], [], []],
        )
    return len(rows)


def expected(rows: Rows, target: Mapping[str, Any]) -> dict[tuple[str, int], int | str]:
    """Return the label of every row, or why it is unknown, by looking at every row of its horizon."""
    found: dict[tuple[str, int], int | str] = {}
    for coin in {coin for coin, _ in rows}:
        own = sorted((us, price) for (name, us), price in rows.items() if name == coin)
        for place, (us, price) in enumerate(own):
            found[coin, us] = _label(us, price, own[place + 1 :], target)
    return found


def _label(us: int, base: float, later: list[tuple[int, float]], target: Mapping[str, Any]) -> int | str:
    if "future_minutes" not in target:
        if not later:
            return "ended"
        seen = later[:1]
    else:
        end = us + round(target["future_minutes"] * 60 * SECOND_US)
        if not later or later[-1][0] < end:
            return "ended"
        seen = list(takewhile(lambda row: row[0] <= end, later))
        if not seen:
            return "gap"
    looked_at = [price for _, price in (seen if target.get("horizon_mode") == "within" else seen[-1:])]
    if any(math.isnan(price) for price in [base, *looked_at]):
        return "no_value"
    return int(any(_came_true(base, price, target) for price in looked_at))


def _came_true(base: float, price: float, target: Mapping[str, Any]) -> bool:
    if "min_percent_change" in target:
        change = (price - base) / base * 100
        return (change if target["direction"] == "up" else -change) >= target["min_percent_change"]
    return price > target["target_value"] if target["operator"] == ">" else price <= target["target_value"]


def stored(database: Database) -> dict[tuple[int, str, int], int | str]:
    """Return (model, coin, microseconds) → label or reason of every outcome."""
    with database.connection() as connection:
        rows = connection.execute(
            'SELECT model_id, coin_id, (extract(epoch FROM "timestamp") * 1000000)::bigint, label, reason FROM outcomes'
        ).fetchall()
    return {(model, coin, us): reason if label is None else label for model, coin, us, label, reason in rows}
