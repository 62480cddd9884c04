"""Cached responses to GET requests: kept as they were sent, and valid until a table they were read from changes."""

import time
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from cachetools import LRUCache
from fastapi import Depends, Request

from kurswerk.api._table_versions import TableVersions

VALIDITY = "kurswerk.validity"
_ENTRY_BYTES = 1000  # keys, headers and objects around a body, roughly
_LONGEST_KEY = 2000
_ETAG_BYTES = 16

Headers = list[tuple[bytes, bytes]]
Key = tuple[str, bytes]


@dataclass(frozen=True)
class Validity:
    """How long a response is valid: while ``tables`` have this ``version``, and until ``until_s`` (None: no end)."""

    tables: tuple[str, ...]
    version: int
    until_s: float | None


@dataclass(frozen=True)
class CachedResponse:
    """A complete response with status 200."""

    headers: Headers
    body: bytes
    etag: bytes
    template: str
    validity: Validity


def cached(*tables: str, seconds: float | None = None) -> Any:
    """Return a dependency that lets the response of a GET route be cached until one of the tables changes.

    ``seconds`` is a time limit beside that, and the only one where no table is named. The response must be the same
    for every client.
    """

    async def declare(request: Request) -> None:
        versions: TableVersions = request.app.state.versions
        until = None if seconds is None else time.monotonic() + seconds
        # Noted before the query: a change that comes while it runs makes the response stale at once.
        request.scope[VALIDITY] = Validity(tables, versions.version(tables), until)

    return Depends(declare)


class ResponseCache:
    """Keeps responses by path and query string; the least recently used ones are evicted where memory runs out.

    Parameters
    ----------
    versions
        Versions of the tables that responses were read from.
    most_bytes
        Memory for all responses together.
    """

    def __init__(self, versions: TableVersions, most_bytes: int) -> None:
        self._versions = versions
        self._responses: LRUCache[Key, CachedResponse] = LRUCache(most_bytes, getsizeof=_size)

    def get(self, key: Key) -> CachedResponse | None:
        """Return the response to a request if it is still valid."""
        response = self._responses.get(key)
        if response is None or self._is_valid(response.validity):
            return response
        del self._responses[key]
        return None

    def store(self, key: Key, response: CachedResponse) -> None:
        """Cache a response if it is still valid and takes at most a quarter of the memory."""
        small = len(key[0]) + len(key[1]) <= _LONGEST_KEY and _size(response) <= self._responses.maxsize // 4
        if small and self._is_valid(response.validity):
            self._responses[key] = response

    def _is_valid(self, validity: Validity) -> bool:
        if validity.until_s is not None and time.monotonic() >= validity.until_s:
            return False
        if not validity.tables:
            return validity.until_s is not None
        return self._versions.listening and self._versions.version(validity.tables) == validity.version


def etag_of(body: bytes) -> bytes:
    """Return the entity tag of a body, in quotes."""
    return b'"%s"' % blake2b(body, digest_size=_ETAG_BYTES).hexdigest().encode()


def matches(etag: bytes, if_none_match: bytes | None) -> bool:
    """Whether the client has this response already.

    Examples
    --------
    >>> matches(b'"a"', b'W/"a", "b"'), matches(b'"a"', b'"b"'), matches(b'"a"', b'*'), matches(b'"a"', None)
    (True, False, True, False)
    """
    if if_none_match is None:
        return False
    tags = {tag.strip().removeprefix(b"W/") for tag in if_none_match.split(b",")}
    return etag in tags or b"*" in tags


def _size(response: CachedResponse) -> int:
    return len(response.body) + _ENTRY_BYTES
