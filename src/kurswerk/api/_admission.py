"""Who may make which call."""

import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from kurswerk.api._freshness import Freshness
from kurswerk.api.ports import KeyStore
from kurswerk.storage.operations import ApiKey

KEY_HEADER = "X-API-Key"
# Open to everybody: what a load balancer asks, and how to use the API. None of them changes anything.
PUBLIC = frozenset({"/health", "/api/health", "/ready", "/docs", "/openapi.json"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_READS_BY_POST = frozenset({"/api/predict"})
# Decide which models predict and where messages go.
_ADMIN_ENDS = ("/activate", "/deactivate", "/reload", "/alerts/rules")
_KEY_TABLE = ("api_keys",)
_REMEMBERED_S = 60.0
_MOST_REMEMBERED = 10_000


def needed_scope(method: str, path: str) -> str | None:
    """Return the scope that a call needs, None if it is open to everybody.

    Whatever is not named here reads with GET and changes something otherwise, so that a new route is never open.

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
    return "admin" if method == "DELETE" or path.endswith(_ADMIN_ENDS) else "train"


@dataclass(frozen=True)
class _Remembered:
    record: ApiKey
    version: int
    until_s: float


class Admission:
    """Recognises keys, and remembers the ones it knows for a minute, or until any key changes.

    Only keys that are good are remembered, under their hash, and only while changes can be heard: a revoked key is
    refused at once.
    """

    def __init__(self, keys: KeyStore, freshness: Freshness) -> None:
        self._keys = keys
        self._freshness = freshness
        self._known: OrderedDict[bytes, _Remembered] = OrderedDict()

    def known(self, key: str) -> ApiKey | None:
        """Return what is remembered of a key."""
        found = self._known.get(_digest(key))
        return found.record if found and self._holds(found) else None

    async def look_up(self, key: str) -> ApiKey | None:
        """Return what the database knows of a key, None if it is unknown or revoked."""
        version = self._freshness.version(_KEY_TABLE)
        record = await run_in_threadpool(self._keys.find, key)
        if record is not None and self._freshness.heard:
            self._known[_digest(key)] = _Remembered(record, version, time.monotonic() + _REMEMBERED_S)
            while len(self._known) > _MOST_REMEMBERED:
                self._known.popitem(last=False)
        return record

    def _holds(self, found: _Remembered) -> bool:
        return (
            self._freshness.heard
            and self._freshness.version(_KEY_TABLE) == found.version
            and time.monotonic() < found.until_s
        )


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
