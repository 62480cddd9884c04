"""Predictions on their way out of the database, and those that have left it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import sql

from kurswerk.archive import ArchivedQuery, Manifest, PredictionArchive
from kurswerk.core.timestamps import to_us
from kurswerk.serving import PredictionFilter
from kurswerk.storage.predictions._partitions import forecasts_of
from kurswerk.storage.server import Database

Row = Mapping[str, Any]
FORECAST = ("forecast", "low", "high")
# Of partitions that are detached and not dropped yet.
DETACHED = "predictions_detached_"
_BATCHES = """
SELECT p.id, p.coin_id::text, p."timestamp", p.model_id, p.prediction::smallint, p.probability::float8, p.score,
    p.features_digest, p.features::text, p.in_scope, p.created_at, f.forecast, f.low, f.high
FROM "{}" p LEFT JOIN "{}" f ON f.prediction_id = p.id AND f."timestamp" = p."timestamp"
ORDER BY p.coin_id COLLATE "C", p."timestamp", p.model_id"""
OUTCOME = sql.SQL(
    " CASE WHEN o.coin_id IS NOT NULL THEN jsonb_build_object('label', o.label, 'reason', o.reason,"
    " 'horizon_end', o.horizon_end, 'judged_at', o.judged_at, 'corrected_at', o.corrected_at) END AS outcome"
)
# Outcomes outlive their predictions.
_OUTCOMES = sql.SQL(
    'SELECT {} FROM unnest(%s::text[], %s::timestamptz[], %s::bigint[]) WITH ORDINALITY AS p(coin_id, "timestamp",'
    ' model_id, place) LEFT JOIN outcomes o ON o.coin_id = p.coin_id AND o."timestamp" = p."timestamp"'
    " AND o.model_id = p.model_id ORDER BY p.place"
).format(OUTCOME)
_BY_TIME = (("timestamp", "descending"), ("model_id", "ascending"))
_BY_ID = (("id", "descending"),)
_SECONDS = 5.0


@contextmanager
def archived_batches(database: Database, table: str) -> Iterator[Iterator[pa.RecordBatch]]:
    """Give the rows of a detached partition as the archive takes them."""
    with database.arrow_connection() as connection, connection.cursor() as cursor:
        cursor.execute(_BATCHES.format(table, forecasts_of(table)))
        yield iter(cursor.fetch_record_batch())


def detached_tables(connection: psycopg.Connection) -> list[str]:
    """Return the names of partitions that are detached and not dropped yet, earliest first."""
    rows = connection.execute(
        "SELECT relname::text FROM pg_class WHERE relname ^@ %s AND relkind = 'r' AND pg_table_is_visible(oid)"
        " ORDER BY 1",
        [DETACHED],
    )
    return [row[0] for row in rows]


def first_of(rows: Sequence[Row], chosen: PredictionFilter, count: int) -> list[Row]:
    """Return the first rows in the order of a list, each once."""
    each = list({row["id"]: row for row in rows}.values())
    if chosen.coin_id is None:
        return sorted(each, key=itemgetter("id"), reverse=True)[:count]
    each.sort(key=itemgetter("model_id"))
    return sorted(each, key=itemgetter("timestamp"), reverse=True)[:count]


@dataclass(frozen=True)
class OlderParts:
    """Where predictions are beside their table: tables that are detached, and files of the archive."""

    tables: Sequence[str]
    files: Sequence[Manifest]

    def __bool__(self) -> bool:
        return bool(self.tables or self.files)

    def may_come_before(self, rows: Sequence[Row], chosen: PredictionFilter, count: int) -> bool:
        """Return whether there can be rows in files, or tables, that come before the last of so many rows."""
        if len(rows) < count:
            return bool(self)
        if chosen.coin_id is None:
            return bool(self.tables) or any(one.last_id > rows[count - 1]["id"] for one in self.files)
        return bool(self.tables) or any(one.last_us >= to_us(rows[count - 1]["timestamp"]) for one in self.files)


class ArchivedPredictions:
    """Finds predictions that are no longer in their table."""

    def __init__(self, database: Database, archive: PredictionArchive) -> None:
        self._database, self._archive = database, archive

    def parts(self) -> OlderParts:
        """Return what there is now; a table that becomes a file in between is in both."""
        with self._database.connection() as connection:
            tables = detached_tables(connection)
        return OlderParts(tables, self._archive.manifests())

    def find(self, chosen: PredictionFilter, count: int, *, seconds: float = _SECONDS) -> list[Row]:
        """Return the first of the archived predictions in the order of a list, as that has them."""
        models = self._models(chosen)
        since, until = (None if moment is None else to_us(moment) for moment in (chosen.since, chosen.until))
        query = ArchivedQuery(
            chosen.coin_id, frozenset(models), chosen.min_probability, (since, until), chosen.in_scope
        )
        order = _BY_ID if chosen.coin_id is None else _BY_TIME
        return self._judged(
            [_listed(row, models) for row in self._archive.search(query, order, count, seconds=seconds)]
        )

    def get(self, prediction_id: int) -> Row | None:
        """Return a prediction with what a replay needs of it."""
        models = self._models(PredictionFilter())
        query = ArchivedQuery(models=frozenset(models), ids=(prediction_id, prediction_id))
        for row in self._archive.search(query, _BY_ID, 1, seconds=_SECONDS):
            listed = self._judged([_listed(row, models)])[0]
            return {**listed, "score": row["score"], "features_digest": row["features_digest"]}
        return None

    def _judged(self, rows: Sequence[Row]) -> list[Row]:
        """Return predictions with their outcomes."""
        keys = [[row[name] for row in rows] for name in ("coin_id", "timestamp", "model_id")]
        with self._database.connection() as connection:
            outcomes = connection.execute(_OUTCOMES, keys).fetchall() if rows else []
        return [{**row, "outcome": found} for row, (found,) in zip(rows, outcomes, strict=True)]

    def _models(self, chosen: PredictionFilter) -> dict[int, str]:
        """Return the names of the models whose predictions are wanted, by id."""
        with self._database.connection() as connection:
            rows = connection.execute(
                "SELECT id, name FROM ml_models WHERE id = coalesce(%s, id)", [chosen.model_id]
            ).fetchall()
        return dict(rows)


def _listed(row: Row, models: Mapping[int, str]) -> Row:
    names = ("id", "coin_id", "timestamp", "model_id", "prediction", "probability", "in_scope", "created_at", *FORECAST)
    features = None if row["features"] is None else json.loads(row["features"])
    return {**{name: row[name] for name in names}, "model_name": models[row["model_id"]], "features": features}
