"""Old partitions are dropped or archived, wherever that is interrupted; what is archived is found as before."""

import subprocess
import sys
import threading
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from contracts.feed_session import batch
from feed_lanes import COINS, a_lane, drain
from kurswerk.archive import PredictionArchive
from kurswerk.bootstrap.stores import open_stores
from kurswerk.core.errors import KurswerkError, NotFoundError, StorageError
from kurswerk.core.timestamps import DAY_US, to_datetime
from kurswerk.market import COINS as MARKET
from kurswerk.serving import PredictionFilter, replay
from kurswerk.storage.feed import PostgresFeedSession
from kurswerk.storage.predictions import (
    PostgresPredictionStore,
    PredictionRetention,
    PredictionWriter,
    prediction_partitions,
    retain_predictions,
)
from kurswerk.storage.predictions import _retention as retention_of_predictions
from kurswerk.storage.server import RETENTION_LOCK, Database
from served_models import RECURSIVE, WINDOWED, coin_rows, register, write_rows
from waiting import until

RETAIN = """
import sys
from pathlib import Path
from kurswerk.archive import PredictionArchive
from kurswerk.storage.predictions import PredictionRetention, retain_predictions
from kurswerk.storage.server import RETENTION_LOCK, Database
retain_predictions(Database(sys.argv[1]), PredictionRetention(days=10, archive=PredictionArchive(Path(sys.argv[2]))))
"""
AGES = (0, 1, 9, 12, 13, 40, 400, 2000)
FILTERS = [
    PredictionFilter(),
    PredictionFilter(coin_id="c3"),
    PredictionFilter(model_id=2),
    PredictionFilter(min_probability=0.5),
    PredictionFilter(coin_id="c0", model_id=1, min_probability=0.25),
]


@pytest.fixture
def today(database: Database) -> int:
    """The day's first microsecond, with predictions of many ages by two models."""
    register(database, "a", WINDOWED, active=False)
    register(database, "b", WINDOWED, active=False)
    with database.connection() as connection:
        row = connection.execute("SELECT (extract(epoch FROM now()) * 1000000)::bigint").fetchone()
    first = (row or (0,))[0] // DAY_US * DAY_US
    rng = np.random.default_rng(5)
    with psycopg.connect(database.url) as connection:
        writer = PredictionWriter(connection)
        for model in (1, 2):
            times = [first - age * DAY_US + k * 1000 for age in AGES for k in range(20)]
            found = batch(writer.reserve(len(times)), [f"c{k % 5}" for k in range(len(times))], times, model)
            found.scores[:, 0] = rng.random(len(times), dtype=np.float32)
            writer.store(found, [], slot=0)
            connection.commit()
    return int(first)


def everything(store: PostgresPredictionStore) -> list[Any]:
    """Return answers of all kinds, whatever is kept where."""
    answers: list[Any] = [store.find(chosen, limit, offset) for chosen in FILTERS for limit, offset in PAGES]
    answers += [store.latest(f"c{k}") for k in range(2)]
    answers += [[store.get(row["id"]), store.stored_prediction(row["id"])] for row in answers[0][::80]]
    return answers


PAGES = [(1000, 0), (10, 35)]


def rows_in(database: Database, table: str = "predictions") -> int:
    with database.connection() as connection:
        return int((connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() or (0,))[0])


def oldest_day(database: Database, today: int) -> int:
    """Return how many days old the oldest partition's last row can be."""
    with database.connection() as connection:
        return (today - prediction_partitions(connection)[0].until_us) // DAY_US + 1


def test_archived_predictions_are_found_as_before(database: Database, today: int, tmp_path: Path):
    archive = PredictionArchive(tmp_path)
    store = PostgresPredictionStore(database, archive)
    before = everything(store)
    assert len(before[0]) == 2 * 20 * len(AGES)
    done = retain_predictions(database, PredictionRetention(days=10, archive=archive))
    # Of a month or a year that has begun to be young enough, nothing is dropped.
    assert done["archived"] == 320 - rows_in(database) > 0
    assert done["partitions"] == len(archive.manifests()) >= 2
    assert oldest_day(database, today) <= 10
    assert everything(store) == before
    assert archive.damaged() == []
    assert set(retain_predictions(database, PredictionRetention(days=10, archive=archive)).values()) == {0}
    # Without the archive they are gone.
    alone = PostgresPredictionStore(database)
    assert len(alone.find(PredictionFilter(), 1000)) == rows_in(database)
    with pytest.raises(NotFoundError):
        alone.get(min(before[0], key=itemgetter("timestamp"))["id"])


def test_what_comes_for_a_time_that_is_archived_joins_it(database: Database, today: int, tmp_path: Path):
    archive = PredictionArchive(tmp_path)
    store = PostgresPredictionStore(database, archive)
    for coin in ("first", "second"):
        with psycopg.connect(database.url) as connection:
            writer = PredictionWriter(connection)
            writer.store(batch(writer.reserve(1), [coin], [today - 20 * DAY_US], 1), [], slot=0)
        retain_predictions(database, PredictionRetention(days=10, archive=archive))
    assert [len(store.find(PredictionFilter(coin_id=coin))) for coin in ("first", "second")] == [1, 1]


def test_without_an_archive_old_predictions_are_gone(database: Database, today: int):
    done = retain_predictions(database, PredictionRetention(days=10))
    assert (done["archived"], done["partitions"]) == (0, done["partitions"])
    assert oldest_day(database, today) <= 10
    with database.connection() as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relname LIKE 'predictions_detached%'"
        ).fetchall()
    assert tables == []


def test_nothing_is_dropped_where_nothing_is_set(database: Database, today: int):
    assert set(retain_predictions(database, PredictionRetention()).values()) == {0}
    assert rows_in(database) == 320
    with database.connection() as connection:  # those of the next days are there
        assert prediction_partitions(connection)[-1].until_us >= today + 3 * DAY_US


def test_single_models_keep_theirs_for_a_shorter_time(database: Database, today: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(retention_of_predictions, "_ROWS_AT_ONCE", 7)
    done = retain_predictions(database, PredictionRetention(model_days={2: 5}))
    assert done["predictions"] == 20 * sum(age > 5 for age in AGES)
    store = PostgresPredictionStore(database)
    oldest = {model: store.find(PredictionFilter(model_id=model), 1000) for model in (1, 2)}
    assert len(oldest[1]) == 160
    assert min(row["timestamp"] for row in oldest[2]) >= to_datetime(today - 5 * DAY_US)


def test_stored_features_are_removed_and_predictions_stay(database: Database, today: int):
    with database.connection() as connection:
        connection.execute("UPDATE predictions SET features = '{}'")
    done = retain_predictions(database, PredictionRetention(features_days=10))
    assert done["features"] == 2 * 20 * sum(age > 10 for age in AGES)
    assert rows_in(database) == 320


def test_killed_before_the_table_is_dropped_and_resumed(database: Database, today: int, tmp_path: Path):
    """The process is killed while it waits to drop what it has archived; all the time everything is found, once."""
    store = PostgresPredictionStore(database, PredictionArchive(tmp_path))
    before = everything(store)
    command = [sys.executable, "-c", RETAIN, database.url, str(tmp_path)]
    with psycopg.connect(database.url) as blocker:
        blocker.execute("SELECT 1 FROM ml_models")  # dropping a table that refers to it waits for that
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        try:
            until(lambda: list(tmp_path.glob("*.json")) or process.poll() is not None)
            assert process.poll() is None, process.communicate()
            assert everything(store) == before
        finally:
            process.kill()
            process.communicate()
        assert everything(store) == before
    done = retain_predictions(database, PredictionRetention(days=10, archive=PredictionArchive(tmp_path)))
    assert done["partitions"] > 0
    assert everything(store) == before
    with database.connection() as connection:
        left = connection.execute("SELECT relname FROM pg_class WHERE relname LIKE 'predictions_detached%'").fetchall()
    assert left == []


def test_an_archive_that_cannot_be_written_loses_nothing(database: Database, today: int, tmp_path: Path):
    folder = tmp_path / "archive"
    folder.write_text("a file where the folder belongs")
    archive = PredictionArchive(folder)
    store = PostgresPredictionStore(database, archive)
    before = everything(store)
    with pytest.raises(StorageError, match="archive"):
        retain_predictions(database, PredictionRetention(days=10, archive=archive))
    assert everything(store) == before  # one partition is detached, and found there
    folder.unlink()
    assert retain_predictions(database, PredictionRetention(days=10, archive=archive))["archived"] > 0
    assert everything(store) == before


def test_readers_in_between_find_everything(database: Database, today: int, tmp_path: Path):
    """While partitions are detached, archived and dropped, every answer is complete."""
    archive = PredictionArchive(tmp_path)
    store, wrong, stop = (
        PostgresPredictionStore(database, PredictionArchive(tmp_path)),
        list[object](),
        threading.Event(),
    )
    expected = [store.find(chosen, 1000) for chosen in FILTERS]

    def read() -> None:
        while not stop.is_set():
            try:
                wrong.extend(k for k, chosen in enumerate(FILTERS) if store.find(chosen, 1000) != expected[k])
            except KurswerkError as error:
                wrong.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        while retain_predictions(database, PredictionRetention(days=10, archive=archive))["partitions"]:
            pass
    finally:
        stop.set()
        reader.join()
    assert wrong == []
    assert archive.manifests()


def test_retention_waits_while_a_reader_holds_the_table(
    database: Database, today: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(retention_of_predictions, "_PATIENCE_S", 0)
    with psycopg.connect(database.url) as reader:
        reader.execute("SELECT 1 FROM predictions LIMIT 1")
        assert retain_predictions(database, PredictionRetention(days=10))["partitions"] == 0
    assert rows_in(database) == 320


def test_one_process_at_a_time(database: Database, today: int):
    with database.connection() as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [RETENTION_LOCK])
        assert retain_predictions(database, PredictionRetention(days=10)) == {}


def test_an_archived_prediction_is_replayed(database: Database, tmp_path: Path):
    ids = [register(database, "w", WINDOWED), register(database, "r", RECURSIVE, seed=1)]
    archive = PredictionArchive(tmp_path)
    session = PostgresFeedSession(database, MARKET)
    write_rows(database, coin_rows(COINS, 0, 12))
    drain(a_lane(database, session))
    session.close()
    stores = open_stores(database)
    log = PostgresPredictionStore(database, archive)
    numbers = [row["id"] for row in log.find(PredictionFilter(coin_id=COINS[3]), 100)]
    assert (
        retain_predictions(database, PredictionRetention(days=10, archive=archive))["archived"] == 12 * len(COINS) * 2
    )
    assert len(numbers) == 12 * len(ids)
    assert all(replay(number, log, stores.markets, stores.models).equal for number in numbers)
