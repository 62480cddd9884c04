"""The list of models, beside a bare FastAPI route that returns the same bytes."""

import multiprocessing
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg
import uvicorn
from fastapi import FastAPI, Response

from benchmarks._coin_rows import own_database
from benchmarks._load import Load, load
from kurswerk.api import ApiOptions, create_app
from kurswerk.bootstrap.api_services import api_services
from kurswerk.bootstrap.stores import open_stores
from kurswerk.models import create
from kurswerk.observability import HealthReport, Metrics
from kurswerk.registry import PageRequest
from kurswerk.storage.registry import PostgresCatalog
from kurswerk.storage.server import Database

PATH = "/api/models?limit=100"
_TRIALS = 3
_WARM_UP_S = 4.0

_MODELS = """
INSERT INTO ml_models (name, model_type, status, target_variable, features, train_start, train_end, training_accuracy,
    training_f1, training_precision, training_recall, roc_auc, mcc, fpr, fnr, confusion_matrix, spec, evaluation,
    feature_importance)
SELECT 'model ' || i, CASE WHEN i %% 2 = 0 THEN 'xgboost' ELSE 'random_forest' END, 'READY', 'price_close',
    '["price_close", "volume_sol", "buy_pressure_ratio", "price_change_5", "price_change_10", "volume_ratio_5"]',
    '2024-01-01', '2024-03-01', 0.9, (i %% 1000) / 1000.0, 0.5, 0.4, 0.8, 0.3, 0.1, 0.2,
    '{"tp": 10, "tn": 20, "fp": 3, "fn": 4}', '{"name": "model"}',
    jsonb_build_object('text', repeat(md5(i::text), 100)),
    '{"price_close": 0.6, "volume_sol": 0.4}'
FROM generate_series(1, %s) AS i"""


def run(*, models: int = 10_000, seconds: float = 3.0, clients: int = 32) -> list[dict[str, Any]]:
    """Measure the list of 100 models, kept and read anew, over real servers in processes of their own.

    Returns
    -------
    list of dict
        Entries with ``name, ours_s, peer, peer_s, ratio, at_least, note``.
    """
    with own_database() as (database, _):
        fill(database, models)
        query_s = _query_seconds(database)
        with _served(partial(our_app, database.url)) as ours:
            body = httpx.get(f"http://127.0.0.1:{ours}{PATH}").raise_for_status().content
            with _served(partial(bare_app, body)) as bare:
                kept, peer = _in_turn(ours, bare, clients=clients, seconds=seconds)
            with _training():
                beside = load(ours, PATH, clients=clients, seconds=seconds)
    work = f"list of 100 of {models:,} models, {len(body):,} bytes, {clients} clients"
    return [
        {
            "name": "api",
            "ours_s": 1 / kept.requests_per_s,
            "peer": "bare FastAPI route, same bytes",
            "peer_s": 1 / peer.requests_per_s,
            "ratio": kept.requests_per_s / peer.requests_per_s,
            "at_least": 0.6,
            "note": f"{work}; {kept.requests_per_s:,.0f} requests/s, p50 {kept.p50_ms:.1f} ms, p95 {kept.p95_ms:.1f} ms"
            f" (bare {peer.requests_per_s:,.0f}, {peer.p50_ms:.1f}, {peer.p95_ms:.1f})",
        },
        {
            "name": "api, p95 beside a training",
            "ours_s": beside.p95_ms / 1000,
            "peer": "25 ms",
            "peer_s": 0.025,
            "ratio": 25 / beside.p95_ms,
            "at_least": 1.0,
            "note": f"{clients} clients while XGBoost trains on one core; {beside.requests_per_s:,.0f} requests/s",
        },
        {
            "name": "api, query",
            "ours_s": query_s,
            "peer": "10 ms",
            "peer_s": 0.010,
            "ratio": 0.010 / query_s,
            "at_least": 1.0,
            "note": f"reading 100 of {models:,} models from the database, with their number",
        },
    ]


def fill(database: Database, models: int) -> None:
    """Put many models into a migrated database."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(_MODELS, [models])
        connection.execute("VACUUM ANALYZE ml_models")


def our_app(url: str) -> FastAPI:
    """Build the API as it is served."""
    database, metrics = Database(url, pool_size=8), Metrics()
    services = api_services(
        open_stores(database),
        Path(os.devnull),  # nothing is written
        health=lambda: HealthReport({}, 0.0),
        metrics_text=lambda: b"",
        on_request=metrics.observe_request,
    )
    return create_app(services, ApiOptions(read_limit="100000000/minute"))


def bare_app(body: bytes) -> FastAPI:
    """Build an application of one route that returns these bytes."""
    app = FastAPI(openapi_url=None)

    @app.get("/api/models")
    async def models() -> Response:
        return Response(body, media_type="application/json")

    return app


def _in_turn(ours: int, bare: int, *, clients: int, seconds: float) -> tuple[Load, Load]:
    """Return the middle one of several trials of each, made in turn."""
    trials: tuple[list[Load], list[Load]] = ([], [])
    for _ in range(_TRIALS):
        for port, found in zip((ours, bare), trials, strict=True):
            found.append(load(port, PATH, clients=clients, seconds=seconds))
    kept, peer = (sorted(found, key=lambda one: one.requests_per_s)[_TRIALS // 2] for found in trials)
    return kept, peer


def _query_seconds(database: Database) -> float:
    catalog, times = PostgresCatalog(Database(database.url, pool_size=1)), []
    for _ in range(20):
        started = time.perf_counter()
        catalog.models(PageRequest(limit=100), {})
        times.append(time.perf_counter() - started)
    return sorted(times)[len(times) // 2]


@contextmanager
def _served(make_app: Any) -> Iterator[int]:
    """Serve an application in a process of its own and give the port."""
    context = multiprocessing.get_context("spawn")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = context.Process(target=_serve, args=(make_app, listener), daemon=True)
        process.start()
        port = int(listener.getsockname()[1])
        try:
            _wait_until_up(process, port)
            yield port
        finally:
            process.terminate()
            process.join()


@contextmanager
def _training() -> Iterator[None]:
    """Train in a process of its own, over and over."""
    process = multiprocessing.get_context("spawn").Process(target=_train_on, daemon=True)
    process.start()
    time.sleep(_WARM_UP_S)
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _train_on() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # one core, as a worker's trainings take
    rng = np.random.default_rng(42)
    X = rng.random((50_000, 40), dtype=np.float32)
    y = (X[:, 0] + rng.random(len(X)) > 1).astype(np.int8)
    while True:
        create("xgboost", {"n_estimators": 50}).fit(X, y)


def _serve(make_app: Any, listener: socket.socket) -> None:
    config = uvicorn.Config(make_app(), log_level="warning", access_log=False, server_header=False)
    uvicorn.Server(config).run(sockets=[listener])


def _wait_until_up(process: BaseProcess, port: int) -> None:
    deadline = time.monotonic() + 60
    while process.is_alive() and time.monotonic() < deadline:
        try:
            httpx.get(f"http://127.0.0.1:{port}{PATH}", timeout=5).raise_for_status()
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the server did not start")
