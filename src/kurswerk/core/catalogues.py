"""The gettext catalogues of the package: message templates by code, and the dashboard's words by their English."""

from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from importlib.resources.abc import Traversable
from io import BytesIO
from typing import Final

ENGLISH: Final = "en"
# Errors, logs and the command line are English; the dashboard asks for its reader's language.
LOCALES: Final = (ENGLISH, "de")


@cache
def catalogue(domain: str, locale: str) -> NullTranslations:
    """Return the translations of a domain into a locale; empty where there are none.

    A wheel holds compiled catalogues. In a source tree their sources are read, so that they are never out of date.

    Parameters
    ----------
    domain
        ``"messages"``, by code, or ``"dashboard"``, by English text.
    locale
        Such as ``"de"``.

    Examples
    --------
    >>> catalogue("messages", "de").gettext("file.missing")
    '{path} gibt es nicht'
    >>> catalogue("messages", "xx").gettext("file.missing")
    'file.missing'
    """
    if locale not in LOCALES:
        return NullTranslations()
    folder = files("kurswerk") / "locale" / locale / "LC_MESSAGES"
    compiled, source = folder / f"{domain}.mo", folder / f"{domain}.po"
    if compiled.is_file():
        with compiled.open("rb") as file:
            return GNUTranslations(file)
    return _compile(source, locale) if source.is_file() else NullTranslations()


def _compile(source: Traversable, locale: str) -> GNUTranslations:
    # What reads and writes catalogues takes 30 ms to import, and an installed wheel needs none of it.
    from babel.messages.mofile import write_mo  # noqa: PLC0415
    from babel.messages.pofile import read_po  # noqa: PLC0415

    compiled = BytesIO()
    with source.open("rb") as file:
        write_mo(compiled, read_po(file, locale=locale))
    compiled.seek(0)
    return GNUTranslations(compiled)
