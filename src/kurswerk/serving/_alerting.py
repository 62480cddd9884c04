"""From probabilities to messages: rules that say when, and deliveries that are tried until they arrive."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import numpy as np

from kurswerk.observability import get_logger
from kurswerk.serving.ports import AlertRule, Bool, FeedWork, Int, NewDelivery, Score

log = get_logger(__name__)
MOST_ATTEMPTS = 20
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 3600.0
# Sent side by side, within the time that they are claimed for.
_AT_ONCE = 10
# A sender that dies is relieved after so long; no channel waits longer for an answer.
CLAIM_S = 20.0


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
    >>> rule = AlertRule(1, (), 2, 0.8, 0)
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

    def sent(self, delivery_id: int) -> None:
        """Note that a message has arrived."""
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


def deliver(store: DeliveryStore, channels: Mapping[str, Channel]) -> int:
    """Send messages that are due, each at least once; return how many were tried.

    One that does not arrive is tried again after 2 s, 4 s, … up to an hour, twenty times in all.
    """
    claimed = store.claim(_AT_ONCE)
    errors: dict[int, str] = {}
    # Not an executor's: nobody waits for a slow receiver when the service stops.
    threads = [threading.Thread(target=_try, args=(channels, one, errors), daemon=True) for one in claimed]
    for thread in threads:
        thread.start()
    for delivery, thread in zip(claimed, threads, strict=True):
        thread.join()
        if error := errors.get(delivery.id):
            pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**delivery.attempts)
            over = delivery.attempts + 1 >= MOST_ATTEMPTS
            log.warning("an alert was not delivered", key=delivery.key, reason=error, given_up=over)
            store.failed(delivery.id, error[:1000], None if over else pause)
        else:
            store.sent(delivery.id)
    return len(claimed)


def _try(channels: Mapping[str, Channel], delivery: Delivery, errors: dict[int, str]) -> None:
    """Send a message; note why it has not arrived."""
    try:
        channels[delivery.channel].send(delivery)
    except Exception as error:  # noqa: BLE001 - whatever went wrong, it is tried again
        errors[delivery.id] = f"{type(error).__name__}: {error}"
