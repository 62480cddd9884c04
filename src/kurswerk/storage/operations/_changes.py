"""Which table has changed, as it happens."""

import asyncio
from collections.abc import AsyncIterator

import psycopg

from kurswerk.core.errors import DatabaseUnavailableError
from kurswerk.storage.server import Database, translated
from kurswerk.storage.server.migrations.changes_v2 import CHANNEL

_SILENCE_S = 5.0
_ANSWER_S = 5.0


class PostgresChangeFeed:
    """Listens to the triggers of ``ml_models``, ``ml_jobs``, … (statement-level, sent at commit)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def changes(self) -> AsyncIterator[str | None]:
        """Yield None once it listens, then the name of each table that changed.

        A connection that has been silent for five seconds is asked whether it still lives, so that one that died
        without a word is noticed within ten.

        Raises
        ------
        DatabaseUnavailableError
            When the connection cannot be made, or is lost; later changes are not received.
        """
        try:
            connection = await psycopg.AsyncConnection.connect(
                self._database.url, autocommit=True, application_name="kurswerk changes", connect_timeout=10
            )
        except psycopg.Error as error:
            raise _lost(error, self._database.url) from error
        async with connection:
            try:
                await connection.execute(f"LISTEN {CHANNEL}".encode())
                yield None
                while True:
                    async for notification in connection.notifies(timeout=_SILENCE_S):
                        yield notification.payload
                    async with asyncio.timeout(_ANSWER_S):
                        await connection.execute("SELECT 1")
            except (psycopg.Error, TimeoutError) as error:
                raise _lost(error, self._database.url) from error


def _lost(error: Exception, url: str) -> DatabaseUnavailableError:
    return DatabaseUnavailableError("database.changes_lost", reason=translated(error, url))
