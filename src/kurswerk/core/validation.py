"""What pydantic found wrong in a field, as a message of ours."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from kurswerk.core.messages import Message

# Types of pydantic's errors that have words of ours; their values are in its context.
_KNOWN: Final = {
    "missing": "validation.missing",
    "finite_number": "validation.finite_number",
    "bool_type": "validation.boolean",
    "bool_parsing": "validation.boolean_text",
    "int_type": "validation.integer",
    "float_type": "validation.number",
    "string_type": "validation.text",
    "dict_type": "validation.object",
    "tuple_type": "validation.list",
    "datetime_type": "validation.datetime",
    "greater_than": "validation.greater_than",
    "greater_than_equal": "validation.at_least",
    "less_than": "validation.less_than",
    "less_than_equal": "validation.at_most",
    "literal_error": "validation.choice",
    "string_too_short": "validation.text_too_short",
    "string_too_long": "validation.text_too_long",
    "string_pattern_mismatch": "validation.pattern",
    "too_short": "validation.too_few_items",
    "too_long": "validation.too_many_items",
    "extra_forbidden": "validation.unknown_field",
}
_CHOICE: Final = re.compile(r"'[^']*'")
_CHOICES: Final = re.compile(r"'[^']*'(?:(?:, | or )'[^']*')*")


def validation_message(item: Mapping[str, Any]) -> Message:
    """Return what is wrong, by one entry of ``ValidationError.errors()``.

    Errors of validators of ours have a message's code as their type; what is not known keeps pydantic's English.

    Examples
    --------
    >>> item = {"type": "less_than_equal", "msg": "Input should be less than or equal to 9", "ctx": {"le": 9}}
    >>> str(validation_message(item)), validation_message(item).render("de")
    ('Input should be less than or equal to 9', 'Erlaubt: höchstens 9')
    """
    kind, context = str(item["type"]), dict(item.get("ctx") or {})
    if "." in kind:
        return Message(kind, **{name: value for name, value in context.items() if name != "english"})
    if kind in _KNOWN:
        return Message(_KNOWN[kind], **_values(context))
    return Message("validation.other", text=str(item["msg"]).removeprefix("Value error, "))


def _values(context: dict[str, Any]) -> dict[str, Any]:
    """Return pydantic's context with what lists and plurals need."""
    count = context.get("max_length", context.get("min_length"))
    values = context if count is None else {**context, "count": count}
    expected = str(values.get("expected", ""))
    # Pydantic joins the choices by an English "or".
    return {**values, "expected": _CHOICE.findall(expected)} if _CHOICES.fullmatch(expected) else values


def wrong_fields(items: Sequence[Any]) -> list[tuple[str, Message]]:
    """Return every wrong field by its dotted name, with what is wrong."""
    return [(".".join(str(part) for part in item["loc"]), validation_message(item)) for item in items]
