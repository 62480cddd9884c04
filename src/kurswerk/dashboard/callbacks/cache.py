"""Query results kept for a while, so that several users and callbacks ask the database once."""

import logging
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, TypeVar

from cachetools import LRUCache

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass
class _Entry:
    """One result; ``loading`` is held while it is loaded, so that everybody else waits for that one load."""

    loading: threading.Lock = field(default_factory=threading.Lock)
    loaded_at: float | None = None
    value: Any = None

    def age_s(self) -> float:
        return float("inf") if self.loaded_at is None else monotonic() - self.loaded_at


class QueryCache:
    """Keeps the results used last, each with its age; how old one may be is decided by who asks for it.

    Parameters
    ----------
    max_size
        How many results; the least recently used one is dropped first.
    """

    def __init__(self, max_size: int = 64) -> None:
        self._entries: LRUCache[Hashable, _Entry] = LRUCache(max_size)
        self._lock = threading.Lock()

    def get(self, key: Hashable, load: Callable[[], T], *, max_age_s: float = 600.0, stale_s: float = 0.0) -> T:
        """Return the cached result of a key, or load it; concurrent callers share one load.

        Parameters
        ----------
        load
            Called where there is no result that is young enough.
        max_age_s
            A younger result is returned as it is.
        stale_s
            A result between ``max_age_s`` and this age is returned too, and loaded anew in the background
            (stale-while-revalidate), so that nobody waits.

        Examples
        --------
        >>> cache = QueryCache()
        >>> cache.get("a", lambda: 1), cache.get("a", lambda: 2)
        (1, 1)
        """
        entry = self._entry(key)
        if max_age_s <= entry.age_s() < stale_s:
            if not entry.loading.locked():
                threading.Thread(target=self._refresh, args=[key, entry, load, max_age_s], daemon=True).start()
            stale: T = entry.value
            return stale
        return self._load(entry, load, max_age_s)

    def clear(self) -> None:
        """Drop all results, also those that are being loaded: they may be of what was there before."""
        with self._lock:
            self._entries.clear()

    def _entry(self, key: Hashable) -> _Entry:
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                entry = self._entries[key] = _Entry()
            return entry

    def _load(self, entry: _Entry, load: Callable[[], T], max_age_s: float) -> T:
        with entry.loading:
            if entry.age_s() >= max_age_s:
                value = load()
                entry.value, entry.loaded_at = value, monotonic()
            found: T = entry.value
        return found

    def _refresh(self, key: Hashable, entry: _Entry, load: Callable[[], object], max_age_s: float) -> None:
        try:
            self._load(entry, load, max_age_s)
        except Exception:  # noqa: BLE001 - nobody waits for it; the next caller after stale_s gets the error itself
            _log.warning("a cached result could not be refreshed: %s", key, exc_info=True)
