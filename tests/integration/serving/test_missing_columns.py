"""A column that a market's table loses while lanes run: every row is predicted, and people are notified once."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from feed_lanes import COINS, stored
from kurswerk.bootstrap.predictor_part import lane_options
from kurswerk.bootstrap.setting_groups import PredictorSettings
from kurswerk.features import FeaturePlan
from kurswerk.market import COINS as MARKET
from kurswerk.market import Panel
from kurswerk.models import as_model_input
from kurswerk.registry import load_model
from kurswerk.serving import ModelCache, Predictor
from kurswerk.storage.feed import PostgresFeedSession
from kurswerk.storage.markets import PostgresMarketStore
from kurswerk.storage.predictions import PostgresAlertStore
from kurswerk.storage.registry import PostgresModelStore
from kurswerk.storage.server import Database
from served_models import COLUMNS, RECURSIVE, coin_rows, register
from waiting import until

VOLUMES = ("volume_ratio_10", "price_close", "ema_20", "buy_sell_ratio")
LOST = "volume_sol"


class Events:
    def __init__(self) -> None:
        self.rows = 0
        self.state_: dict[str, Any] = {}
        self.errors: list[str] = []

    def stored(self, report: Any) -> None:
        self.rows += report.rows

    def failed(self, kind: str) -> None:
        self.errors.append(kind)

    def state(self, state: Any) -> None:
        self.state_ = dict(state)


@contextmanager
def running(database: Database, lanes: int = 1) -> Iterator[list[Events]]:
    stop, cache = threading.Event(), ModelCache(PostgresModelStore(database))
    events = [Events() for _ in range(lanes)]
    predictors = [
        Predictor(
            lambda: PostgresFeedSession(database, MARKET), cache, lane_options(PredictorSettings()), one, MARKET,
            poll_s=0.1,
        )
        for one in events
    ]  # fmt: skip
    threads = [threading.Thread(target=predictor.run, args=[stop]) for predictor in predictors]
    for thread in threads:
        thread.start()
    try:
        for predictor in predictors:
            assert predictor.ready.wait(300)
        yield events
    finally:
        stop.set()
        for thread in threads:
            thread.join(300)


def write(database: Database, first: int, last: int, without: Sequence[str] = ()) -> None:
    """Insert rows as a collector would that knows only some columns."""
    rows = coin_rows(COINS, first, last)
    arrays: dict[str, Any] = {
        "mint": pa.array([coin for coin, _ in rows]),
        "timestamp": pa.array([us for _, us in rows], pa.timestamp("us", "UTC")),
    }
    for k, name in enumerate(COLUMNS):
        if name not in without:
            arrays[name] = pa.array([values[k] for values in rows.values()], pa.float64())
    PostgresMarketStore(database, MARKET).upsert(pa.table(arrays).to_batches())


def alter(database: Database, statement: str) -> None:
    with database.connection() as connection:
        connection.execute(f"ALTER TABLE coin_metrics {statement}".encode())


def predicted_now(database: Database, model_ids: Sequence[int]) -> dict[tuple[str, int, int], np.float32]:
    """Compute the predictions of all rows in batch from the table as it is; a column that it lacks is NaN."""
    market, models = PostgresMarketStore(database, MARKET), PostgresModelStore(database)
    there = [name for name in COLUMNS if name in market.columns()]
    panel = market.load_panel(there)
    values = [panel.column(name) if name in there else np.full(len(panel), np.nan) for name in COLUMNS]
    panel = Panel(panel.instruments, panel.offsets, panel.timestamps, COLUMNS, np.array(values))
    names = np.repeat(np.array(panel.instruments, dtype=object), np.diff(panel.offsets))
    found = {}
    for model_id in model_ids:
        record = models.get(model_id)
        features = FeaturePlan(record.features, MARKET).compute(panel)
        scores = load_model(record, models).predict_proba(as_model_input(features))
        for coin, us, score in zip(names, panel.timestamps.tolist(), scores, strict=True):
            found[str(coin), us, model_id] = np.float32(score)
    return found


def notices(database: Database) -> list[dict[str, Any]]:
    rows = PostgresAlertStore(database).deliveries(100_000)
    return [dict(row) for row in rows if row["notice"] is not None]


def add_rule(database: Database, name: str, models: Sequence[int] = ()) -> None:
    PostgresAlertStore(database).create_rule({"name": name, "channel": "log", "model_ids": list(models)})


@pytest.mark.parametrize("lanes", [1, 2])
def test_rows_go_on_while_a_column_goes_and_comes(database: Database, lanes: int):
    needs, ignores = register(database, "needs it", VOLUMES), register(database, "does not", RECURSIVE)
    add_rule(database, "all")
    with running(database, lanes) as events:

        def complete(rows: int) -> bool:
            return len(stored(database)) == 2 * rows * len(COINS)

        write(database, 0, 6)
        until(lambda: complete(6))
        before = stored(database)
        write(database, 6, 8)  # some of these may still wait
        alter(database, f"DROP COLUMN {LOST}")
        write(database, 8, 14, without=[LOST])
        until(lambda: complete(14))
        until(lambda: all(one.state_["missing_columns"] == {LOST: [needs]} for one in events))
        write(database, 14, 16, without=[LOST])
        until(lambda: complete(16))
        gone = {key: value for key, value in predicted_now(database, [needs, ignores]).items() if key not in before}
        late = min(key[1] for key in gone) + 6 * 5_000_000  # past the rows that waited when the column went
        found = stored(database)
        assert {k: found[k] for k in gone if k[1] > late} == {k: v for k, v in gone.items() if k[1] > late}
        assert {key: found[key] for key in before} == before
        known = stored(database)
        alter(database, f"ADD COLUMN {LOST} double precision")
        write(database, 16, 30)
        until(lambda: complete(30))
        until(lambda: not any(one.state_["missing_columns"] for one in events))
        back = {key: value for key, value in predicted_now(database, [needs, ignores]).items() if key not in known}
        found = stored(database)
        assert {key: found[key] for key in back} == back
    (notice,) = notices(database)
    assert notice["model_ids"] == [needs]
    assert notice["notice"].params == {"columns": ["coin_metrics.volume_sol"], "count": 1}
    assert notice["coin_id"] is None


def test_a_loss_is_reported_once_and_again_after_the_column_was_back(database: Database):
    model = register(database, "needs it", VOLUMES)
    other = register(database, "does not", RECURSIVE)
    add_rule(database, "all")
    add_rule(database, "the same place")
    add_rule(database, "of the other", [other])
    alter(database, f"DROP COLUMN {LOST}")
    for _ in range(2):  # a restart reports nothing again
        with running(database) as (events,):
            write(database, 0, 2, without=[LOST])
            until(lambda: events.state_.get("missing_columns") == {LOST: [model]})
    assert [one["rule"] for one in notices(database)] == ["all"]
    alter(database, f"ADD COLUMN {LOST} numeric")
    with running(database) as (events,):
        until(lambda: events.state_.get("loaded") and not events.state_["missing_columns"])
        alter(database, f"DROP COLUMN {LOST}")
        until(lambda: len(notices(database)) == 2)
    (sent,) = [one.message() for one in PostgresAlertStore(database).claim(100_000) if one.notice is not None][1:]
    assert sent["notice"]["code"] == "market.columns_missing"
    assert "coin_metrics.volume_sol" in sent["text"]


def test_a_lane_without_a_key_waits_and_goes_on_when_it_is_back(database: Database):
    model = register(database, "w", RECURSIVE)
    with running(database) as (events,):
        write(database, 0, 3)
        until(lambda: len(stored(database)) == 3 * len(COINS))
        alter(database, "RENAME COLUMN mint TO coin")
        until(lambda: events.state_["stopped"] is not None)
        assert events.state_["stopped"]["code"] == "database.market_table_incomplete"
        assert events.state_["partitions"] == 64
        failures = len(events.errors)
        alter(database, "RENAME COLUMN coin TO mint")
        write(database, 3, 5)
        until(lambda: len(stored(database)) == 5 * len(COINS))
        assert events.state_["stopped"] is None or len(events.errors) == failures
    assert failures == 0
    assert stored(database) == predicted_now(database, [model])
