"""Partitions are made when rows need them, once, by whoever comes first, and only if its rows are stored too."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

import numpy as np
import psycopg
import pytest

from contracts.feed_session import batch
from kurswerk.core.timestamps import DAY_US
from kurswerk.storage.predictions import PredictionWriter, create_partitions, prediction_partitions
from kurswerk.storage.predictions import _partitions as partitions
from kurswerk.storage.server import Database
from served_models import WINDOWED, register
from waiting import until

NOW = "SELECT (extract(epoch FROM now()) * 1000000)::bigint"
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'predictions'::regclass"
# Stores predictions of the given times, and stays in the transaction until it is killed.
WRITER = """
import signal, sys
import numpy as np
import psycopg
from contracts.feed_session import batch
from kurswerk.storage.predictions import PredictionWriter
with psycopg.connect(sys.argv[1]) as connection:
    writer = PredictionWriter(connection)
    times = [int(us) for us in sys.argv[2:]]
    writer.store(batch(writer.reserve(len(times)), ["K"] * len(times), times, 1), [], slot=1)  # counted beside others
    print("stored", flush=True)
    signal.pause()
"""


@pytest.fixture
def model(database: Database) -> int:
    return register(database, "m", WINDOWED)


def store(
    connection: psycopg.Connection, writer: PredictionWriter, coin: str, times: Sequence[int], model: int
) -> None:
    writer.store(batch(writer.reserve(len(times)), [coin] * len(times), list(times), model), [], slot=0)
    connection.commit()


def keys(database: Database) -> list[tuple[str, int]]:
    with database.connection() as connection:
        return connection.execute(
            'SELECT coin_id, (extract(epoch FROM "timestamp") * 1000000)::bigint FROM predictions ORDER BY 1, 2'
        ).fetchall()  # type: ignore[return-value]


def now_us(database: Database) -> int:
    with database.connection() as connection:
        return (connection.execute(NOW).fetchone() or (0,))[0]


def names(database: Database) -> list[str]:
    with database.connection() as connection:
        return [part.name for part in prediction_partitions(connection)]


def test_rows_of_all_times_find_their_partition(database: Database, model: int):
    """From before our era to the far future, in one batch; a second batch needs none."""
    times = [-70_000_000_000_000_000, -1, 0, 1_704_067_200_000_000, now_us(database), 9_000_000_000_000_000]
    with psycopg.connect(database.url) as connection:
        writer = PredictionWriter(connection)
        store(connection, writer, "A", times, model)
        made = names(database)
        store(connection, writer, "B", times, model)
    assert keys(database) == [(coin, us) for coin in "AB" for us in times]
    assert names(database) == made
    assert len(made) == len(times)
    with database.connection() as connection:  # in the server's order, without gaps in what it routes
        parts = prediction_partitions(connection)
        again = create_partitions(connection, np.array(times))
    assert parts == again == sorted(parts, key=lambda part: part.start_us)


def test_writers_at_once_share_what_one_of_them_makes(database: Database, model: int):
    """Each of six needs the same ten days and some of its own; all begin together."""
    today = now_us(database) // DAY_US * DAY_US
    barrier, errors = threading.Barrier(6), list[Exception]()

    def write(number: int) -> None:
        with psycopg.connect(database.url) as connection:
            writer = PredictionWriter(connection)
            for round_ in range(5):
                times = [today + (2 * round_ + k) * DAY_US + number for k in (0, 1)]
                times.append(today - (1000 + 400 * number + round_) * DAY_US)
                barrier.wait()
                try:
                    store(connection, writer, f"c{number}", times, model)
                except psycopg.Error as error:
                    errors.append(error)

    threads = [threading.Thread(target=write, args=[k]) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(keys(database)) == len(set(keys(database))) == 6 * 5 * 3
    assert len(names(database)) == len(set(names(database)))


def test_a_writer_killed_after_making_a_partition_takes_it_along(database: Database, model: int):
    """Another one that waits for it makes the partition itself; rows of partitions that are there do not wait."""
    today = now_us(database) // DAY_US * DAY_US
    with psycopg.connect(database.url) as connection:
        store(connection, PredictionWriter(connection), "A", [today], model)
    command = [sys.executable, "-c", WRITER, database.url, str(today + DAY_US)]
    path = os.pathsep.join(sys.path)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path})
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "stored\n"
        with psycopg.connect(database.url) as connection:
            store(connection, PredictionWriter(connection), "B", [today], model)  # does not wait

        def write() -> None:
            with psycopg.connect(database.url) as connection:
                store(connection, PredictionWriter(connection), "K", [today + DAY_US], model)

        other = threading.Thread(target=write)
        other.start()
        with psycopg.connect(database.url, autocommit=True) as observer:
            until(lambda: observer.execute(WAITING).fetchone() != (0,), what="the second writer")
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    other.join()
    assert keys(database) == [("A", today), ("B", today), ("K", today + DAY_US)]


def test_a_writer_whose_partition_was_detached_makes_a_new_one(database: Database, model: int):
    today = now_us(database) // DAY_US * DAY_US
    with psycopg.connect(database.url) as connection:
        writer = PredictionWriter(connection)
        store(connection, writer, "A", [today], model)
        name = names(database)[0]
        with database.connection() as other:
            other.execute(f"ALTER TABLE predictions DETACH PARTITION {name}".encode())
            other.execute(f"ALTER TABLE {name} RENAME TO predictions_detached_1".encode())
        with pytest.raises(psycopg.errors.CheckViolation):
            store(connection, writer, "B", [today], model)
        connection.rollback()
        store(connection, writer, "B", [today], model)
    assert keys(database) == [("B", today)]


def test_a_batch_asks_the_catalogue_only_for_what_it_does_not_know(
    database: Database, model: int, monkeypatch: pytest.MonkeyPatch
):
    today, asked = now_us(database) // DAY_US * DAY_US, 0
    look = partitions.prediction_partitions

    def counted(connection: psycopg.Connection) -> list[partitions.Partition]:
        nonlocal asked
        asked += 1
        return look(connection)

    monkeypatch.setattr(partitions, "prediction_partitions", counted)
    with psycopg.connect(database.url) as connection:
        writer = PredictionWriter(connection)
        for k in range(5):
            store(connection, writer, "A", [today + k, today + DAY_US + k], model)
        store(connection, writer, "A", [today + 9], model)
    assert asked == 2  # before and after it had the lock
