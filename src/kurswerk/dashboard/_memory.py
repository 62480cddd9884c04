"""Answers kept for a while, so that several readers and callbacks ask once."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from time import monotonic
from typing import Any, TypeVar

T = TypeVar("T")
_log = logging.getLogger(__name__)


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
        self._forgotten = 0

    def get(self, key: Hashable, ask: Callable[[], T], *, seconds: float = 600.0, while_asking: float = 0.0) -> T:
        """Return the answer kept under a key, or ask; who asks for the same meanwhile waits and shares the answer.

        Nobody waits where the answer kept is not older than ``while_asking`` seconds: it is given, and asked for anew
        beside.

        Examples
        --------
        >>> memory = Memory()
        >>> memory.get("a", lambda: 1), memory.get("a", lambda: 2)
        (1, 1)
        """
        kept = self._recall(key)
        if kept is not None and seconds <= monotonic() - kept[0] < while_asking:
            asking = self._asking.get(key)
            if asking is None or not asking.locked():
                threading.Thread(target=self._renew_beside, args=[key, ask, seconds], daemon=True).start()
            found: T = kept[1]
            return found
        return self._renew(key, ask, seconds)

    def _renew(self, key: Hashable, ask: Callable[[], T], seconds: float) -> T:
        """Return the answer kept if it is young enough, else ask and keep the answer."""
        with self._lock:
            asking = self._asking.setdefault(key, threading.Lock())
        with asking:
            kept = self._recall(key)
            if kept is not None and monotonic() - kept[0] < seconds:
                found: T = kept[1]
                return found
            before = self._forgotten
            answer = ask()
            with self._lock:
                if before != self._forgotten:
                    return answer  # it may be of what was there before
                self._kept[key] = (monotonic(), answer)
                self._kept.move_to_end(key)
                while len(self._kept) > self._most:
                    self._asking.pop(self._kept.popitem(last=False)[0], None)
        return answer

    def _renew_beside(self, key: Hashable, ask: Callable[[], object], seconds: float) -> None:
        try:
            self._renew(key, ask, seconds)
        except Exception:  # noqa: BLE001 - nobody waits for it; who asks once the answer kept is too old meets the cause
            _log.warning("an answer could not be renewed: %s", key, exc_info=True)

    def _recall(self, key: Hashable) -> tuple[float, Any] | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def forget(self) -> None:
        """Drop all answers."""
        with self._lock:
            self._kept.clear()
            self._forgotten += 1
