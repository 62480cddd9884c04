"""From probabilities to notifications: which rules call for a message about which rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Int = NDArray[np.int64]
Bool = NDArray[np.bool_]
Score = NDArray[np.float32]


@dataclass(frozen=True)
class AlertRule:
    """When to send a message: so many of some models (empty: all) reach a probability (None: their own thresholds)."""

    id: int
    model_ids: tuple[int, ...]
    least_agreeing: int
    min_probability: float | None


@dataclass(frozen=True)
class Notification:
    """A message that an alert rule calls for."""

    rule_id: int
    instrument: str
    timestamp_us: int
    model_ids: tuple[int, ...]
    probability: float


def evaluate_rules(
    rules: Sequence[AlertRule],
    models: Int,
    thresholds: Sequence[float],
    instruments: Sequence[str],
    timestamps: Int,
    outcome: tuple[Score, Bool],
) -> list[Notification]:
    """Return the notifications that rules call for, rule by rule, in the order of the rows.

    Cool-downs are not considered here: they depend on what was sent before (`without_repeats`).

    Parameters
    ----------
    models, thresholds
        Ids of the models, shape (m,), and their own thresholds, which count where a rule names none.
    instruments, timestamps
        Of the rows, shape (n,).
    outcome
        Probabilities, and which of them count, shape (n, m).

    Examples
    --------
    >>> rule = AlertRule(1, (), 2, 0.8)
    >>> scores = np.array([[0.9, 0.85], [0.9, 0.1]], dtype=np.float32)
    >>> found = evaluate_rules([rule], np.array([7, 8]), [0.5, 0.5], ["A", "B"], np.array([1, 2]), (scores, scores > 0))
    >>> [(one.instrument, one.model_ids) for one in found]
    [('A', (7, 8))]
    """
    scores, counted = outcome
    found: list[Notification] = []
    for rule in rules:
        asked = np.isin(models, rule.model_ids) if rule.model_ids else np.ones(len(models), dtype=np.bool_)
        least = np.asarray(thresholds if rule.min_probability is None else [rule.min_probability] * len(models))
        reached = counted & asked & (scores.astype(np.float64) >= least)
        for i in np.flatnonzero(reached.sum(axis=1) >= rule.least_agreeing).tolist():
            ids = tuple(int(model) for model in models[reached[i]])
            highest = float(scores[i][reached[i]].max())
            found.append(Notification(rule.id, instruments[i], int(timestamps[i]), ids, highest))
    return found


def without_repeats(
    notifications: Sequence[Notification],
    cooldown_us: Mapping[int, int],
    sent: Mapping[tuple[int, str], Sequence[tuple[int, Sequence[int]]]],
) -> list[Notification]:
    """Leave out notifications whose models were all named about the instrument within the rule's cool-down.

    Parameters
    ----------
    cooldown_us
        Cool-down of each rule, in microseconds of the rows' time; 0 or absent is none.
    sent
        Earlier notifications of (rule, instrument): timestamp and models named.

    Examples
    --------
    >>> found = [Notification(1, "A", second * 1_000_000, (7,), 0.9) for second in (0, 4, 12)]
    >>> [one.timestamp_us // 1_000_000 for one in without_repeats(found, {1: 10_000_000}, {})]
    [0, 12]
    """
    named = {key: list(entries) for key, entries in sent.items()}
    kept = []
    for one in notifications:
        pause = cooldown_us.get(one.rule_id, 0)
        before = named.setdefault((one.rule_id, one.instrument), [])
        recent = {m for moment, models in before if abs(moment - one.timestamp_us) < pause for m in models}
        if not recent.issuperset(one.model_ids):
            before.append((one.timestamp_us, one.model_ids))
            kept.append(one)
    return kept
