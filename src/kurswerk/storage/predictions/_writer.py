"""Predictions into their table, as cheaply as PostgreSQL takes them."""

import json
from collections.abc import Sequence

import numpy as np
import psycopg
from numpy.typing import NDArray

from kurswerk.serving.ports import NewAlert, NewPredictions
from kurswerk.storage.binary_copy import HEADER, TRAILER, encode_forecasts, encode_predictions
from kurswerk.storage.predictions._partitions import PartitionsOfWriter
from kurswerk.storage.server.migrations.feed_v3 import ID_BLOCK

Int = NDArray[np.int64]
CHANNEL = "kurswerk_predictions"
_COPY = (
    'COPY predictions (id, coin_id, "timestamp", model_id, prediction, probability, score, features_digest, features,'
    " in_scope) FROM STDIN (FORMAT binary)"
)
_COPY_FORECASTS = (
    'COPY forecasts (prediction_id, "timestamp", model_id, forecast, low, high) FROM STDIN (FORMAT binary)'
)
# Of one notification, which PostgreSQL limits to 8000 bytes.
_RANGES_AT_ONCE = 100


class PredictionWriter:
    """Writes on one connection, inside the caller's transaction.

    The foreign key on ``ml_models`` would be looked up once per prediction, which costs as much as storing it. The
    caller has locked the models' rows in the same transaction, so the look-up can find nothing new; where the role may
    (a superuser, or one granted ``SET ON PARAMETER session_replication_role``) and nobody has triggers of their own on
    the table, it is left out.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._spare_look_ups = self._may_spare_look_ups()
        self._partitions = PartitionsOfWriter()

    def reserve(self, count: int) -> Int:
        """Return so many new ids, ascending: blocks that one call of the sequence reserves each."""
        blocks = -(-count // ID_BLOCK)
        rows = self._connection.execute(
            "SELECT nextval(pg_get_serial_sequence('predictions', 'id')) FROM generate_series(1, %s)", [blocks]
        ).fetchall()
        first = np.array([row[0] for row in rows], dtype=np.int64)
        ids: Int = (np.sort(first)[:, None] + np.arange(min(count, ID_BLOCK))).reshape(-1)[:count]
        return ids

    def store(self, predictions: NewPredictions, alerts: Sequence[NewAlert], slot: int) -> None:
        """Store predictions and their alerts, count them, and notify listeners of their ids.

        A partition that is not there is created in the same transaction.
        """
        try:
            self._partitions.require(self._connection, predictions.timestamps)
            self._store(predictions, alerts, slot)
        except psycopg.Error:
            self._partitions.forget()
            raise

    def _store(self, predictions: NewPredictions, alerts: Sequence[NewAlert], slot: int) -> None:
        payload = encode_predictions(
            predictions.ids, predictions.instruments, predictions.timestamps, predictions.models, predictions.scores,
            predictions.given, predictions.digests, predictions.features, predictions.in_scope,
        )  # fmt: skip
        execute = self._connection.execute
        if self._spare_look_ups:
            execute("SET LOCAL session_replication_role = replica")
        with self._connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            copy.write(HEADER)
            copy.write(payload)
            copy.write(TRAILER)
        self._store_forecasts(predictions)
        with self._connection.pipeline():  # one way to the server and back
            if self._spare_look_ups:
                execute("SET LOCAL session_replication_role = origin")
            self._store_alerts(alerts)
            self._count(predictions, alerts, slot)
            ranges = id_ranges(predictions.ids)
            for first in range(0, len(ranges), _RANGES_AT_ONCE):
                execute("SELECT pg_notify(%s, %s)", [CHANNEL, json.dumps(ranges[first : first + _RANGES_AT_ONCE])])

    def _store_forecasts(self, predictions: NewPredictions) -> None:
        if predictions.forecasts is None:
            return
        payload = encode_forecasts(
            predictions.ids, predictions.timestamps, predictions.models, predictions.given, predictions.forecasts
        )
        if payload:
            with self._connection.cursor() as cursor, cursor.copy(_COPY_FORECASTS) as copy:
                copy.write(HEADER)
                copy.write(payload)
                copy.write(TRAILER)

    def _store_alerts(self, alerts: Sequence[NewAlert]) -> None:
        if not alerts:
            return
        columns = zip(
            *((a.prediction_id, a.timestamp_us, a.instrument, a.model_id, a.probability, a.threshold) for a in alerts),
            strict=True,
        )
        self._connection.execute(
            'INSERT INTO prediction_alerts (prediction_id, "timestamp", coin_id, model_id, probability, threshold)'
            " SELECT id, timestamptz 'epoch' + us * interval '1 microsecond', coin, model, probability, threshold"
            " FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::numeric[], %s::numeric[])"
            " AS alert(id, us, coin, model, probability, threshold)",
            [list(column) for column in columns],
        )

    def _count(self, predictions: NewPredictions, alerts: Sequence[NewAlert], slot: int) -> None:
        # Statistics are of what the models were made for: predictions out of their scope are stored, not counted.
        counted = predictions.given if predictions.in_scope is None else predictions.given & predictions.in_scope
        made = counted.sum(axis=0).tolist()
        raised = dict.fromkeys(predictions.models.tolist(), 0)
        for alert in alerts:
            raised[alert.model_id] += 1
        self._connection.execute(
            "INSERT INTO prediction_counts AS c (slot, minute, model_id, predictions, alerts)"
            " SELECT %s, date_trunc('minute', now()), * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[])"
            " AS made(model, n, alerts) WHERE n > 0 ON CONFLICT (minute, model_id, slot) DO UPDATE"
            " SET predictions = c.predictions + excluded.predictions, alerts = c.alerts + excluded.alerts",
            [slot, predictions.models.tolist(), made, list(raised.values())],
        )

    def _may_spare_look_ups(self) -> bool:
        row = self._connection.execute(
            "SELECT NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'predictions'::regclass AND NOT tgisinternal)"
        ).fetchone()
        if not row or not row[0]:
            return False
        try:
            with self._connection.transaction():
                self._connection.execute("SET LOCAL session_replication_role = replica")
        except psycopg.errors.InsufficientPrivilege:
            return False
        return True


def id_ranges(ids: Int) -> list[tuple[int, int]]:
    """Return ascending ids as (first, last) of runs without a gap.

    Examples
    --------
    >>> id_ranges(np.array([1, 2, 3, 10, 11]))
    [(1, 3), (10, 11)]
    """
    breaks = np.flatnonzero(np.diff(ids) != 1) + 1
    bounds = np.concatenate(([0], breaks, [len(ids)]))
    return [(int(ids[a]), int(ids[b - 1])) for a, b in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)]
