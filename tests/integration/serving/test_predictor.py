"""A lane kept running, and what it does about models, memory and a database that goes away."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import psycopg
import pytest

from feed_lanes import COINS, a_lane, drain, expected, stored
from kurswerk.core.errors import DatabaseUnavailableError, KurswerkError
from kurswerk.market import COINS as MARKET
from kurswerk.market import market_named
from kurswerk.models import OnnxModel
from kurswerk.serving import BatchReport, LaneOptions, ModelCache, Predictor, _predictor
from kurswerk.serving._active_models import ServedModel
from kurswerk.serving._instrument_states import ROWS_BETWEEN_STATES
from kurswerk.serving.ports import InstrumentState
from kurswerk.storage.feed import PostgresFeedSession
from kurswerk.storage.feed._session import PostgresFeedTransaction
from kurswerk.storage.registry import PostgresActivationStore, PostgresModelStore
from kurswerk.storage.server import Database
from served_models import RECURSIVE, WINDOWED, coin_rows, register, write_rows
from waiting import until


class Listener:
    def __init__(self) -> None:
        self.rows = 0
        self.errors: list[str] = []
        self.states: list[Mapping[str, Any]] = []

    def stored(self, report: BatchReport) -> None:
        self.rows += report.rows

    def failed(self, kind: str) -> None:
        self.errors.append(kind)

    def state(self, state: Mapping[str, Any]) -> None:
        self.states.append(state)


@contextmanager
def predicting(database: Database, open_session: Callable[[], PostgresFeedSession]) -> Iterator[Listener]:
    """Run a predictor in a thread of its own; it must end when it is asked to."""
    listener, stop = Listener(), threading.Event()
    predictor = Predictor(open_session, ModelCache(PostgresModelStore(database)), LaneOptions(), listener, MARKET)
    thread = threading.Thread(target=predictor.run, args=[stop])
    thread.start()
    try:
        assert predictor.ready.wait(300)
        yield listener
    finally:
        stop.set()
        thread.join(300)
    assert not thread.is_alive()


def test_a_predictor_outlives_its_connection(database: Database):
    ids = [register(database, "w"), register(database, "r", RECURSIVE)]
    refusals = iter([True, False])

    def open_session() -> PostgresFeedSession:
        if next(refusals, False):
            raise DatabaseUnavailableError("not now")
        return PostgresFeedSession(database, market_named())

    with predicting(database, open_session) as listener:
        write_rows(database, coin_rows(COINS, 0, 4))
        until(lambda: listener.rows == 4 * len(COINS))
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kurswerk predictor'"
                " AND datname = current_database()"
            )
        write_rows(database, coin_rows(COINS, 4, 8))
        until(lambda: len(stored(database)) == 2 * 8 * len(COINS))
        until(lambda: listener.states[-1]["coins"] == len(COINS))
        (first, *_) = PostgresActivationStore(database).active()
        assert first["loaded"]
        assert first["last_prediction"] is not None
    assert stored(database) == expected(database, ids)
    assert listener.errors[0] == "DatabaseUnavailableError"
    assert len(listener.errors) >= 2
    assert listener.states[-1]["partitions"] == 64
    assert listener.states[-1]["prediction_ms"] > 0


def test_states_are_stored_between_rows_a_few_at_a_time(database: Database, monkeypatch):
    register(database, "r", RECURSIVE)
    coins, sizes, keep = [f"{k:03d}pump" for k in range(20)], [], PostgresFeedTransaction.save_states

    def counted(work: PostgresFeedTransaction, definition: str, states: Sequence[InstrumentState]) -> None:
        keep(work, definition, states)
        sizes.append(len(states))

    monkeypatch.setattr(PostgresFeedTransaction, "save_states", counted)
    monkeypatch.setattr(
        _predictor, "_LEASE_EVERY_S", 3600.0
    )  # it looks around once, and there is nothing to store then
    with predicting(database, lambda: PostgresFeedSession(database, market_named())):
        write_rows(database, coin_rows(coins, 0, ROWS_BETWEEN_STATES))
        until(lambda: sum(sizes) == len(coins))
    assert max(sizes) <= 16
    with database.connection() as connection:
        assert connection.execute("SELECT count(*) FROM coin_states").fetchone() == (len(coins),)


def test_a_model_that_breaks_while_predicting_misses_what_the_others_predict(database, session, monkeypatch):
    good, bad = register(database, "good"), register(database, "bad", RECURSIVE, seed=3)
    lane = a_lane(database, session)
    whole = OnnxModel.predict_proba

    def broken(self: OnnxModel, X: np.ndarray) -> np.ndarray:
        found = whole(self, X)
        return found + 2 if X.shape[1] == len(RECURSIVE) else found

    rows = coin_rows(COINS, 0, 10)
    keys = sorted(rows, key=lambda key: (key[1] // 5_000_000 % 2, key[1]))  # half of them come late
    with monkeypatch.context() as patch:
        patch.setattr(OnnxModel, "predict_proba", broken)
        write_rows(database, {key: rows[key] for key in keys[:60]})
        drain(lane)
        # What the good one predicts of late rows is right whatever the other does.
        write_rows(database, {key: rows[key] for key in keys[60:]})
        drain(lane)
    assert {model for _, _, model in stored(database)} == {good}
    (row,) = [row for row in PostgresActivationStore(database).active() if row["id"] == bad]
    assert row["owed"] == len(rows)
    lane.active.models[1].retry_at = 0.0
    lane.step()
    while lane.backfill(limit=25):
        pass
    found = stored(database)
    assert {key for key in found if key[2] == bad} == {(coin, us, bad) for coin, us in rows}
    known_early = expected_from(database, bad, {key: rows[key] for key in keys[:60]})
    # The first rows know nothing of those that came late.
    assert {key: found[key] for key in known_early} == known_early


def expected_from(database: Database, model: int, rows: dict[tuple[str, int], list[float]]) -> dict[Any, Any]:
    """Return what a model predicts when it knows these rows alone."""
    with database.connection() as connection:
        connection.execute("CREATE TEMP TABLE kept AS SELECT * FROM coin_metrics")
        connection.execute("DELETE FROM coin_metrics")
        connection.execute(
            "INSERT INTO coin_metrics SELECT k.* FROM kept k, unnest(%s::text[], %s::bigint[]) AS w(coin, us)"
            " WHERE k.mint = w.coin AND k.\"timestamp\" = timestamptz 'epoch' + w.us * interval '1 microsecond'",
            [[coin for coin, _ in rows], [us for _, us in rows]],
        )
        connection.commit()
        found = expected(database, [model])
        connection.execute("DELETE FROM coin_metrics")
        connection.execute("INSERT INTO coin_metrics SELECT * FROM kept")
    return found


def test_a_fault_pauses_longer_each_time_and_is_reported():
    class Model:
        name = "m"

    served = ServedModel(Model())  # type: ignore[arg-type]
    pauses = []
    for _ in range(9):
        before = time.monotonic()
        served.fail(ValueError("x"))
        pauses.append(round(served.retry_at - before))
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert served.fault == "ValueError: x"
    with pytest.raises(KurswerkError, match="not loaded"):
        served.predict(np.zeros((1, 1), dtype=np.float32))


def test_the_model_cache_keeps_those_used_last(database):
    for k in range(3):
        register(database, f"m{k}", WINDOWED, seed=k)
    seconds: list[float] = []
    cache = ModelCache(PostgresModelStore(database), 2, on_load=seconds.append)
    with closing(PostgresFeedSession(database, market_named())) as session, session.transaction() as work:
        active = work.active_models()
    for k in (0, 1, 0, 2, 0, 1):
        cache.load(active[k])
    assert len(cache) == 2
    assert len(seconds) == 4
