"""What Kurswerk reports to people: a code and parameters, put into words when somebody reads it."""

import math
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, init=False)
class Message:
    """A message for people, in no language yet.

    The words stand in the catalogues ``locale/<locale>/LC_MESSAGES/messages.po``, one template for each code.

    Parameters
    ----------
    code
        Dotted name of what is reported, ``"area.what_is_wrong"``. A code that the catalogues lack is shown as it is.
    **params
        The values of the template. They are kept as what JSON has: text, numbers, booleans, None, lists and objects of
        them, and further messages. Moments become ISO 8601 text, errors of ours their message, everything else its
        text. Where a template has a plural, ``count`` decides.

    Examples
    --------
    >>> message = Message("file.too_many_columns", file="a.csv", count=70000, most=20000)
    >>> str(message)
    'a.csv has 70,000 columns; at most 20,000 can be read'
    >>> message.render("de")
    'a.csv hat 70.000 Spalten; höchstens 20.000 lassen sich lesen'
    >>> Message.from_json(message.as_json()) == message
    True
    """

    code: str
    params: Mapping[str, Any]

    def __init__(self, code: str, /, **params: Any) -> None:
        object.__setattr__(self, "code", code)
        object.__setattr__(self, "params", {name: _plain(value) for name, value in params.items()})

    def __str__(self) -> str:
        return self.render()

    def render(self, locale: str = "en") -> str:
        """Return the message in words, in English where a locale lacks it."""
        # Babel takes a third of a command's whole start, and a command that reports nothing needs none of it.
        from kurswerk.core._rendering import render  # noqa: PLC0415

        return render(self.code, self.params, locale)

    @property
    def is_known(self) -> bool:
        """Whether this version has words for it and for all messages in it.

        Examples
        --------
        >>> Message("job.done").is_known, Message("job.put_back", reason=Message("of.a.later.version")).is_known
        (True, False)
        """
        from kurswerk.core._rendering import is_known  # noqa: PLC0415 - as in render

        return is_known(self.code) and all(map(_is_known, self.params.values()))

    def map_text(self, change: Callable[[str], str]) -> "Message":
        """Return the message with every text among its values changed, for example without secrets.

        Examples
        --------
        >>> str(Message("file.missing", path="a").map_text(str.upper))
        'A does not exist'
        """
        return Message(self.code, **{name: _map_text(value, change) for name, value in self.params.items()})

    def as_json(self) -> dict[str, Any]:
        """Return code and parameters as JSON, where no number is infinite."""
        return {"code": self.code, "params": {name: _to_json(value) for name, value in self.params.items()}}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Message":
        """Return the message that ``as_json`` wrote."""
        return cls(document["code"], **{name: _from_json(value) for name, value in document["params"].items()})


def _plain(value: Any) -> Any:
    """Return a value as what JSON has, or a message."""
    if value is None or isinstance(value, bool | int | float | str | Message):
        return value
    if isinstance(value, BaseException):
        message = getattr(value, "message", None)
        return message if isinstance(message, Message) else str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence | Set) and not isinstance(value, bytes | bytearray):
        return [_plain(item) for item in value]
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a number of numpy
        return _plain(value.item())
    return str(value)


def _is_known(value: Any) -> bool:
    if isinstance(value, Message):
        return value.is_known
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(map(_is_known, items))


def _map_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Message):
        return value.map_text(change)
    if isinstance(value, list):
        return [_map_text(item, change) for item in value]
    if isinstance(value, dict):
        return {change(name): _map_text(item, change) for name, item in value.items()}
    return value


def _to_json(value: Any) -> Any:
    if isinstance(value, Message):
        return value.as_json()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list):
        return [_to_json(item) for item in value]
    if isinstance(value, dict):
        return {name: _to_json(item) for name, item in value.items()}
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"code", "params"}:
            return Message.from_json(value)
        return {name: _from_json(item) for name, item in value.items()}
    return [_from_json(item) for item in value] if isinstance(value, list) else value
