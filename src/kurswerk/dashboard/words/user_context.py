"""Who uses the dashboard: language, time zone, colour scheme, and what the user's key allows."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final

from kurswerk.core.errors import KurswerkError
from kurswerk.core.messages import Message
from kurswerk.dashboard.words.catalogue import LANGUAGES, translate, translate_count
from kurswerk.dashboard.words.formats import NOTHING, Formats, time_zone_of
from kurswerk.reports import DARK, LIGHT, Theme

ALL_SCOPES: Final = frozenset({"read", "train", "admin"})


@dataclass(frozen=True)
class UserContext(Formats):
    """The formats and texts of one user, and what the user's key allows.

    Attributes
    ----------
    language
        ``en`` or ``de``; decides texts and formats.
    time_zone
        An IANA name; one that the system does not know is UTC.
    dark
        Whether charts stand on dark ground.
    scopes
        Of ``read``, ``train``, ``admin``.
    known
        Whether the browser has sent its time zone and colour scheme; with the first page it has not.
    """

    dark: bool = False
    scopes: frozenset[str] = ALL_SCOPES
    known: bool = False

    @property
    def theme(self) -> Theme:
        """Colours of charts."""
        return DARK if self.dark else LIGHT

    def may(self, scope: str) -> bool:
        """Whether the user's key allows this."""
        return scope in self.scopes or "admin" in self.scopes

    def t(self, text: str, **values: Any) -> str:
        """Translate a text of the catalogue and set the values into it.

        Examples
        --------
        >>> UserContext(language="de").t("Models")
        'Modelle'
        """
        found = translate(text, self.language)
        return found.format(**values) if values else found

    def tn(self, one: str, many: str, count: int, **values: Any) -> str:
        """Translate a text with a count, ``{n}``, by its English forms for one and for more.

        Examples
        --------
        >>> UserContext(language="de").tn("{n} coin", "{n} coins", 1200)
        '1.200 Coins'
        """
        return translate_count(one, many, count, self.language).format(n=self.number(count), **values)

    def message(self, message: object) -> str:
        """Return a message or an error in words; text, which older versions stored, stays as it is.

        Examples
        --------
        >>> UserContext(language="de").message(Message("progress.fold", number=2, folds=5, count=1200))
        'Teilung 2 von 5: 1.200 Zeilen'
        """
        return message.render(self.language) if isinstance(message, KurswerkError | Message) else str(message)

    def ago(self, value: datetime | None) -> str:
        """Format how long ago a time was."""
        if value is None:
            return NOTHING
        seconds = max((datetime.now(UTC) - self.local(value)).total_seconds(), 0.0)
        return self.t("{time} ago", time=self.duration(seconds))


CURRENT: Final[ContextVar[UserContext]] = ContextVar("dashboard_user", default=UserContext())  # noqa: B039 - frozen
# Path and query of the page that is being opened; empty where that is not known.
ADDRESS: Final[ContextVar[str]] = ContextVar("dashboard_address", default="")


def user_with(language: object, zone: object) -> UserContext:
    """Return a user of whom no more is known than language and time zone.

    Examples
    --------
    >>> user_with("de", "Europe/Berlin").t("yes"), user_with("xx", "nowhere").time_zone
    ('ja', 'UTC')
    """
    return UserContext(str(language) if language in LANGUAGES else "en", time_zone_of(str(zone)).key)


def user_from_headers(headers: Mapping[str, str], scopes: frozenset[str] = ALL_SCOPES) -> UserContext:
    """Return a user by the choices in the cookies; without one, in the language the browser prefers."""
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(headers.get("cookie", ""))
    except CookieError:
        jar.clear()
    chosen = {name: cookie.value for name, cookie in jar.items()}
    language = chosen.get("kw_language", "")
    if language not in LANGUAGES:
        preferred = [part.strip()[:2].lower() for part in headers.get("accept-language", "").split(",")]
        language = next((one for one in preferred if one in LANGUAGES), "en")
    zone = chosen.get("kw_zone", "UTC").replace("%2F", "/")
    dark = chosen.get("kw_scheme", chosen.get("kw_system")) == "dark"
    return UserContext(language, time_zone_of(zone).key, dark, scopes, known={"kw_zone", "kw_system"} <= chosen.keys())
