"""Versions of tables, by which cached responses and keys are invalidated."""

import asyncio
from collections import Counter
from collections.abc import Iterable

from kurswerk.api.ports import ChangeFeed
from kurswerk.core.errors import DatabaseUnavailableError
from kurswerk.observability import get_logger

log = get_logger(__name__)

_RECONNECT_PAUSE_S = 1.0


class TableVersions:
    """Counts the changes of each table for as long as it is notified of them.

    What was read when `version` had some value is valid as long as it still has that value and ``listening`` is true.
    """

    def __init__(self) -> None:
        self.listening = False
        self._any_table = 0
        self._tables: Counter[str] = Counter()

    def version(self, tables: Iterable[str]) -> int:
        """Return a number that grows with every change of one of the tables."""
        return self._any_table + sum(self._tables[table] for table in tables)

    def increment(self, table: str | None = None) -> None:
        """Count a change of a table; None stands for all tables, where it is not known which has changed."""
        if table is None:
            self._any_table += 1
        else:
            self._tables[table] += 1

    async def follow(self, feed: ChangeFeed) -> None:
        """Count changes until cancelled; while there is no connection nothing is valid."""
        while True:
            try:
                async for table in feed.changes():
                    self.increment(table)
                    self.listening = True
            except DatabaseUnavailableError as error:
                log.warning("responses are not cached", reason=str(error))
            except Exception:  # whatever ends the feed, calls are answered, only not from the cache
                log.exception("responses are not cached")
            finally:
                self.listening = False
            await asyncio.sleep(_RECONNECT_PAUSE_S)
