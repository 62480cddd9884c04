"""Answers that are kept as they were sent, as long as they are true."""

import time
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from fastapi import Depends, Request

from kurswerk.api._freshness import Freshness

MARK = "kurswerk.kept"
_ENTRY_BYTES = 1000  # keys, headers and objects around a body, roughly
_LONGEST_KEY = 2000
_ETAG_BYTES = 16

Headers = list[tuple[bytes, bytes]]
Key = tuple[str, bytes]


@dataclass(frozen=True)
class Terms:
    """On which terms an answer may be kept: what it was read from, as of when, and until when (None: no end)."""

    tables: tuple[str, ...]
    version: int
    until_s: float | None


@dataclass(frozen=True)
class Answer:
    """A complete answer with status 200."""

    headers: Headers
    body: bytes
    etag: bytes
    template: str
    terms: Terms


def kept(*tables: str, seconds: float | None = None) -> Any:
    """Return a dependency by which a GET route says that its answer holds until one of the tables changes.

    ``seconds`` limits that; without any table it is all that does. The answer must be the same for everybody who may
    ask.
    """

    async def mark(request: Request) -> None:
        freshness: Freshness = request.app.state.freshness
        until = None if seconds is None else time.monotonic() + seconds
        # Noted before the query: a change that comes while it runs makes the answer stale at once.
        request.scope[MARK] = Terms(tables, freshness.version(tables), until)

    return Depends(mark)


class AnswerCache:
    """Keeps answers by path and query string; when there is no room, the ones used least recently go first.

    Parameters
    ----------
    freshness
        Says whether an answer still holds.
    most_bytes
        Memory for all answers together.
    """

    def __init__(self, freshness: Freshness, most_bytes: int) -> None:
        self._freshness = freshness
        self._most_bytes = most_bytes
        self._bytes = 0
        self._answers: OrderedDict[Key, Answer] = OrderedDict()

    def find(self, key: Key) -> Answer | None:
        """Return the answer to a request if it still holds."""
        answer = self._answers.get(key)
        if answer is None:
            return None
        if not self._holds(answer.terms):
            self._drop(key)
            return None
        self._answers.move_to_end(key)
        return answer

    def keep(self, key: Key, answer: Answer) -> None:
        """Keep an answer if it still holds and is not too large."""
        size = _size(answer)
        if len(key[0]) + len(key[1]) > _LONGEST_KEY or size > self._most_bytes // 4 or not self._holds(answer.terms):
            return
        self._drop(key)
        self._answers[key] = answer
        self._bytes += size
        while self._bytes > self._most_bytes:
            self._drop(next(iter(self._answers)))

    def _holds(self, terms: Terms) -> bool:
        if terms.until_s is not None and time.monotonic() >= terms.until_s:
            return False
        if not terms.tables:
            return terms.until_s is not None
        return self._freshness.heard and self._freshness.version(terms.tables) == terms.version

    def _drop(self, key: Key) -> None:
        answer = self._answers.pop(key, None)
        if answer is not None:
            self._bytes -= _size(answer)


def etag_of(body: bytes) -> bytes:
    """Return the entity tag of a body, in quotes."""
    return b'"%s"' % blake2b(body, digest_size=_ETAG_BYTES).hexdigest().encode()


def matches(etag: bytes, if_none_match: bytes | None) -> bool:
    """Whether the client has this answer already.

    Examples
    --------
    >>> matches(b'"a"', b'W/"a", "b"'), matches(b'"a"', b'"b"'), matches(b'"a"', b'*'), matches(b'"a"', None)
    (True, False, True, False)
    """
    if if_none_match is None:
        return False
    tags = {tag.strip().removeprefix(b"W/") for tag in if_none_match.split(b",")}
    return etag in tags or b"*" in tags


def _size(answer: Answer) -> int:
    return len(answer.body) + _ENTRY_BYTES
