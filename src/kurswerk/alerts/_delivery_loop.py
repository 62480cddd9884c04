"""Delivery of alerts as they are raised, until it is stopped."""

import threading
import time
from collections.abc import Mapping

from kurswerk.alerts._channel import Channel
from kurswerk.alerts._deliveries import DeliveryStore, Dispatcher
from kurswerk.core.errors import KurswerkError
from kurswerk.observability import get_logger

log = get_logger(__name__)
# Alerts that other processes raised, and those to be retried, are found by polling.
_POLL_S = 0.5
# How often messages are looked for that wait only because the clock was set back.
_CLOCK_POLL_S = 10.0


class DeliveryLoop:
    """Sends alerts until it is stopped; a slow receiver holds up nobody, and the database may be away for a while.

    Parameters
    ----------
    store
        Keeps the deliveries.
    channels
        Name → what sends.
    poll_s
        How long an alert of another process waits at most; those of this one are sent at `wake`.
    """

    def __init__(self, store: DeliveryStore, channels: Mapping[str, Channel], *, poll_s: float = _POLL_S) -> None:
        self._store, self._channels, self._poll_s = store, channels, poll_s
        self._raised = threading.Event()

    def wake(self) -> None:
        """Look for alerts now: some were raised, or it is to stop."""
        self._raised.set()

    def run(self, stop: threading.Event) -> None:
        """Send alerts until ``stop`` is set; `wake` then makes it notice at once."""
        dispatcher, next_clock_poll = Dispatcher(self._store, self._channels), 0.0
        while not stop.is_set():
            try:
                if time.monotonic() >= next_clock_poll:
                    self._store.release_after_clock_change()
                    next_clock_poll = time.monotonic() + _CLOCK_POLL_S
                idle = not dispatcher.start_due() and not dispatcher.under_way
                if not idle:
                    dispatcher.collect(self._poll_s)
            except KurswerkError as error:
                log.warning("alerts wait", reason=str(error))
                idle = True
            if idle and self._raised.wait(self._poll_s):
                self._raised.clear()
