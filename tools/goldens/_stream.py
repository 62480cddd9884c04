"""A recorded stream of 20,000 rows: fixed batches, each written once the one before is predicted."""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq

from goldens._command_line import run
from goldens._market import STREAM

ROWS = 20_000
_BATCH = 1_000
# Every so many-th row comes so many batches late.
_LATE_EVERY, _LATE_BY = 97, 3
_MOST_WAIT_S = 300.0
_SAMPLED = 40
_PREDICTIONS = """
SELECT coin_id, (extract(epoch FROM "timestamp") * 1000000)::bigint, model_id, prediction, probability::text,
    score::text, features_digest FROM predictions ORDER BY 1, 2, 3"""
_ALERTS = """
SELECT a.coin_id, (extract(epoch FROM p."timestamp") * 1000000)::bigint, a.model_id, a.probability::text,
    a.threshold::text FROM prediction_alerts a JOIN predictions p ON p.id = a.prediction_id ORDER BY 1, 2, 3"""
_DELIVERIES = """
SELECT d.coin_id, (extract(epoch FROM d."timestamp") * 1000000)::bigint, r.name, d.model_ids::text, d.probability::text
FROM alert_deliveries d JOIN alert_rules r ON r.id = d.rule_id ORDER BY 1, 2, 3"""
_ID = """
SELECT id FROM predictions WHERE coin_id = %(coin_id)s AND model_id = %(model_id)s
AND "timestamp" = timestamptz 'epoch' + %(timestamp_us)s * interval '1 microsecond'"""
_CORRECT = """
UPDATE coin_metrics SET price_close = price_close * 1.01, price_high = greatest(price_high, price_close * 1.01)
WHERE mint = %(coin_id)s AND "timestamp" = timestamptz 'epoch' + %(timestamp_us)s * interval '1 microsecond'"""


class Stream:
    """The stream, over a database that a predictor reads."""

    def __init__(self, folder: Path, database_url: str) -> None:
        path = folder / "stream.parquet"
        run("simulate", "coins", *STREAM, "--output", str(path), "--json")
        table = pq.read_table(path).slice(0, ROWS)
        self._connection = psycopg.connect(database_url, autocommit=True)
        stored = {
            row[0]
            for row in self._connection.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = 'coin_metrics'::regclass"
            )
        }
        self._columns = [name for name in table.column_names if name in stored]
        self._rows = list(zip(*(table.column(name).to_pylist() for name in self._columns), strict=True))
        if len(self._rows) != ROWS:
            raise ValueError(f"the stream has {len(self._rows)} rows, not {ROWS}")

    def batches(self) -> list[list[tuple[Any, ...]]]:
        """Return the rows in the order in which they come."""
        n = -(-ROWS // _BATCH)
        batches: list[list[tuple[Any, ...]]] = [[] for _ in range(n)]
        for position, row in enumerate(self._rows):
            late = _LATE_BY if position % _LATE_EVERY == 5 else 0
            batches[min(n - 1, position // _BATCH + late)].append(row)
        return batches

    def send(self) -> None:
        """Write all batches; returns when every row has its predictions."""
        names = ", ".join(f'"{name}"' for name in self._columns)
        rows = 0
        for batch in self.batches():
            with self._connection.cursor() as cursor, cursor.copy(f"COPY coin_metrics ({names}) FROM STDIN") as copy:
                for row in batch:
                    copy.write_row(row)
            rows += len(batch)
            self._await("SELECT count(*) FROM predictions", 2 * rows)

    def stored(self) -> dict[str, Any]:
        """Return what is stored of the predictions, their alerts and the messages about them."""
        rows = self._connection.execute(_PREDICTIONS).fetchall()
        alerts = self._connection.execute(_ALERTS).fetchall()
        deliveries = self._connection.execute(_DELIVERIES).fetchall()
        return {
            "predictions": len(rows),
            "sha256": _digest(rows),
            "by_model": {str(model): _digest([row for row in rows if row[2] == model]) for model in (1, 2)},
            "sample": [_prediction(row) for row in rows[:: len(rows) // _SAMPLED]],
            "alerts": {"count": len(alerts), "sha256": _digest(alerts)},
            "first_alert": _prediction(alerts[0]),
            "deliveries": {"count": len(deliveries), "sha256": _digest(deliveries)},
            "first_delivery": {"coin_id": deliveries[0][0]},
        }

    def sample(self) -> list[dict[str, Any]]:
        """Return keys of predictions to replay: evenly from all, and those of late rows."""
        rows = self._connection.execute(_PREDICTIONS).fetchall()
        place = [self._columns.index(name) for name in ("mint", "timestamp")]
        late = {(row[place[0]], _us(row[place[1]])) for row in self._rows[5::_LATE_EVERY]}
        late_rows = [row for row in rows if (row[0], row[1]) in late]
        chosen = [*rows[:: len(rows) // _SAMPLED], *late_rows[:: max(1, len(late_rows) // 10)]]
        return [_prediction(row) for row in chosen]

    def correct(self) -> list[dict[str, Any]]:
        """Correct the rows of a few predictions; return the keys of those."""
        keys = self.sample()[:3]
        for key in keys:
            self._connection.execute(_CORRECT, key)
        return keys

    def id_of(self, key: dict[str, Any]) -> int:
        """Return the id of a prediction."""
        row = self._connection.execute(_ID, key).fetchone()
        if row is None:
            raise LookupError(f"no prediction {key}")
        return int(row[0])

    def delivery_id(self) -> int:
        """Return the id of a message that was given up."""
        row = self._connection.execute(
            "UPDATE alert_deliveries SET status = 'FAILED', sent_at = NULL WHERE id = (SELECT min(id) FROM"
            " alert_deliveries) RETURNING id"
        ).fetchone()
        return int(row[0]) if row else 0

    def _await(self, count: str, wanted: int) -> None:
        deadline = time.monotonic() + _MOST_WAIT_S
        while (found := self._connection.execute(count.encode()).fetchone()) != (wanted,):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{found} predictions are stored, not {wanted}")
            time.sleep(0.02)


def _us(moment: Any) -> int:
    microseconds: int = round(moment.timestamp() * 1_000_000)
    return microseconds


def _prediction(row: Sequence[Any]) -> dict[str, Any]:
    names = ("coin_id", "timestamp_us", "model_id", "prediction", "probability", "score", "features_digest")
    return dict(zip(names, row, strict=False))


def _digest(rows: Sequence[Sequence[Any]]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update("\t".join(map(str, row)).encode() + b"\n")
    return digest.hexdigest()
