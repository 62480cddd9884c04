"""Who reads: language, time zone, light or dark, and what the reader may do."""

import math
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from zoneinfo import ZoneInfo

from kurswerk.dashboard._messages import phrasebook
from kurswerk.dashboard._translations import LANGUAGES, mark_number, translate
from kurswerk.reports import DARK, LIGHT, Theme

NOTHING: Final = "–"
MINUS: Final = "−"
EVERYTHING: Final = frozenset({"read", "train", "admin"})
_MOMENTS = {"en": "%b %-d, %Y, %H:%M", "de": "%d.%m.%Y, %H:%M"}


@dataclass(frozen=True)
class View:
    """How one reader wants to see things, and what the reader's key allows.

    Attributes
    ----------
    language
        ``en`` or ``de``; decides words and how numbers and times are written.
    time_zone
        An IANA name; what the system does not know is UTC.
    dark
        Whether figures stand on dark ground.
    scopes
        Of ``read``, ``train``, ``admin``.
    known
        Whether the browser has told its time zone and colours; before its first page is there it has not.
    """

    language: str = "en"
    time_zone: str = "UTC"
    dark: bool = False
    scopes: frozenset[str] = EVERYTHING
    known: bool = False

    @property
    def theme(self) -> Theme:
        """Colours of figures."""
        return DARK if self.dark else LIGHT

    @property
    def zone(self) -> ZoneInfo:
        """The reader's time zone."""
        return _zone(self.time_zone)

    def may(self, scope: str) -> bool:
        """Whether the reader's key allows this."""
        return scope in self.scopes or "admin" in self.scopes

    def t(self, text: str, **values: Any) -> str:
        """Translate a text of the catalogue and set the values into it.

        Examples
        --------
        >>> View(language="de").t("Models")
        'Modelle'
        """
        found = translate(text, self.language)
        return found.format(**values) if values else found

    def say(self, message: object) -> str:
        """Put what another part says, such as an error or a job's progress, into the reader's language.

        Examples
        --------
        >>> View(language="de").say(ValueError("fold 2 of 5: 1,200 rows"))
        'Teilung 2 von 5: 1.200 Zeilen'
        """
        return phrasebook(self.language).translated(str(message))

    def number(self, value: Any, digits: int = 0) -> str:
        """Write a number as the reader's language does; more decimals for one that would else vanish.

        Examples
        --------
        >>> View().number(1234.5, 1), View(language="de").number(1234.5, 1)
        ('1,234.5', '1.234,5')
        >>> View().number(0.00042, 2), View().number(None)
        ('0.00042', '–')
        """
        if value is None or isinstance(value, bool) or not math.isfinite(value):
            return NOTHING
        small = digits > 0 and 0 < abs(value) < 10.0**-digits
        text = f"{value:.2g}" if small else f"{value:,.{digits}f}"
        return mark_number(text, self.language).replace("-", MINUS)

    @property
    def decimal_mark(self) -> str:
        """What stands before decimals."""
        return mark_number(".", self.language)

    def price(self, value: float | None) -> str:
        """Write a price with five digits that count, and at least two decimals, however small it is.

        Examples
        --------
        >>> View().price(4.52871e-8), View().price(0.5), View(language="de").price(65432.109)
        ('0.000000045287', '0.50', '65.432,11')
        """
        size = abs(value) if value is not None and math.isfinite(value) else 0.0
        digits = 2 if size == 0 or size >= 1000 else max(2, 4 - math.floor(math.log10(size)))
        text = self.number(value, digits)
        mark = self.decimal_mark
        whole, _, decimals = text.partition(mark)
        return f"{whole}{mark}{decimals.rstrip('0').ljust(2, '0')}" if decimals else text

    def signed(self, value: Any, digits: int = 2) -> str:
        """Write a number with its sign."""
        text = self.number(value, digits)
        return text if text == NOTHING or text.startswith(MINUS) else f"+{text}"

    def percent(self, share: Any, digits: int = 1) -> str:
        """Write a share in [0, 1] as percent.

        Examples
        --------
        >>> View(language="de").percent(0.0481)
        '4,8 %'
        """
        return NOTHING if share is None else f"{self.number(100 * share, digits)} %"

    def threshold(self, share: float | None) -> str:
        """Write a share that somebody has chosen as percent, with the decimals it has, at most two.

        Examples
        --------
        >>> View().threshold(0.5), View().threshold(0.025), View().threshold(0.123456)
        ('50 %', '2.5 %', '12.35 %')
        """
        if share is None or not math.isfinite(share):
            return NOTHING
        shown = round(100 * share, 2)
        return f"{self.number(shown, next(digits for digits in range(3) if round(shown, digits) == shown))} %"

    def moment(self, value: datetime | str | None) -> str:
        """Write a moment in the reader's time zone, to the minute.

        Examples
        --------
        >>> View(language="de", time_zone="Europe/Berlin").moment("2024-07-01T02:00:00+00:00")
        '01.07.2024, 04:00'
        """
        return NOTHING if value is None else self.local(value).strftime(_MOMENTS[self.language])

    def second(self, value: datetime) -> str:
        """Write a moment in the reader's time zone, to the second.

        Examples
        --------
        >>> View(language="de", time_zone="Europe/Berlin").second(datetime(2024, 7, 1, 2, 0, 9, tzinfo=UTC))
        '01.07.2024, 04:00:09'
        """
        return f"{self.moment(value)}:{self.local(value):%S}"

    def moment_us(self, moment_us: int | None) -> str:
        """Write a moment given in microseconds UTC."""
        return NOTHING if moment_us is None else self.moment(datetime.fromtimestamp(moment_us / 1e6, UTC))

    def local(self, value: datetime | str) -> datetime:
        """Return a moment in the reader's time zone; a naive one is UTC."""
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(self.zone)

    def from_local(self, text: str) -> datetime:
        """Read what a form holds, in the reader's time zone, as UTC; ValueError if it is no time."""
        return datetime.fromisoformat(text).replace(tzinfo=self.zone).astimezone(UTC)

    def duration(self, seconds: float | None) -> str:
        """Write how long something took or is ago.

        Examples
        --------
        >>> View().duration(75), View(language="de").duration(7260), View().duration(200_000)
        ('1 min 15 s', '2 h 1 min', '2 d 7 h')
        """
        if seconds is None:
            return NOTHING
        if seconds < 10:
            return f"{self.number(seconds, 1)} s"
        whole = round(seconds)
        for size, unit, below, part in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
            if whole >= size:
                return f"{whole // size} {unit} {whole % size // below} {part}"
        return f"{whole} s"

    def ago(self, value: datetime | None) -> str:
        """Write how long ago a moment was."""
        if value is None:
            return NOTHING
        seconds = max((datetime.now(UTC) - self.local(value)).total_seconds(), 0.0)
        return self.t("{time} ago", time=self.duration(seconds))

    def size(self, n_bytes: float | None) -> str:
        """Write a number of bytes."""
        if n_bytes is None:
            return NOTHING
        for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
            if n_bytes >= size:
                return f"{self.number(n_bytes / size, 1)} {unit}"
        return f"{n_bytes:.0f} B"


CURRENT: Final[ContextVar[View]] = ContextVar("dashboard_view", default=View())  # noqa: B039 - frozen
# Path and query of the page that is being opened; empty where that is not known.
ADDRESS: Final[ContextVar[str]] = ContextVar("dashboard_address", default="")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


def view_in(language: object, zone: object) -> View:
    """Return the view of a reader of whom no more is known than language and time zone.

    Examples
    --------
    >>> view_in("de", "Europe/Berlin").t("yes"), view_in("xx", "nowhere").time_zone
    ('ja', 'UTC')
    """
    return View(str(language) if language in LANGUAGES else "en", _zone(str(zone)).key)


def view_of(headers: Mapping[str, str], scopes: frozenset[str] = EVERYTHING) -> View:
    """Read a reader's choices from the cookies; before any are made, from what the browser says of its language."""
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(headers.get("cookie", ""))
    except CookieError:
        jar.clear()
    chosen = {name: morsel.value for name, morsel in jar.items()}
    language = chosen.get("kw_language", "")
    if language not in LANGUAGES:
        spoken = [part.strip()[:2].lower() for part in headers.get("accept-language", "").split(",")]
        language = next((tongue for tongue in spoken if tongue in LANGUAGES), "en")
    zone = chosen.get("kw_zone", "UTC").replace("%2F", "/")
    dark = chosen.get("kw_scheme", chosen.get("kw_system")) == "dark"
    return View(language, _zone(zone).key, dark, scopes, known={"kw_zone", "kw_system"} <= chosen.keys())
