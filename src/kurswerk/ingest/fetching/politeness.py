"""Politeness towards providers: requests spaced, and repeated with growing pauses where that can help."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from threading import Lock
from typing import TypeVar

from kurswerk.core.errors import KurswerkError
from kurswerk.observability import get_logger

log = get_logger(__name__)
Answer = TypeVar("Answer")

_USUAL_WAIT_S, _LONGEST_RETRY_AFTER_S = 60.0, 3600.0


class TransientSourceError(KurswerkError):
    """A provider did not answer, and may do so when it is asked again."""


class SourceBusyError(TransientSourceError):
    """A provider asks to come back later.

    Attributes
    ----------
    wait_s
        After how many seconds.
    """

    def __init__(self, code: str, /, *, seconds: float, **params: object) -> None:
        super().__init__(code, seconds=seconds, **params)
        self.wait_s = seconds


class SourceExhaustedError(KurswerkError):
    """A provider answers nothing more for hours, whatever it is asked."""


def retry_after_s(text: str) -> float:
    """Return for how long a server asks to wait, stated in seconds or as a date; a minute if it does not state it.

    Examples
    --------
    >>> retry_after_s("7"), retry_after_s("soon"), retry_after_s("1e9")
    (7.0, 60.0, 3600.0)
    """
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            seconds = _USUAL_WAIT_S
    return min(max(seconds, 1.0), _LONGEST_RETRY_AFTER_S) if isfinite(seconds) else _USUAL_WAIT_S


@dataclass
class Pace:
    """Lets requests begin no closer to each other than a provider allows, whichever thread makes them.

    Parameters
    ----------
    per_minute
        How many it allows.
    """

    per_minute: float
    wait: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _next_s: float = field(default=float("-inf"), init=False)
    _lock: Lock = field(default_factory=Lock, init=False)

    def await_turn(self) -> None:
        """Wait until the next request may begin."""
        with self._lock:
            now_s = self.clock()
            turn_s = max(now_s, self._next_s)
            self._next_s = turn_s + 60.0 / self.per_minute
        if turn_s > now_s:
            self.wait(turn_s - now_s)


def _log_pause(what: str, error: KurswerkError, seconds: float) -> None:
    log.warning("asking again", about=what, reason=str(error), seconds=round(seconds, 1))


@dataclass(frozen=True)
class Retries:
    """Repeats what failed for a reason that passes.

    Attributes
    ----------
    attempts
        How often it is tried at most.
    first_wait_s, longest_wait_s
        The pause after the first failure, which doubles with each; spread by half either way, so that several clients
        do not come back at the same moment. Who asks for a longer one than the longest is not asked again.
    wait
        Waits for some seconds.
    is_stopped
        Whether nothing is to be tried again.
    report
        Is given what is tried again, why it failed, and after how many seconds; the log by default.
    """

    attempts: int = 5
    first_wait_s: float = 1.0
    longest_wait_s: float = 90.0
    wait: Callable[[float], None] = time.sleep
    is_stopped: Callable[[], bool] = lambda: False
    spread: Callable[[float, float], float] = random.uniform
    report: Callable[[str, KurswerkError, float], None] = _log_pause

    def call(self, work: Callable[[], Answer], what: str) -> Answer:
        """Return what ``work`` returns.

        Raises
        ------
        TransientSourceError
            If it failed each time.
        """
        for attempt in range(1, self.attempts + 1):
            try:
                return work()
            except TransientSourceError as error:
                wait_s = min(self.first_wait_s * 2.0 ** (attempt - 1), self.longest_wait_s) * self.spread(0.5, 1.5)
                if isinstance(error, SourceBusyError):
                    wait_s = max(wait_s, error.wait_s)
                if attempt == self.attempts or wait_s > 1.5 * self.longest_wait_s or self.is_stopped():
                    raise
                self.report(what, error, wait_s)
                self.wait(wait_s)
        raise ValueError(self.attempts)
