"""The catalogue of texts: English in the code, the other languages in ``translations/``."""

import json
from functools import cache
from pathlib import Path
from typing import Final

LANGUAGES: Final[dict[str, str]] = {"en": "English", "de": "Deutsch"}
_FOLDER = Path(__file__).parent / "translations"
# What groups thousands, and what stands before decimals.
_MARKS: Final = {"en": (",", "."), "de": (".", ",")}


@cache
def catalogue(language: str) -> dict[str, str]:
    """Return English text → text of a language; empty for English."""
    path = _FOLDER / f"{language}.json"
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def translate(text: str, language: str) -> str:
    """Return a text in a language; as it is where the catalogue lacks it.

    Examples
    --------
    >>> translate("Jobs", "de"), translate("Cancel", "de")
    ('Aufträge', 'Abbrechen')
    """
    return catalogue(language).get(text, text)


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
