"""Retention cleanup, once an hour."""

import threading

from kurswerk.core.errors import KurswerkError
from kurswerk.observability import get_logger
from kurswerk.storage.operations._retention import clean_up
from kurswerk.storage.server import Database

log = get_logger(__name__)
_INTERVAL_S = 3600.0


def clean_up_regularly(database: Database, stop: threading.Event, *, interval_s: float = _INTERVAL_S) -> None:
    """Remove what nobody needs any more now, and again at each interval until ``stop`` is set.

    A database that cannot be reached is tried again at the next interval. What is cut off in the middle is rolled back.
    """
    while not stop.is_set():
        try:
            log.info("retention cleanup", **clean_up(database))
        except KurswerkError as error:
            log.warning("retention cleanup failed", reason=str(error))
        stop.wait(interval_s)
