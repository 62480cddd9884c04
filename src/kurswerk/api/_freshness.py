"""How long an answer read from the database is still true."""

import asyncio
from collections import Counter
from collections.abc import Iterable

from kurswerk.api.ports import ChangeFeed
from kurswerk.core.errors import DatabaseUnavailableError
from kurswerk.observability import get_logger

log = get_logger(__name__)

_PAUSE_S = 1.0


class Freshness:
    """Counts the changes of each table, as long as they can be heard.

    What was read when `version` had some value is true as long as it still has that value and ``heard`` is true.
    """

    def __init__(self) -> None:
        self.heard = False
        self._all = 0
        self._changes: Counter[str] = Counter()

    def version(self, tables: Iterable[str]) -> int:
        """Return a number that grows with every change of one of the tables."""
        return self._all + sum(self._changes[table] for table in tables)

    def changed(self, table: str | None = None) -> None:
        """Take note that a table has changed, or that any may have."""
        if table is None:
            self._all += 1
        else:
            self._changes[table] += 1

    async def follow(self, feed: ChangeFeed) -> None:
        """Listen until cancelled; while there is no connection nothing counts as true."""
        while True:
            try:
                async for table in feed.changes():
                    self.changed(table)
                    self.heard = True
            except DatabaseUnavailableError as error:
                log.warning("answers are read anew each time", reason=str(error))
            except Exception:  # whatever a listener dies of, calls are answered, only not from the cache
                log.exception("answers are read anew each time")
            finally:
                self.heard = False
            await asyncio.sleep(_PAUSE_S)
