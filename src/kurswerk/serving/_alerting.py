"""From probabilities to messages: rules that say when, and deliveries that are tried until they arrive."""

import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any, Protocol

import numpy as np

from kurswerk.observability import get_logger
from kurswerk.serving.ports import AlertRule, Bool, FeedWork, Int, NewDelivery, Score

log = get_logger(__name__)
MOST_ATTEMPTS = 20
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 3600.0
_AT_ONCE = 32
# A sender that dies is relieved after so long; no try takes longer than the patience.
CLAIM_S, PATIENCE_S = 20.0, 15.0


def agreed(
    rules: Sequence[AlertRule],
    models: Int,
    thresholds: Sequence[float],
    coins: Sequence[str],
    timestamps: Int,
    outcome: tuple[Score, Bool],
) -> list[NewDelivery]:
    """Return what rules have to say about rows, in the order given; cool-downs are kept where they are stored.

    Parameters
    ----------
    models, thresholds
        Ids of the models and their own thresholds, which count where a rule names none.
    outcome
        Probabilities and which were given, shape (n, m).

    Examples
    --------
    >>> rule = AlertRule(1, (), 2, 0.8)
    >>> scores = np.array([[0.9, 0.85], [0.9, 0.1]], dtype=np.float32)
    >>> found = agreed([rule], np.array([7, 8]), [0.5, 0.5], ["A", "B"], np.array([1, 2]), (scores, scores > 0))
    >>> [(one.coin_id, one.model_ids) for one in found]
    [('A', (7, 8))]
    """
    scores, given = outcome
    found: list[NewDelivery] = []
    for rule in rules:
        asked = np.isin(models, rule.model_ids) if rule.model_ids else np.ones(len(models), dtype=np.bool_)
        least = np.asarray(thresholds if rule.min_probability is None else [rule.min_probability] * len(models))
        saying = given & asked & (scores.astype(np.float64) >= least)
        for i in np.flatnonzero(saying.sum(axis=1) >= rule.least_agreeing).tolist():
            ids = tuple(int(model) for model in models[saying[i]])
            highest = float(scores[i][saying[i]].max())
            found.append(NewDelivery(rule.id, coins[i], int(timestamps[i]), ids, highest))
    return found


def say(
    work: FeedWork,
    models: Int,
    thresholds: Sequence[float],
    rows: tuple[Sequence[str], Int],
    outcome: tuple[Score, Bool],
) -> None:
    """Store what the rules in force have to say about coins and timestamps, with their predictions."""
    if rules := work.alert_rules():
        found = agreed(rules, models, thresholds, *rows, outcome)
        if found:
            work.send(found)


@dataclass(frozen=True)
class Delivery:
    """A message on its way.

    Attributes
    ----------
    key
        The same however often it is sent, so that a receiver can tell.
    """

    id: int
    key: str
    rule: str
    channel: str
    target: str | None
    secret: str | None
    coin_id: str
    timestamp: datetime
    model_ids: tuple[int, ...]
    probability: float
    attempts: int

    def message(self) -> dict[str, Any]:
        """Return what is sent, as JSON."""
        return {
            "id": self.key,
            "rule": self.rule,
            "coin_id": self.coin_id,
            "timestamp": self.timestamp.isoformat().replace("+00:00", "Z"),
            "model_ids": list(self.model_ids),
            "probability": self.probability,
        }


class DeliveryStore(Protocol):
    """Keeps messages until they have arrived."""

    def claim(self, limit: int) -> Sequence[Delivery]:
        """Return messages that are due; nobody else gets them within `CLAIM_S`."""
        ...

    def sent(self, *delivery_ids: int) -> None:
        """Note that messages have arrived."""
        ...

    def failed(self, delivery_id: int, error: str, retry_in_s: float | None) -> None:
        """Note that a message has not arrived; None gives up."""
        ...

    def hasten(self) -> int:
        """Let messages be due that wait only because the clock was set back; return how many."""
        ...


class Channel(Protocol):
    """A way that messages take."""

    def send(self, delivery: Delivery) -> None:
        """Send a message; any exception means that it has not arrived."""
        ...


class Courier:
    """Sends messages side by side, so that one that takes long does not hold up the others.

    Used by one thread; each message is sent by a thread of its own that nobody waits for when the service stops.
    """

    def __init__(
        self, store: DeliveryStore, channels: Mapping[str, Channel], *, patience_s: float = PATIENCE_S
    ) -> None:
        self._store, self._channels, self._patience_s = store, channels, patience_s
        self._done: queue.SimpleQueue[tuple[int, str | None]] = queue.SimpleQueue()
        self._tries = count()
        self._open: dict[int, tuple[Delivery, float]] = {}  # number of a try → message and when it is given up

    @property
    def under_way(self) -> int:
        """How many messages are being sent."""
        return len(self._open)

    def send(self) -> int:
        """Start to send messages that are due, and return how many."""
        free = _AT_ONCE - self.under_way
        claimed = self._store.claim(free) if free else []
        for delivery in claimed:
            number = next(self._tries)
            self._open[number] = delivery, time.monotonic() + self._patience_s
            threading.Thread(target=self._try, args=[number, delivery], name="kurswerk-alert", daemon=True).start()
        return len(claimed)

    def settle(self, wait_s: float | None = None) -> None:
        """Note what became of messages; wait so long for the first one.

        One that has not arrived is tried again after 2 s, 4 s, … up to an hour, twenty times in all. A receiver that
        keeps a message longer than the patience has not got it, whatever it says later.
        """
        ended = self._ended(wait_s)
        now, late = time.monotonic(), f"no answer within {self._patience_s:g} s"
        found = {number: late for number, (_, until) in self._open.items() if until <= now} | ended
        # What was given up before may end at last; nobody asks for it any more.
        outcome = [(self._open.pop(number)[0], error) for number, error in found.items() if number in self._open]
        if arrived := [delivery.id for delivery, error in outcome if error is None]:
            self._store.sent(*arrived)
        for delivery, error in outcome:
            if error is not None:
                pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**delivery.attempts)
                over = delivery.attempts + 1 >= MOST_ATTEMPTS
                log.warning("an alert was not delivered", key=delivery.key, reason=error, given_up=over)
                self._store.failed(delivery.id, error[:1000], None if over else pause)

    def _ended(self, wait_s: float | None) -> dict[int, str | None]:
        """Wait for the first try that ends or is given up; return those that have ended."""
        least = min((until for _, until in self._open.values()), default=None)
        patience = None if least is None else max(0.0, least - time.monotonic())
        waits = [seconds for seconds in (wait_s, patience) if seconds is not None]
        ended: dict[int, str | None] = {}
        try:
            number, error = self._done.get(timeout=min(waits, default=None))
            while True:
                ended[number] = error
                number, error = self._done.get_nowait()
        except queue.Empty:
            return ended

    def _try(self, number: int, delivery: Delivery) -> None:
        try:
            self._channels[delivery.channel].send(delivery)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, it is tried again
            self._done.put((number, _in_words(error, delivery)))
        else:
            self._done.put((number, None))


def _in_words(error: Exception, delivery: Delivery) -> str:
    """Tell an error without the rule's address and secret, which may let others send in its name."""
    text = f"{type(error).__name__}: {error}"
    for hidden in (delivery.target, delivery.secret):
        if hidden:
            text = text.replace(hidden, "…")
    return text


def deliver(store: DeliveryStore, channels: Mapping[str, Channel]) -> int:
    """Send messages that are due, each at least once, and wait until each has arrived or not; return how many."""
    courier = Courier(store, channels)
    sent = courier.send()
    while courier.under_way:
        courier.settle()
    return sent
