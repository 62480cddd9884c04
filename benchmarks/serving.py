"""New rows to stored predictions: ten models on every row, at given rates, beside the usual way."""

import multiprocessing
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import psycopg
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks._coin_rows import COINS, coin_batches, own_database
from benchmarks._serving_peer import SqlPredictor
from kurswerk.evaluation import Metrics
from kurswerk.features import FeaturePlan, engineered_names
from kurswerk.market import COINS as MARKET
from kurswerk.market import Panel, market_named
from kurswerk.models import Estimator, as_model_input, create
from kurswerk.registry import NewModel, TrainedVersion
from kurswerk.serving import BatchReport, LaneOptions, ModelCache, Predictor
from kurswerk.storage.feed import PostgresFeedSession
from kurswerk.storage.markets import PostgresMarketStore
from kurswerk.storage.registry import PostgresModelStore
from kurswerk.storage.server import Database

Lags = NDArray[np.float64]
_COLUMNS = list(market_named().columns)
_STATEMENT_S = 0.02
# Up to here one lane is done with a batch before the next is written, and a second one would only be in its way.
_MOST_FOR_ONE_LANE = 2000
_TRAINING_ROWS = 12_000
_APART_US = 1_000_000_000_000


@dataclass(frozen=True)
class Outcome:
    """What a run at one rate gave: rows written and stored, seconds, and lags from write to stored in seconds."""

    rows: int
    predictions: int
    seconds: float
    lags: Lags
    processor: Mapping[str, float]


def run(*, rates: Sequence[int] = (2000, 5000, 15_000), seconds: float = 10.0) -> list[dict[str, Any]]:
    """Measure five forests and five boosted models on every row of a thousand coins, by one lane or two.

    Parameters
    ----------
    rates
        Coin rows per second that a writer of its own process tries to keep.
    seconds
        How long each.

    Returns
    -------
    list of dict
        One entry per rate, of seconds per row, beside the usual way's; ``note`` has rates, lags and processor time.
    """
    names = ["price_close", *engineered_names(tuple(_COLUMNS), market_named(), (5, 10, 15))]
    with own_database() as (database, _):
        fitted = register_ten(database, names)
        PostgresMarketStore(database, market_named()).upsert(coin_batches(20 * COINS))
        peer = SqlPredictor(database, fitted)
        peer_s = peer.seconds_per_row([f"{coin:040d}pump" for coin in range(12)])
        peer.forget()
        activate_all(database)
        return [
            _entry(rate, lanes, _measure(database, rate, seconds, lanes, number), peer_s)
            for number, (rate, lanes) in enumerate((rate, 1 if rate <= _MOST_FOR_ONE_LANE else 2) for rate in rates)
        ]


def _entry(rate: int, lanes: int, outcome: Outcome, peer_s: float) -> dict[str, Any]:
    ours = outcome.seconds / max(1, outcome.rows)
    p50, p99 = np.percentile(outcome.lags, [50, 99]) if len(outcome.lags) else (np.nan, np.nan)
    threads = "one lane" if lanes == 1 else f"{lanes} lanes"
    used = ", ".join(f"{name} {share:.2f}" for name, share in outcome.processor.items())
    return {
        "name": f"serving at {rate:,}/s",
        "ours_s": ours,
        "peer": "SQL, pandas, INSERT",
        "peer_s": peer_s,
        "ratio": peer_s / ours,
        "at_least": 50.0 if rate >= 5000 else None,
        "note": f"{outcome.rows / outcome.seconds:,.0f} rows/s, {outcome.predictions / outcome.seconds:,.0f} stored/s;"
        f" write to stored p50 {p50 * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms; {threads}; processors used: {used}",
    }


def register_ten(database: Database, names: Sequence[str]) -> list[tuple[int, Estimator]]:
    """Fit ten models on synthetic rows and register them; return id and classifier of each."""
    plan = FeaturePlan(names, market_named())
    panel = _panel(_TRAINING_ROWS, plan.inputs)
    X = as_model_input(plan.compute(panel))
    rng = np.random.default_rng(1)
    y = (panel.column("price_close") + rng.normal(size=len(panel)) > 1.5).astype(np.int8)
    models = PostgresModelStore(database)
    found = []
    for number in range(10):
        kind = ("random_forest", "xgboost")[number % 2]
        params = {"n_estimators": 100, "max_depth": 10 if kind == "random_forest" else 6, "random_state": number}
        classifier = create(kind, params).fit(X, y)
        model_id = models.create(NewModel(_spec(f"{kind}-{number}", kind, names)))
        models.complete(
            model_id,
            TrainedVersion(
                artifact=classifier.to_onnx(list(names), {}),
                features=tuple(names),
                feature_hashes=plan.definitions,
                dataset_fingerprint="0" * 64,
                library_versions={},
                metrics=Metrics(0.5, 0.5, 0.5, 0.5, 0.5, 0.0, 0.5, 0.5, 1, 1, 1, 1, None),
                evaluation={},
                cv_scores=None,
                cv_overfitting_gap=None,
                feature_importance={},
            ),
        )
        found.append((model_id, classifier))
    return found


def _panel(rows: int, columns: Sequence[str]) -> Panel:
    batches = list(coin_batches(rows))
    keys = np.concatenate([batch.column("mint").to_numpy(zero_copy_only=False) for batch in batches])
    times = np.concatenate([batch.column("timestamp").cast("int64").to_numpy() for batch in batches])
    values = {
        name: np.concatenate([batch.column(name).to_numpy(zero_copy_only=False) for batch in batches]).astype(float)
        for name in columns
    }
    return Panel.from_columns(keys, times, values)


def _spec(name: str, kind: str, names: Sequence[str]) -> dict[str, Any]:
    return {
        "name": name,
        "model_type": kind,
        "features": list(names),
        "target_var": "price_close",
        "operator": ">",
        "target_value": 1.0,
        "train_start": "2024-01-01T00:00:00Z",
        "train_end": "2024-01-02T00:00:00Z",
    }


def activate_all(database: Database) -> None:
    """Switch all on at once; whether they are certified is not what is measured."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("UPDATE ml_models SET is_active = true, active_since = now(), alert_threshold = 0.99")
        connection.execute("VACUUM ANALYZE coin_metrics")


class _Listener:
    """Collects what a predictor reports."""

    def __init__(self) -> None:
        self.lags: list[Lags] = []
        self.rows = self.predictions = 0
        self.last_s = 0.0

    def stored(self, report: BatchReport) -> None:
        """Note how long the rows of a batch took."""
        self.lags.append(time.time() - report.committed_us / 1e6)
        self.rows += report.rows
        self.predictions += sum(report.predictions.values())
        self.last_s = time.perf_counter()

    def failed(self, kind: str) -> None:
        """End the measurement."""
        raise RuntimeError(kind)

    def state(self, state: Mapping[str, Any]) -> None:
        """Need nothing of it."""


def predict(url: str, lanes: int, pipe: Any) -> None:
    """Run a predictor until asked to stop, then send what it did; the process is its own."""
    database, stop = Database(url), threading.Event()
    cache = ModelCache(PostgresModelStore(database))
    listeners, coins = [_Listener() for _ in range(lanes)], market_named()
    predictors = [
        Predictor(lambda: PostgresFeedSession(database, coins), cache, LaneOptions(), listener, MARKET)
        for listener in listeners
    ]
    threads = [threading.Thread(target=predictor.run, args=[stop]) for predictor in predictors]
    for thread in threads:
        thread.start()
    for predictor in predictors:
        predictor.ready.wait()
    time.sleep(2.5)  # lanes share the partitions out
    pipe.send("ready")
    pipe.recv()
    for listener in listeners:
        listener.lags.clear()
        listener.rows = listener.predictions = 0
    pipe.send("counting")
    while (expected := pipe.recv()) is not None:
        while sum(listener.rows for listener in listeners) < expected:
            time.sleep(0.01)
        lags = np.concatenate([lag for listener in listeners for lag in listener.lags])
        pipe.send(
            (
                sum(listener.rows for listener in listeners),
                sum(listener.predictions for listener in listeners),
                time.time(),
                lags,
            )
        )
    stop.set()
    for thread in threads:
        thread.join()


def write(url: str, rate: int, seconds: float, number: int, pipe: Any) -> None:
    """Write rows at a rate, fifty statements a second; the process is its own."""
    store = PostgresMarketStore(Database(url, pool_size=1), market_named())
    each = max(1, int(rate * _STATEMENT_S))
    rows = int(rate * seconds)
    batches = list(coin_batches(rows, seed=number))
    table = pa.Table.from_batches(batches)
    shift = (number + 1) * 1_000_000_000_000
    moved = table.column("timestamp").cast("int64").to_numpy() + shift
    place = table.schema.get_field_index("timestamp")
    field = table.schema.field(place)
    table = table.set_column(place, field, pa.array(moved).cast(field.type))
    pipe.send("ready")
    pipe.recv()
    started = time.perf_counter()
    for k, first in enumerate(range(0, rows, each)):
        time.sleep(max(0.0, started + k * _STATEMENT_S - time.perf_counter()))
        store.upsert(table.slice(first, each).combine_chunks().to_batches())
    pipe.send((rows, time.perf_counter() - started))


def _measure(database: Database, rate: int, seconds: float, lanes: int, number: int) -> Outcome:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    predictor = context.Process(target=predict, args=(database.url, lanes, theirs), daemon=True)
    predictor.start()
    ours.recv()
    number = 2 * number
    # Everything is compiled and every coin is known before the clock starts.
    _write_all(context, database, 2000, 1.0, number)
    time.sleep(1.5)
    writer_ours, writer_theirs = context.Pipe()
    writer = context.Process(target=write, args=(database.url, rate, seconds, number + 1, writer_theirs), daemon=True)
    writer.start()
    writer_ours.recv()
    ours.send("go")
    ours.recv()
    before = _processor_seconds(predictor.pid, writer.pid)
    started = time.time()
    writer_ours.send("go")
    rows, _ = writer_ours.recv()
    ours.send(rows)
    stored, predictions, ended, lags = ours.recv()
    after = _processor_seconds(predictor.pid, writer.pid)
    ours.send(None)
    predictor.join()
    writer.join()
    took = ended - started
    return Outcome(stored, predictions, took, lags, {name: (after[name] - before[name]) / took for name in after})


def _write_all(context: Any, database: Database, rate: int, seconds: float, number: int) -> None:
    ours, theirs = context.Pipe()
    writer = context.Process(target=write, args=(database.url, rate, seconds, number, theirs), daemon=True)
    writer.start()
    ours.recv()
    ours.send("go")
    ours.recv()
    writer.join()


def _processor_seconds(predictor: int | None, writer: int | None) -> dict[str, float]:
    found = {"predictor": 0.0, "writer": 0.0, "PostgreSQL": 0.0}
    for process in psutil.process_iter(["name", "cpu_times"]):
        times = process.info["cpu_times"]
        if times is None:
            continue
        spent = times.user + times.system
        if process.pid == predictor:
            found["predictor"] += spent
        elif process.pid == writer:
            found["writer"] += spent
        elif process.info["name"] == "postgres":
            found["PostgreSQL"] += spent
    return found
