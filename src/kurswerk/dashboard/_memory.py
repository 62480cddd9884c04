"""Answers kept for a while, so that several readers and callbacks ask once."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from time import monotonic
from typing import Any, TypeVar

T = TypeVar("T")


class Memory:
    """Keeps the answers asked for last.

    Parameters
    ----------
    most
        How many answers; the one not asked for longest goes first.
    """

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()
        self._lock = threading.Lock()
        self._asking: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, ask: Callable[[], T], *, seconds: float = 600.0) -> T:
        """Return the answer kept under a key, or ask; who asks for the same meanwhile waits and shares the answer.

        Examples
        --------
        >>> memory = Memory()
        >>> memory.get("a", lambda: 1), memory.get("a", lambda: 2)
        (1, 1)
        """
        with self._lock:
            asking = self._asking.setdefault(key, threading.Lock())
        with asking:
            with self._lock:
                kept = self._kept.get(key)
                if kept is not None and monotonic() - kept[0] < seconds:
                    self._kept.move_to_end(key)
                    found: T = kept[1]
                    return found
            answer = ask()
            with self._lock:
                self._kept[key] = (monotonic(), answer)
                self._kept.move_to_end(key)
                while len(self._kept) > self._most:
                    self._asking.pop(self._kept.popitem(last=False)[0], None)
        return answer

    def forget(self) -> None:
        """Drop all answers."""
        with self._lock:
            self._kept.clear()
