"""From probabilities to messages: rules that say when, and deliveries that are tried until they arrive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import numpy as np

from kurswerk.observability import get_logger
from kurswerk.serving.ports import AlertRule, Bool, FeedWork, Int, NewDelivery, Score

log = get_logger(__name__)
MOST_ATTEMPTS = 20
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 3600.0
# Sent one after the other, within the minute that they are claimed for.
_AT_ONCE = 10


def agreed(
    rules: Sequence[AlertRule],
    models: Int,
    thresholds: Sequence[float],
    coins: Sequence[str],
    timestamps: Int,
    outcome: tuple[Score, Bool],
) -> list[NewDelivery]:
    """Return what rules have to say about rows, in the order of time; per coin at most one within a cool-down.

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
        last: dict[str, int] = {}
        for i in np.flatnonzero(saying.sum(axis=1) >= rule.least_agreeing).tolist():
            coin, moment = coins[i], int(timestamps[i])
            if coin in last and moment - last[coin] < rule.cooldown_seconds * 1_000_000:
                continue
            last[coin] = moment
            ids = tuple(int(model) for model in models[saying[i]])
            found.append(NewDelivery(rule.id, coin, moment, ids, float(scores[i][saying[i]].max())))
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
        """Return messages that are due; nobody else gets them within a minute."""
        ...

    def sent(self, delivery_id: int) -> None:
        """Note that a message has arrived."""
        ...

    def failed(self, delivery_id: int, error: str, retry_in_s: float | None) -> None:
        """Note that a message has not arrived; None gives up."""
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
    for delivery in claimed:
        try:
            channels[delivery.channel].send(delivery)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, it is tried again
            pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**delivery.attempts)
            over = delivery.attempts + 1 >= MOST_ATTEMPTS
            log.warning("an alert was not delivered", key=delivery.key, reason=str(error), given_up=over)
            store.failed(delivery.id, f"{type(error).__name__}: {error}"[:1000], None if over else pause)
        else:
            store.sent(delivery.id)
    return len(claimed)
