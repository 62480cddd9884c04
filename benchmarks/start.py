"""Starting a predictor of many coins, and what it takes to know a hundred thousand."""

import multiprocessing
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import psutil

from benchmarks._coin_rows import coin_batches, own_database
from benchmarks.serving import activate_all, register_ten
from kurswerk.features import engineered_names
from kurswerk.market import COINS
from kurswerk.serving import ActiveModels, BatchReport, Lane, LaneOptions, ModelCache, Predictor
from kurswerk.storage.feed import PostgresFeedSession
from kurswerk.storage.markets import PostgresMarketStore
from kurswerk.storage.registry import PostgresModelStore
from kurswerk.storage.server import Database

_GIB = 1 << 30
_MOST_START_S, _MOST_MEMORY = 5.0, 2 * _GIB


def run(*, coins: int = 10_000, history: int = 200, many: int = 100_000) -> list[dict[str, Any]]:
    """Measure a predictor's start and memory, with ten models on engineered features, recursive ones among them.

    Parameters
    ----------
    coins, history
        Coins at the start and stored rows of each; every coin has a new row waiting.
    many
        Coins whose states are in memory at once.

    Returns
    -------
    list of dict
        Entries with ``name, ours_s, peer, peer_s, ratio, at_least, note``; ``ours_s`` of memory is bytes.
    """
    names = ["price_close", *engineered_names(tuple(COINS.columns), COINS, (5, 10, 15))]
    with own_database() as (database, _):
        store = PostgresMarketStore(database, COINS)
        register_ten(database, names)
        store.upsert(coin_batches(coins * history, coins=coins))
        activate_all(database)
        store.upsert(coin_batches(coins, coins=coins, first=history))
        whole_s = _predict_all(database, store_states=True)
        store.upsert(coin_batches(5 * coins, coins=coins, first=history + 1))
        _predict_all(database, store_states=False)
        store.upsert(coin_batches(coins, coins=coins, first=history + 6))
        first_s, all_s, _ = _start(database, coins)
        new = many - coins
        store.upsert(coin_batches(2 * new, coins=many, first=history + 7))
        _, _, memory = _start(database, 2 * new)
    work = f"{coins:,} coins with {history:,} stored rows each and a new one waiting, 10 models, 74 features"
    return [
        _entry("start", (first_s, "5 s", _MOST_START_S), f"{work}: first prediction; all of them after {all_s:.1f} s"
               f" (without stored states: {whole_s:.1f} s)"),
        _entry("memory of coins", (memory, "2 GiB", _MOST_MEMORY), f"{many:,} coins, {memory / _GIB:.2f} GiB resident"),
    ]  # fmt: skip


def _entry(name: str, figure: tuple[float, str, float], note: str) -> dict[str, Any]:
    ours, peer, bound = figure
    return {
        "name": name, "ours_s": ours, "peer": peer, "peer_s": bound, "ratio": bound / ours, "at_least": 1.0,
        "note": note,
    }  # fmt: skip


def _predict_all(database: Database, *, store_states: bool) -> float:
    """Predict what waits and return the seconds; all states are stored then, or none."""
    with closing(PostgresFeedSession(database, COINS)) as session:
        lane = Lane(session, ActiveModels(ModelCache(PostgresModelStore(database))), LaneOptions(), COINS)
        lane.lease()
        started = time.perf_counter()
        while lane.step().rows:
            pass
        took = time.perf_counter() - started
        while store_states and lane.store_states(all_of_them=True):
            pass
        return took


class _Listener:
    def __init__(self) -> None:
        self.rows = 0
        self.first_s: float | None = None

    def stored(self, report: BatchReport) -> None:
        """Note when the first predictions were stored."""
        self.first_s = self.first_s if self.first_s is not None else time.time()
        self.rows += report.rows

    def failed(self, kind: str) -> None:
        """End the measurement."""
        raise RuntimeError(kind)

    def state(self, state: Mapping[str, Any]) -> None:
        """Need nothing of it."""


def predict(url: str, rows: int, pipe: Any) -> None:
    """Run a predictor until it has predicted so many rows; send when the first and the last were, and its memory."""
    database, stop = Database(url), threading.Event()
    cache = ModelCache(PostgresModelStore(database))
    listeners = [_Listener(), _Listener()]
    predictors = [
        Predictor(lambda: PostgresFeedSession(database, COINS), cache, LaneOptions(), listener, COINS)
        for listener in listeners
    ]
    threads = [threading.Thread(target=predictor.run, args=[stop]) for predictor in predictors]
    for thread in threads:
        thread.start()
    while sum(listener.rows for listener in listeners) < rows:
        time.sleep(0.005)
    ended = time.time()
    memory = psutil.Process().memory_info().rss
    stop.set()
    for thread in threads:
        thread.join()
    pipe.send((min(listener.first_s for listener in listeners if listener.first_s is not None), ended, memory))


def _start(database: Database, rows: int) -> tuple[float, float, int]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=predict, args=(database.url, rows, theirs), daemon=True)
    started = time.time()
    process.start()
    theirs.close()  # a child that dies ends the waiting
    first, ended, memory = ours.recv()
    process.join()
    return first - started, ended - started, memory
