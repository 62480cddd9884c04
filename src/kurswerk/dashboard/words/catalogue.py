"""The words of the interface: English in the code, other languages in ``locale/…/dashboard.po``."""

from typing import Final

from kurswerk.core.catalogues import catalogue

LANGUAGES: Final[dict[str, str]] = {"en": "English", "de": "Deutsch"}
# What groups thousands, and what stands before decimals.
_MARKS: Final = {"en": (",", "."), "de": (".", ",")}


def translate(text: str, language: str) -> str:
    """Return a text in a language; as it is where the catalogue lacks it.

    Examples
    --------
    >>> translate("Jobs", "de"), translate("Cancel", "de")
    ('Aufträge', 'Abbrechen')
    """
    return catalogue("dashboard", language).gettext(text) if text else text


def mark_number(text: str, language: str) -> str:
    """Write a number that is written in English with the marks of a language.

    Examples
    --------
    >>> mark_number("1,234.5", "de")
    '1.234,5'
    """
    thousands, decimal = _MARKS[language]
    return text.translate({ord(","): thousands, ord("."): decimal})


def N_(text: str) -> str:  # noqa: N802 - the name that translators' tools know
    """Mark a text that is translated where it is shown."""
    return text
