"""Message templates and their values become text.

Templates are format strings. ``{name}`` is the value as it is, a list parted by commas. After a colon stands how a
value is written in the reader's language: ``{rows:n}`` a number with grouped thousands, ``{share:n1}`` one with exactly
one decimal, ``{start:t}`` a moment, in UTC, ``{names:or}`` and ``{names:and}`` a list, ``{status:status}`` the state of
a model, job or delivery.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from string import Formatter
from typing import Any, Final, Protocol, runtime_checkable

from babel.dates import format_datetime
from babel.lists import format_list
from babel.numbers import format_decimal
from typing_extensions import override

from kurswerk.core.catalogues import ENGLISH, catalogue

_NUMBER: Final = re.compile(r"n(\d?)")
_UP_TO_SIX_DECIMALS: Final = "#,##0.######"


@runtime_checkable
class _Renderable(Protocol):
    def render(self, locale: str) -> str: ...


class _LocaleFormatter(Formatter):
    """Formats values as a locale does; a value that is missing leaves its hole, for an error must never fail."""

    def __init__(self, locale: str) -> None:
        self._locale = locale

    @override
    def get_value(self, key: int | str, args: Any, kwargs: Mapping[str, Any]) -> Any:
        return kwargs.get(str(key), f"{{{key}}}")

    @override
    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, list):
            return self._list([self.format_field(item, "") for item in value], format_spec)
        if isinstance(value, _Renderable):
            return value.render(self._locale)
        if format_spec == "t":
            return self._moment(str(value))
        if format_spec == "status":
            return _template(f"status.{str(value).lower()}", None, self._locale) or str(value)
        number = _NUMBER.fullmatch(format_spec)
        if number and isinstance(value, int | float) and not isinstance(value, bool):
            decimals = f"#,##0.{'0' * int(number[1])}" if number[1] else _UP_TO_SIX_DECIMALS
            return format_decimal(value, decimals.removesuffix("."), locale=self._locale)
        return str(value)

    def _list(self, items: list[str], style: str) -> str:
        if style not in {"and", "or"}:
            return ", ".join(items)
        # British English puts no comma before the last, and so does pydantic.
        locale = "en_GB" if self._locale == ENGLISH else self._locale
        return format_list(items, "or" if style == "or" else "standard", locale=locale)

    def _moment(self, text: str) -> str:
        """Return ISO 8601 text as the locale writes it; English messages keep ISO 8601, which logs are read by."""
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return text
        return text if self._locale == ENGLISH else f"{format_datetime(moment, locale=self._locale)} UTC"


def render(code: str, params: Mapping[str, Any], locale: str) -> str:
    """Return the message of a code in a locale, in English where the locale lacks it, else the code itself."""
    for language in dict.fromkeys((locale, ENGLISH)):
        template = _template(code, params.get("count"), language)
        if template is not None:
            return _LocaleFormatter(language).vformat(template, (), params)
    return code


def is_known(code: str) -> bool:
    """Return whether this version has words for a code."""
    return _template(code, None, ENGLISH) is not None


def _template(code: str, count: object, locale: str) -> str | None:
    """Return the template of a code, in the plural form of a count."""
    texts = catalogue("messages", locale)
    number = count if isinstance(count, int) else 2
    found = texts.ngettext(code, code, number)
    found = texts.gettext(code) if found == code else found
    return None if found == code or not code else found
