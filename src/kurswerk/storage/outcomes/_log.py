"""Outcomes as they are read: sums, scores of one model, and what was corrected."""

from collections.abc import Mapping

import numpy as np
from psycopg import sql

from kurswerk.oversight import DEFAULT_OUTCOMES, JudgedForecasts, JudgedScores, OutcomeCounts
from kurswerk.storage.binary_copy import decode_rows
from kurswerk.storage.server import Database

_COUNTS = (
    "SELECT c.model_id, sum(c.known)::bigint, sum(c.positive)::bigint, sum(c.predicted_positive)::bigint,"
    " sum(c.true_positive)::bigint, sum(c.unknown)::bigint, sum(c.corrected)::bigint"
    " FROM outcome_counts c JOIN ml_models m ON m.id = c.model_id WHERE NOT m.is_deleted"
    " AND (%(days)s::int IS NULL OR c.day > (SELECT max(n.day) FROM outcome_counts n WHERE n.model_id = c.model_id)"
    "   - %(days)s * interval '1 day') GROUP BY 1 ORDER BY 1"
)
# coin, moment, label, probability
_SCORES = sql.SQL(
    'COPY (SELECT coin_id, "timestamp", label::bigint, probability::double precision FROM outcomes'
    ' WHERE {where} AND label IS NOT NULL ORDER BY "timestamp" DESC, coin_id LIMIT {limit}) TO STDOUT (FORMAT binary)'
)
# moment, return, forecast, low, high
_FORECASTS = sql.SQL(
    'COPY (SELECT o.coin_id, o."timestamp", o.actual_return::double precision, f.forecast::double precision,'
    " f.low::double precision, f.high::double precision FROM (SELECT * FROM outcomes WHERE {where}"
    ' AND actual_return IS NOT NULL ORDER BY "timestamp" DESC, coin_id LIMIT {limit}) o'
    ' JOIN forecasts f ON f.prediction_id = o.prediction_id AND f."timestamp" = o."timestamp")'
    " TO STDOUT (FORMAT binary)"
)
_REASONS = sql.SQL("SELECT reason, count(*) FROM outcomes WHERE {where} AND label IS NULL GROUP BY 1 ORDER BY 1")


class PostgresOutcomeLog:
    """Reads ``outcomes`` and ``outcome_counts``; implements `kurswerk.oversight.OutcomeLog`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def counts(self, days: int | None = None) -> Mapping[int, OutcomeCounts]:
        """Return the sums of each model that has outcomes, deleted ones left out.

        Parameters
        ----------
        days
            Only rows of so many days up to the model's last one; None is all.
        """
        with self._database.connection() as connection:
            found = connection.execute(_COUNTS, {"days": days}).fetchall()
        return {row[0]: OutcomeCounts(*row[1:]) for row in found}

    def scores(
        self, model_id: int, *, since_us: int | None = None, until_us: int | None = None, limit: int = DEFAULT_OUTCOMES
    ) -> JudgedScores:
        """Return a model's newest known outcomes of rows in a period, and why others of the same time are unknown."""
        with self._database.connection() as connection:
            statement = _SCORES.format(where=_where(model_id, since_us, until_us), limit=sql.Literal(limit))
            with connection.cursor() as cursor, cursor.copy(statement) as copy:
                block = decode_rows(b"".join(copy), 3)
            times = block.moments(0)
            # Of no longer a time than the known ones are from.
            first_us = int(times.min()) if len(times) == limit else since_us
            where = _where(model_id, first_us, until_us)
            reasons = dict(connection.execute(_REASONS.format(where=where)).fetchall())
        code_of: dict[str, int] = {}
        codes = np.fromiter((code_of.setdefault(key, len(code_of)) for key in block.keys), np.int64, len(block))
        return JudgedScores(block.words[1].astype(np.int8), block.words[2].view(np.float64), codes, times, reasons)

    def forecasts(
        self, model_id: int, *, since_us: int | None = None, until_us: int | None = None, limit: int = DEFAULT_OUTCOMES
    ) -> JudgedForecasts:
        """Return a forecast model's newest returns with what was forecast, as far as that is still in the database."""
        statement = _FORECASTS.format(where=_where(model_id, since_us, until_us), limit=sql.Literal(limit))
        with self._database.connection() as connection, connection.cursor() as cursor, cursor.copy(statement) as copy:
            block = decode_rows(b"".join(copy), 5)
        return JudgedForecasts(*(block.words[k].view(np.float64) for k in range(1, 5)))


def _where(model_id: int, since_us: int | None, until_us: int | None) -> sql.Composable:
    """Return the condition on a model's outcomes of rows in scope and in a period."""
    parts: list[sql.Composable] = [sql.SQL("model_id = {} AND in_scope").format(sql.Literal(model_id))]
    for operator, us in ((">=", since_us), ("<=", until_us)):
        if us is not None:
            moment = sql.SQL("timestamptz 'epoch' + {} * interval '1 microsecond'").format(sql.Literal(us))
            parts.append(sql.SQL('"timestamp" {} {}').format(sql.SQL(operator), moment))
    return sql.SQL(" AND ").join(parts)
