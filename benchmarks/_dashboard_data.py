"""What a dashboard in use shows: 200 coins, 20 models with their tests, predictions and alerts, and a long chart."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa

from benchmarks._coin_rows import START_US, coin_batches
from kurswerk.bootstrap.dashboard import LocalDataIngestion
from kurswerk.bootstrap.stores import open_stores
from kurswerk.core.timestamps import MINUTE_US, format_timestamp
from kurswerk.jobs import no_progress
from kurswerk.market import COINS
from kurswerk.registry import NewModel
from kurswerk.serving.ports import NewAlert, NewPredictions
from kurswerk.storage.feed import PostgresFeedSession
from kurswerk.storage.markets import MarketContextStore, PostgresMarketStore
from kurswerk.storage.registry import PostgresModelStore
from kurswerk.storage.server import Database
from kurswerk.training import ModelSpec, Period, compare_models, fit_version, load_dataset, run_test

LONG_CHART, LONG_CHART_ROWS = f"{0:040d}pump", 100_000
_HOURS = 24.0
_ACTIVE = 5
_MOMENTS = 10
_STEP_US = 5_000_000
# The high lies below the low.
_REFUSED = "mint,timestamp,price_open,price_high,price_low,price_close\n" + "".join(
    f"wrong,2024-01-01T00:{minute:02d}:00Z,1,0.5,2,1\n" for minute in range(30)
)
_JOBS = """
INSERT INTO ml_jobs (job_type, status, progress, request, result_model_id, created_at, started_at, completed_at,
    worker_id, attempt)
SELECT 'TRAIN', 'COMPLETED', 1, spec, id, now() - interval '2 min', now() - interval '1 min', now(), 'bench', 1
FROM ml_models"""


def fill_dashboard(database: Database, folder: Path, *, coins: int, models: int) -> list[int]:
    """Put coins and models into a migrated database, some of them at work; return the models' ids."""
    markets = open_stores(database).markets
    market = markets[COINS.name]
    provision = LocalDataIngestion(markets, MarketContextStore(database), folder / "quarantine")
    provision.simulate(coins, _HOURS, 42, no_progress)
    provision.ingest("refused.csv", _REFUSED.encode(), COINS)
    there = market.availability()
    first_us, last_us = there.first_us or 0, there.last_us or 0
    middle_us = (first_us + (last_us - first_us) * 2 // 3) // MINUTE_US * MINUTE_US
    ids = _register(database, market, (first_us, middle_us), models)
    _judge(database, ids, Period(middle_us, last_us))
    store_predictions(database, market.instruments(), ids, range(_MOMENTS), middle_us)
    market.upsert(map(_grown_up, coin_batches(LONG_CHART_ROWS, coins=1)))
    store_predictions(database, [LONG_CHART], ids, range(0, LONG_CHART_ROWS, LONG_CHART_ROWS // 100), START_US)
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(_JOBS)
        connection.execute(
            "UPDATE ml_models SET is_active = true, active_since = now() WHERE id = ANY (%s)", [ids[:_ACTIVE]]
        )
        connection.execute("VACUUM ANALYZE")
    return ids


def _grown_up(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Let a coin's phase be the same throughout; phases at random would be a thousand changes."""
    place = rows.schema.get_field_index("phase_id_at_time")
    phase = pa.array(np.full(rows.num_rows, 3)).cast(rows.schema.field(place).type)
    return rows.set_column(place, rows.schema.field(place), phase)


def _register(database: Database, market: PostgresMarketStore, span_us: tuple[int, int], models: int) -> list[int]:
    """Train once and register that under many names; metrics differ a little."""
    store, spec = PostgresModelStore(database), _spec(span_us)
    version = fit_version(spec, load_dataset(spec, market))
    ids = []
    for k in range(models):
        model_id = store.create(NewModel({**spec.as_json(), "name": f"forest-{k:02d}"}))
        metrics = replace(version.metrics, f1=version.metrics.f1 * (1 - k / 100))
        store.complete(model_id, replace(version, metrics=metrics))
        store.set_certificate(model_id, _CERTIFICATE)
        ids.append(model_id)
    return ids


_CERTIFICATE = {"certified": True, "values_compared": 10_000, "differing_bits": 0, "leak_probes": 12, "leaks_found": 0}


def _spec(span_us: tuple[int, int]) -> ModelSpec:
    return ModelSpec.parse(
        {
            "name": "forest",
            "model_type": "random_forest",
            "params": {"n_estimators": 20, "max_depth": 8},
            "features": ["volume_sol", "buy_pressure_ratio", "unique_signer_ratio", "num_whale_buys"],
            "train_start": format_timestamp(span_us[0]),
            "train_end": format_timestamp(span_us[1]),
            "target_var": "price_close",
            "use_time_based_prediction": True,
            "future_minutes": 10,
            "min_percent_change": 20,
            "direction": "up",
            "use_engineered_features": True,
        }
    )


def _judge(database: Database, ids: Sequence[int], period: Period) -> None:
    """Test all models and compare two; the models are alike, so that one test stands for the others'."""
    stores = open_stores(database).training()
    _, tested = run_test(ids[0], period, stores)
    for model_id in ids[1:]:
        stores.results.save_test(replace(tested, model_id=model_id))
    compare_models(ids[0], ids[1], period, stores)


def store_predictions(
    database: Database, coins: Sequence[str], models: Sequence[int], moments: Sequence[int], first_us: int
) -> None:
    """Store predictions of all coins by all models, a transaction per moment; every tenth coin raises an alert."""
    with closing(PostgresFeedSession(database, COINS)) as session:
        session.lease()
        rng = np.random.default_rng(7)
        for moment in moments:
            with session.transaction() as work:
                shape = (len(coins), len(models))
                ids = work.reserve(shape[0] * shape[1])
                times = np.full(len(coins), first_us + moment * _STEP_US)
                scores = rng.random(shape).astype(np.float32)
                given = np.ones(shape, dtype=np.bool_)
                made = NewPredictions(
                    ids, list(coins), times, np.array(models), scores, given, np.zeros(shape, dtype=np.int64), None
                )
                alerts = [
                    NewAlert(int(ids[k * len(models)]), coins[k], int(times[k]), models[0], float(scores[k, 0]), 0.5)
                    for k in range(0, len(coins), 10)
                ]
                work.store(made, alerts)
