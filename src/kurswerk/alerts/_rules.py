"""Alert rules: which are valid, and how one is created."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from kurswerk.alerts._channel import ChannelKind
from kurswerk.core.errors import NotFoundError, SpecError, UnknownNameError
from kurswerk.registry import ModelStore

Row = Mapping[str, Any]


class AlertStore(Protocol):
    """Keeps the rules that send messages, and the messages."""

    def rules(self) -> Sequence[Row]:
        """Return all rules without their secrets."""
        ...

    def create_rule(self, rule: Row) -> Row:
        """Store a rule; ConflictError if the name is taken."""
        ...

    def delete_rule(self, rule_id: int) -> None:
        """Remove a rule; NotFoundError if there is none."""
        ...

    def replace_secret(self, rule_id: int, secret: str, grace_s: float) -> Row:
        """Give a rule another secret, with the one before beside it for a while; NotFoundError if there is no rule."""
        ...

    def switch_rule(self, rule_id: int, *, active: bool) -> Row:
        """Switch a rule on, or off with its messages that wait given up; NotFoundError if there is none."""
        ...

    def deliveries(self, limit: int = 100, offset: int = 0, chosen: Row | None = None) -> Sequence[Row]:
        """Return messages that have these values, newest first."""
        ...

    def retry(self, delivery_id: int) -> Row:
        """Send a message that was given up anew; NotFoundError if there is none, ConflictError if it was not."""
        ...


def check_rule(rule: Row, channels: Mapping[str, ChannelKind]) -> None:
    """Refuse a rule that could never send a message.

    Parameters
    ----------
    channels
        The registered channels by name.

    Raises
    ------
    SpecError
        Where one end of the quiet hours is missing, more models must agree than are named, the target does not suit
        the channel, or the secret is missing that the channel cannot do without.
    UnknownNameError
        For a channel that is not registered.

    Examples
    --------
    >>> check_rule({"channel": "log", "model_ids": [7], "least_agreeing": 2}, {})
    Traceback (most recent call last):
    ...
    kurswerk.core.errors.SpecError: 2 cannot agree of 1 model; name more of them
    """
    check_agreement(rule)
    kind = channels.get(str(rule["channel"]))
    if kind is None:
        raise UnknownNameError("alert_rule.unknown_channel", name=str(rule["channel"]), known=channels)
    if not kind.accepts(rule.get("target")):
        raise SpecError("alert_rule.target_needed", channel=kind.name, prefixes=list(kind.target_prefixes))
    if kind.secret_required and not rule.get("secret"):
        raise SpecError("alert_rule.secret_needed", channel=kind.name, secret=str(kind.secret))


def check_agreement(rule: Row) -> None:
    """Refuse a rule whose parts contradict each other, whatever its channel.

    Raises
    ------
    SpecError
        Where one end of the quiet hours is missing, or more models must agree than are named.
    """
    if (rule.get("quiet_start") is None) != (rule.get("quiet_end") is None):
        raise SpecError("alert_rule.quiet_hours_incomplete")
    models, least = rule.get("model_ids") or (), rule.get("least_agreeing", 1)
    if models and least > len(models):
        raise SpecError("alert_rule.too_few_models", least=least, count=len(models))


def create_rule(rule: Row, store: AlertStore, models: ModelStore, channels: Mapping[str, ChannelKind]) -> Row:
    """Check and store a rule, and return it.

    Raises
    ------
    SpecError
        As `check_rule`, and for a model that does not exist.
    UnknownNameError
        As `check_rule`.
    ConflictError
        If the name is taken.
    """
    check_rule(rule, channels)
    for model_id in rule.get("model_ids", ()):
        try:
            models.get(model_id)
        except NotFoundError as error:
            raise SpecError(error.message.code, **error.message.params) from error
    return store.create_rule(rule)
