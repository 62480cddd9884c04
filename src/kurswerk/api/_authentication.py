"""API keys, and the scope that each call needs."""

import hashlib

from cachetools import TTLCache
from starlette.concurrency import run_in_threadpool

from kurswerk.api._table_versions import TableVersions
from kurswerk.api.ports import ApiKey, KeyStore

KEY_HEADER = "X-API-Key"
# Need no key: health checks of a load balancer, and the documentation. None of them changes anything.
PUBLIC = frozenset({"/health", "/api/health", "/ready", "/docs", "/openapi.json"})
# Also open to whoever shows the token for metrics.
METRICS = frozenset({"/metrics", "/api/metrics"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_READS_BY_POST = frozenset({"/api/predict"})
# Decide which models predict and where messages are sent.
_ADMIN_SUFFIXES = ("/activate", "/deactivate", "/reload", "/alerts/rules", "/secret")
_KEY_TABLE = ("api_keys",)
_CACHED_S = 60.0
_MOST_CACHED = 10_000


def needed_scope(method: str, path: str) -> str | None:
    """Return the scope that a call needs, None if it needs no key.

    Routes that are not listed here need ``read`` for GET and ``train`` or ``admin`` otherwise, so that a new route is
    never public.

    Examples
    --------
    >>> needed_scope("GET", "/ready"), needed_scope("GET", "/api/models"), needed_scope("POST", "/api/models/create")
    (None, 'read', 'train')
    >>> needed_scope("DELETE", "/api/models/7"), needed_scope("POST", "/api/models/7/activate")
    ('admin', 'admin')
    """
    if path in PUBLIC:
        return None
    if method in SAFE_METHODS or path in _READS_BY_POST:
        return "read"
    return "admin" if method == "DELETE" or path.endswith(_ADMIN_SUFFIXES) else "train"


class Authenticator:
    """Looks up API keys, and caches the valid ones for a minute, or until any key changes.

    They are cached under their hash, and only while changes are notified: a revoked key is refused at once.
    """

    def __init__(self, keys: KeyStore, versions: TableVersions) -> None:
        self._keys = keys
        self._versions = versions
        # Hash of a key -> version of the key table before it was looked up, and what was found.
        self._cache: TTLCache[bytes, tuple[int, ApiKey]] = TTLCache(_MOST_CACHED, _CACHED_S)

    def cached(self, key: str) -> ApiKey | None:
        """Return a key from the cache, None if it is not there."""
        version, record = self._cache.get(_digest(key), (-1, None))
        return record if self._versions.listening and version == self._versions.version(_KEY_TABLE) else None

    async def look_up(self, key: str) -> ApiKey | None:
        """Return what the database knows of a key, None if it is unknown or revoked."""
        version = self._versions.version(_KEY_TABLE)
        record = await run_in_threadpool(self._keys.find, key)
        if record is not None and self._versions.listening:
            self._cache[_digest(key)] = version, record
        return record


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
