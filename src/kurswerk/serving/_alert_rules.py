"""Rules that send messages: which make sense, and how one is made."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from kurswerk.core.errors import NotFoundError, SpecError
from kurswerk.registry import ModelStore

Row = Mapping[str, Any]
_SCHEMES: Final = {"webhook": ("http://", "https://"), "smtp": ("smtp://", "smtps://")}


class AlertDesk(Protocol):
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

    def switch_rule(self, rule_id: int, *, active: bool) -> Row:
        """Switch a rule on, or off with its messages that wait given up; NotFoundError if there is none."""
        ...

    def deliveries(self, limit: int = 100, offset: int = 0, chosen: Row | None = None) -> Sequence[Row]:
        """Return messages that have these values, newest first."""
        ...

    def retry(self, delivery_id: int) -> Row:
        """Send a message that was given up anew; NotFoundError if there is none, ConflictError if it was not."""
        ...


def check_rule(rule: Row) -> None:
    """Refuse a rule that could never send a message.

    Raises
    ------
    SpecError
        Where one end of the quiet hours is missing, more models must agree than are named, or the target does not suit
        the channel.

    Examples
    --------
    >>> check_rule({"channel": "log", "model_ids": [7], "least_agreeing": 2})
    Traceback (most recent call last):
    ...
    kurswerk.core.errors.SpecError: 2 cannot agree of 1 models; name more of them
    """
    if (rule.get("quiet_start") is None) != (rule.get("quiet_end") is None):
        raise SpecError("quiet hours need quiet_start and quiet_end")
    models, least = rule.get("model_ids") or (), rule.get("least_agreeing", 1)
    if models and least > len(models):
        raise SpecError(f"{least} cannot agree of {len(models)} models; name more of them")
    channel = str(rule["channel"])
    schemes = _SCHEMES.get(channel)
    if schemes and not str(rule.get("target") or "").startswith(schemes):
        raise SpecError(f"channel {channel} needs a target that begins with {' or '.join(schemes)}")


def create_rule(rule: Row, desk: AlertDesk, models: ModelStore) -> Row:
    """Store a rule of models that there are, and return it.

    Raises
    ------
    SpecError
        As `check_rule`, and for a model that there is not.
    ConflictError
        If the name is taken.
    """
    check_rule(rule)
    for model_id in rule.get("model_ids", ()):
        try:
            models.get(model_id)
        except NotFoundError as error:
            raise SpecError(str(error)) from error
    return desk.create_rule(rule)
