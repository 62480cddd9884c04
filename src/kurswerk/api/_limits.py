"""How many calls a client may make."""

import math
import time
from typing import Any

from limits import parse
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string

from kurswerk.core.errors import InvalidInputError
from kurswerk.observability import get_logger

log = get_logger(__name__)

_MEMORY = "async+memory://"
_WARN_EVERY_S = 60.0
# A storage that hangs holds up one call for so long; then it is left alone for a while.
_PATIENCE_S = 0.25
_PAUSE_S = 1.0


class RateLimiter:
    """Counts calls per client in a sliding window, reading and writing ones apart.

    Parameters
    ----------
    reads, writes
        Such as ``"1200/minute"``; None is no limit.
    storage_url
        ``async+memory://``, or ``async+redis://host:6379`` to count over all processes. While that storage cannot be
        reached, each process counts by itself.

    Raises
    ------
    InvalidInputError
        If a limit or the URL cannot be read.
    """

    def __init__(self, reads: str | None, writes: str | None, storage_url: str = _MEMORY) -> None:
        options: dict[str, Any] = {}
        if "redis" in storage_url.partition("://")[0]:
            options = {"implementation": "redispy"}
            options |= dict.fromkeys(("socket_timeout", "socket_connect_timeout"), _PATIENCE_S)
        try:
            self._limits = [limit and parse(limit) for limit in (reads, writes)]
            self._storage = storage_from_string(storage_url, wrap_exceptions=True, **options)
        except (ValueError, ConfigurationError) as error:
            # Neither is repeated: a URL may hold a password.
            raise InvalidInputError("api.rate_limits_unusable", error=type(error).__name__) from error
        self._shared = SlidingWindowCounterRateLimiter(self._storage)
        self._alone = SlidingWindowCounterRateLimiter(storage_from_string(_MEMORY))
        self._warned_at = self._failed_at = -math.inf

    async def wait_s(self, client: str, *, writing: bool) -> int | None:
        """Count a call; return None if it may be made, otherwise after how many seconds to try again."""
        limit = self._limits[writing]
        if not limit:
            return None
        if time.monotonic() - self._failed_at < _PAUSE_S:
            return await self._hit(self._alone, limit, client)
        try:
            return await self._hit(self._shared, limit, client)
        except StorageError as error:
            self._failed_at = time.monotonic()
            if time.monotonic() - self._warned_at > _WARN_EVERY_S:
                self._warned_at = time.monotonic()
                log.warning("calls are counted in this process alone", reason=str(error.storage_error))
            return await self._hit(self._alone, limit, client)

    async def close(self) -> None:
        """Close the connections to the storage."""
        bridge = getattr(self._storage, "bridge", None)  # only those that have connections
        if bridge is not None:
            await bridge.storage.aclose()

    @staticmethod
    async def _hit(limiter: SlidingWindowCounterRateLimiter, limit: Any, client: str) -> int | None:
        if await limiter.hit(limit, client):
            return None
        window = await limiter.get_window_stats(limit, client)
        return max(1, math.ceil(window.reset_time - time.time()))
