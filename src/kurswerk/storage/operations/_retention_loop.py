"""Retention cleanup, once an hour."""

import threading
from collections.abc import Callable, Mapping, Sequence

from kurswerk.core.errors import KurswerkError
from kurswerk.observability import get_logger

log = get_logger(__name__)
_INTERVAL_S = 3600.0


def clean_up_regularly(
    steps: Sequence[Callable[[], Mapping[str, int]]], stop: threading.Event, *, interval_s: float = _INTERVAL_S
) -> None:
    """Remove what nobody needs any more now, and again at each interval until ``stop`` is set.

    A step that fails, such as one that does not reach its database, is tried again at the next interval, and keeps the
    others from nothing. What is cut off in the middle is rolled back.

    Parameters
    ----------
    steps
        Each removes something, and returns how much of what.
    """
    while not stop.is_set():
        for step in steps:
            try:
                log.info("retention cleanup", **step())
            except KurswerkError as error:
                log.warning("retention cleanup failed", reason=str(error))
        stop.wait(interval_s)
