"""Notifications of stored predictions name every one of them."""

import json

import numpy as np
import psycopg

from contracts.feed_session import batch
from kurswerk.storage.predictions import PredictionWriter
from served_models import WINDOWED, register


def test_ids_in_many_blocks_are_all_notified(database):
    """Blocks of ids that other lanes reserved in between leave many ranges, more than one notification holds."""
    register(database, "a", WINDOWED)
    n = 250
    ids = np.arange(1, 2 * n + 1, 2, dtype=np.int64)
    predictions = batch(ids, ["A"] * n, [1_000_000 * k for k in range(n)], 1)
    with psycopg.connect(database.url, autocommit=True) as listener, database.connection() as connection:
        listener.execute("LISTEN kurswerk_predictions")
        PredictionWriter(connection).store(predictions, [], slot=0)
        connection.commit()
        received = [json.loads(one.payload) for one in listener.notifies(timeout=30, stop_after=3)]
    assert [len(ranges) for ranges in received] == [100, 100, 50]
    assert [first for ranges in received for first, last in ranges if first == last] == ids.tolist()
