"""Alerts: rules that call for notifications, cool-downs, and deliveries that are retried until they arrive.

How a message is sent is a channel's business (`kurswerk.channels`); here a channel is only what it declares of itself.
"""

from kurswerk.alerts._channel import Channel, ChannelKind, public_target
from kurswerk.alerts._deliveries import (
    CLAIM_S,
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    DeliveryStore,
    Dispatcher,
    ReceiverBusyError,
    deliver,
)
from kurswerk.alerts._delivery import Delivery, MessageModel, RowContext, RowContextSource
from kurswerk.alerts._delivery_loop import DeliveryLoop
from kurswerk.alerts._evaluation import AlertRule, Notification, evaluate_rules, without_repeats
from kurswerk.alerts._notice import Notice, rules_for
from kurswerk.alerts._rules import AlertStore, check_agreement, check_rule, create_rule

__all__ = [
    "CLAIM_S",
    "FIRST_PAUSE_S",
    "LONGEST_PAUSE_S",
    "AlertRule",
    "AlertStore",
    "Channel",
    "ChannelKind",
    "Delivery",
    "DeliveryLoop",
    "DeliveryStore",
    "Dispatcher",
    "MessageModel",
    "Notice",
    "Notification",
    "ReceiverBusyError",
    "RowContext",
    "RowContextSource",
    "check_agreement",
    "check_rule",
    "create_rule",
    "deliver",
    "evaluate_rules",
    "public_target",
    "rules_for",
    "without_repeats",
]
