"""Deliveries: messages are claimed, sent side by side, and retried with back-off until they arrive."""

import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

from kurswerk.alerts._channel import Channel
from kurswerk.alerts._delivery import Delivery
from kurswerk.core.errors import KurswerkError
from kurswerk.core.messages import Message
from kurswerk.observability import get_logger

log = get_logger(__name__)
MOST_ATTEMPTS = 20
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 3600.0
_AT_ONCE = 32
_LONGEST_TEXT = 1000  # of what a library or a receiver answers
# A claim outlasts every attempt: a dispatcher that dies is relieved, one that lives is never doubled.
CLAIM_S, ATTEMPT_TIMEOUT_S = 20.0, 15.0


class ReceiverBusyError(KurswerkError):
    """A receiver that limits its messages asks to be tried again later.

    Parameters
    ----------
    retry_after_s
        In how many seconds, at the soonest.
    """

    def __init__(self, code: str, /, *, retry_after_s: float, **params: Any) -> None:
        super().__init__(code, **params)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class _Failure:
    """Why an attempt failed, and how long the receiver wants to be left alone at least."""

    error: Message
    retry_after_s: float = 0.0


class DeliveryStore(Protocol):
    """Keeps deliveries until they have arrived."""

    def claim(self, limit: int) -> Sequence[Delivery]:
        """Return messages that are due; nobody else gets them within `CLAIM_S`."""
        ...

    def sent(self, *delivery_ids: int) -> None:
        """Mark deliveries as arrived."""
        ...

    def failed(self, delivery_id: int, error: Message, retry_in_s: float | None) -> None:
        """Mark an attempt as failed; with None the delivery is given up."""
        ...

    def release_after_clock_change(self) -> int:
        """Make deliveries due that wait only because the clock was set back; return how many."""
        ...


class Dispatcher:
    """Sends deliveries side by side, so that a slow receiver does not hold up the others.

    Used by one thread; each attempt has a thread of its own, which a stopping service does not wait for.
    """

    def __init__(
        self, store: DeliveryStore, channels: Mapping[str, Channel], *, timeout_s: float = ATTEMPT_TIMEOUT_S
    ) -> None:
        self._store, self._channels, self._timeout_s = store, channels, timeout_s
        self._done: queue.SimpleQueue[tuple[int, _Failure | None]] = queue.SimpleQueue()
        self._numbers = count()
        self._open: dict[int, tuple[Delivery, float]] = {}  # number of an attempt → delivery and its deadline

    @property
    def under_way(self) -> int:
        """How many messages are being sent."""
        return len(self._open)

    def start_due(self) -> int:
        """Start to send deliveries that are due; return how many."""
        free = _AT_ONCE - self.under_way
        claimed = self._store.claim(free) if free else []
        for delivery in claimed:
            number = next(self._numbers)
            self._open[number] = delivery, time.monotonic() + self._timeout_s
            threading.Thread(target=self._try, args=[number, delivery], name="kurswerk-alert", daemon=True).start()
        return len(claimed)

    def collect(self, wait_s: float | None = None) -> None:
        """Record what became of attempts; wait so long for the first one.

        A failed one is retried after 2 s, 4 s, … up to an hour, twenty times in all, and not before the receiver
        wants it. An attempt that exceeds its timeout has failed, whatever the receiver answers later.
        """
        ended = self._ended(wait_s)
        now, late = time.monotonic(), _Failure(Message("alert.no_answer", seconds=self._timeout_s))
        found = {number: late for number, (_, until) in self._open.items() if until <= now} | ended
        # An attempt that timed out may end later; its result no longer counts.
        outcome = [(self._open.pop(number)[0], failure) for number, failure in found.items() if number in self._open]
        if arrived := [delivery.id for delivery, failure in outcome if failure is None]:
            self._store.sent(*arrived)
        for delivery, failure in outcome:
            if failure is not None:
                pause = min(LONGEST_PAUSE_S, max(FIRST_PAUSE_S * 2**delivery.attempts, failure.retry_after_s))
                over = delivery.attempts + 1 >= MOST_ATTEMPTS
                log.warning("an alert was not delivered", key=delivery.key, reason=str(failure.error), given_up=over)
                self._store.failed(delivery.id, failure.error, None if over else pause)

    def _ended(self, wait_s: float | None) -> dict[int, _Failure | None]:
        """Wait for the first attempt that ends or times out; return those that have ended."""
        least = min((until for _, until in self._open.values()), default=None)
        remaining = None if least is None else max(0.0, least - time.monotonic())
        waits = [seconds for seconds in (wait_s, remaining) if seconds is not None]
        ended: dict[int, _Failure | None] = {}
        try:
            number, failure = self._done.get(timeout=min(waits, default=None))
            while True:
                ended[number] = failure
                number, failure = self._done.get_nowait()
        except queue.Empty:
            return ended

    def _try(self, number: int, delivery: Delivery) -> None:
        try:
            self._channels[delivery.channel].send(delivery)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, it is tried again
            wait_s = error.retry_after_s if isinstance(error, ReceiverBusyError) else 0.0
            self._done.put((number, _Failure(_error_message(error, delivery), wait_s)))
        else:
            self._done.put((number, None))


def _error_message(error: Exception, delivery: Delivery) -> Message:
    """Return an error's message without the rule's target and secret, which would let others send in its name."""
    if isinstance(error, KurswerkError):
        message = error.message
    else:
        message = Message("alert.attempt_failed", kind=type(error).__name__, reason=str(error))

    def without_secrets(text: str) -> str:
        for hidden in filter(None, (delivery.target, delivery.secret, delivery.previous_secret)):
            text = text.replace(hidden, "…")
        return text[:_LONGEST_TEXT]

    return message.map_text(without_secrets)


def deliver(store: DeliveryStore, channels: Mapping[str, Channel]) -> int:
    """Send deliveries that are due, each at least once, and wait for their outcome; return how many."""
    dispatcher = Dispatcher(store, channels)
    sent = dispatcher.start_due()
    while dispatcher.under_way:
        dispatcher.collect()
    return sent
