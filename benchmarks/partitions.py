"""Predictions stored in the partitioned table, beside the plain table that it was before revision 0015."""

import statistics
import time
from typing import Any

import numpy as np
import psycopg

from benchmarks._coin_rows import own_database
from benchmarks.api import fill
from kurswerk.core.timestamps import DAY_US
from kurswerk.serving.ports import NewPredictions
from kurswerk.storage.predictions import PredictionWriter
from kurswerk.storage.server import Database, downgrade, upgrade

_PLAIN = "0014"
_OPTIONS = "-c synchronous_commit=off"  # as a lane stores


class _PlainWriter(PredictionWriter):
    """Writes into a table without partitions."""

    def store(self, predictions: NewPredictions, alerts: Any, slot: int) -> None:
        """Store predictions."""
        self._store(predictions, alerts, slot)


def run(*, rounds: int = 40, batches: int = 10, rows: int = 500, models: int = 10) -> list[dict[str, Any]]:
    """Store batches into both tables in turn, as a lane does; who begins changes from round to round.

    Returns
    -------
    list of dict
        Entries with ``name, ours_s, peer, peer_s, ratio, at_least, note``; the ratio is that of throughputs, its median
        over the rounds.
    """
    entries = []
    with own_database() as (database, _):
        plain = Database(database.url.replace("/kurswerk?", "/plain?"))
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE plain")
        upgrade(plain)
        downgrade(plain, _PLAIN)
        for each in (database, plain):
            fill(each, models)
        for days in (1, 3):
            times = _measure(database, plain, (rounds, batches, rows, models, days))
            entries.append(_entry(times, batches * rows * models, days))
    return entries


def _measure(partitioned: Database, plain: Database, shape: tuple[int, int, int, int, int]) -> np.ndarray[Any, Any]:
    """Return seconds, shape (rounds, 2): partitioned, plain."""
    rounds, batches, rows, models, days = shape
    took = np.empty((rounds, 2))
    with (
        psycopg.connect(partitioned.url, options=_OPTIONS) as ours,
        psycopg.connect(plain.url, options=_OPTIONS) as theirs,
    ):
        writers = [(ours, PredictionWriter(ours)), (theirs, _PlainWriter(theirs))]
        first = (int(time.time() * 1e6) // DAY_US - 20 * days) * DAY_US
        for round_ in range(-2, rounds):  # two that do not count: partitions, plans, memory
            for which in (0, 1) if round_ % 2 else (1, 0):
                connection, writer = writers[which]
                began = time.perf_counter()
                for number in range(batches):
                    moment = first + ((round_ + 2) * batches + number) * 1_000_000
                    _store(connection, writer, moment, (rows, models, days))
                if round_ >= 0:
                    took[round_, which] = time.perf_counter() - began
    return took


def _store(connection: psycopg.Connection, writer: PredictionWriter, moment: int, shape: tuple[int, int, int]) -> None:
    rows, models, days = shape
    instruments = [f"{k:040d}pump" for k in range(rows)]
    times = moment + np.arange(rows) % days * DAY_US
    given = np.ones((rows, models), dtype=np.bool_)
    scores = np.full((rows, models), 0.25, dtype=np.float32)
    ids = writer.reserve(rows * models)
    batch = NewPredictions(
        ids, instruments, times, np.arange(1, models + 1), scores, given, given.astype(np.int64), None
    )
    writer.store(batch, [], slot=0)
    connection.commit()


def _entry(took: np.ndarray[Any, Any], predictions: int, days: int) -> dict[str, Any]:
    ours, theirs = (statistics.median(took[:, k].tolist()) for k in (0, 1))
    ratios = took[:, 1] / took[:, 0]
    low, high = np.quantile(ratios, [0.25, 0.75])
    return {
        "name": f"predictions stored, {days} partition{'s' * (days > 1)} a batch",
        "ours_s": ours,
        "peer": "the plain table",
        "peer_s": theirs,
        "ratio": statistics.median(ratios.tolist()),
        "at_least": 0.95,
        "note": f"{predictions / ours:,.0f} predictions/s beside {predictions / theirs:,.0f}; ratio of {len(took)}"
        f" pairs: quartiles {low:.3f} and {high:.3f}",
    }
