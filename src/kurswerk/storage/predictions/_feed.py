"""Predictions as they are stored."""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row, tuple_row

from kurswerk.core.errors import DatabaseUnavailableError
from kurswerk.storage.predictions._forecasts import forecasts_query, joined
from kurswerk.storage.predictions._writer import CHANNEL
from kurswerk.storage.server import Database, translated

_SILENCE_S = 5.0
_READ = (
    'SELECT p.id, p.coin_id, p."timestamp", p.model_id, m.name AS model_name, p.prediction,'
    " p.probability::float8 AS probability, p.in_scope, p.created_at, m.spec ? 'target' AS is_forecast,"
    " a.id AS alert_id, a.threshold::float8 AS alert_threshold, a.created_at AS alert_created_at"
    " FROM predictions p JOIN ml_models m ON m.id = p.model_id"
    # Limited by itself: it is then read by its index once, not once for each prediction.
    " LEFT JOIN (SELECT * FROM prediction_alerts WHERE prediction_id BETWEEN %(first)s AND %(last)s) a"
    ' ON a.prediction_id = p.id AND a."timestamp" = p."timestamp"'
    " WHERE p.id BETWEEN %(first)s AND %(last)s ORDER BY p.id"
)


class PostgresPredictionFeed:
    """Receives the ids of stored predictions, and reads the predictions once for all subscribers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def stored(self, wanted: Callable[[], bool]) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        """Yield the predictions of each batch once it is committed; an empty one when it begins to listen.

        A prediction that raised an alert comes with ``alert_id``, ``alert_threshold`` and ``alert_created_at``; they
        are None for the others.

        Parameters
        ----------
        wanted
            Whether anybody listens; asked before a batch is read.

        Raises
        ------
        DatabaseUnavailableError
            When the connection cannot be made, or is lost; what is stored later is not received.
        """
        url = self._database.url
        try:
            connection = await psycopg.AsyncConnection.connect(
                url, autocommit=True, application_name="kurswerk stream", connect_timeout=10, row_factory=dict_row
            )
            async with connection:
                await connection.execute(f"LISTEN {CHANNEL}".encode())
                yield []
                while True:
                    payloads = [one.payload async for one in connection.notifies(timeout=_SILENCE_S, stop_after=1)]
                    if not payloads:
                        await connection.execute("SELECT 1")
                    for payload in payloads:
                        for first, last in json.loads(payload) if wanted() else ():
                            yield await _read(connection, first, last)
        except psycopg.Error as error:
            raise DatabaseUnavailableError("database.predictions_lost", reason=translated(error, url)) from error


async def _read(connection: psycopg.AsyncConnection[Any], first: int, last: int) -> Sequence[Mapping[str, Any]]:
    rows = await (await connection.execute(_READ, {"first": first, "last": last})).fetchall()
    query = forecasts_query(rows)
    if query is None:
        return joined(rows, [])
    async with connection.cursor(row_factory=tuple_row) as cursor:
        return joined(rows, await (await cursor.execute(query)).fetchall())
