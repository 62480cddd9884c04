"""The words of the interface: English in the code, other languages in ``locale/…/dashboard.po``."""

from typing import Final

from kurswerk.core.catalogues import catalogue

LANGUAGES: Final[dict[str, str]] = {"en": "English", "de": "Deutsch"}


def translate(text: str, language: str) -> str:
    """Return a text in a language; as it is where the catalogue lacks it.

    Examples
    --------
    >>> translate("Jobs", "de"), translate("Cancel", "de")
    ('Aufträge', 'Abbrechen')
    """
    return catalogue("dashboard", language).gettext(text) if text else text


def translate_count(one: str, many: str, count: int, language: str) -> str:
    """Return the form of a text that a language has for a count; ``one`` and ``many`` are the English ones.

    Examples
    --------
    >>> translate_count("{n} coin", "{n} coins", 2, "en"), translate_count("{n} coin", "{n} coins", 1, "de")
    ('{n} coins', '{n} Coin')
    """
    return catalogue("dashboard", language).ngettext(one, many, count)


def N_(text: str) -> str:  # noqa: N802 - the name that translators' tools know
    """Mark a text that is translated where it is shown."""
    return text
