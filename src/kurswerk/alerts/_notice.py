"""Notices: what people should know about the service itself, over the channels of the alert rules."""

from collections.abc import Sequence
from dataclasses import dataclass

from kurswerk.alerts._evaluation import AlertRule
from kurswerk.core.messages import Message


@dataclass(frozen=True)
class Notice:
    """An alert that no prediction raised, such as that a market's table has lost a column.

    Attributes
    ----------
    message
        What has happened and what to do.
    model_ids
        The models it concerns.
    """

    message: Message
    model_ids: tuple[int, ...]


def rules_for(notice: Notice, rules: Sequence[AlertRule]) -> tuple[int, ...]:
    """Return the ids of the rules that send a notice: those of all models, and those of a model it concerns.

    Examples
    --------
    >>> rules = [AlertRule(1, (), 1, None), AlertRule(2, (7, 8), 2, 0.9), AlertRule(3, (9,), 1, None)]
    >>> rules_for(Notice(Message("market.columns_missing"), (7,)), rules)
    (1, 2)
    """
    return tuple(rule.id for rule in rules if not rule.model_ids or set(rule.model_ids) & set(notice.model_ids))
