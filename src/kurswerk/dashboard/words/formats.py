"""Numbers, dates and units as the user's language writes them, by the locale data of Babel (Unicode CLDR)."""

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import DateTimePattern, parse_pattern
from babel.numbers import format_compact_decimal, get_decimal_symbol, get_group_symbol
from babel.units import format_unit

NOTHING: Final = "–"
MINUS: Final = "−"
# More zeros behind the mark than this nobody counts; such a number is written with its power of ten.
_MAX_LEADING_ZEROS: Final = 9
# Seconds, unit, seconds of the smaller unit behind it, that unit.
_DURATIONS: Final = (
    (86_400, "duration-day", 3_600, "duration-hour"),
    (3_600, "duration-hour", 60, "duration-minute"),
    (60, "duration-minute", 1, "duration-second"),
)
_SIZES: Final = (
    (1e12, "digital-terabyte"),
    (1e9, "digital-gigabyte"),
    (1e6, "digital-megabyte"),
    (1e3, "digital-kilobyte"),
)


@cache
def _locale(language: str) -> Locale:
    return Locale.parse(language)


@cache
def _number_marks(language: str) -> dict[int, str]:
    """Return what Python's marks of thousands and decimals become; formatting through it is 20 times faster."""
    locale = _locale(language)
    return {ord(","): get_group_symbol(locale), ord("."): get_decimal_symbol(locale), ord("-"): MINUS}


@cache
def _percent_suffix(language: str) -> str:
    suffix: str = _locale(language).percent_formats[None].suffix[0]
    return suffix


@cache
def _date_time_pattern(language: str, time: str) -> DateTimePattern:
    """Return the medium date with a time of 24 hours; ``time`` is its skeleton."""
    locale = _locale(language)
    clock = locale.datetime_skeletons[time].pattern
    glue = str(locale.datetime_formats["medium"])
    return parse_pattern(glue.replace("{1}", locale.date_formats["medium"].pattern).replace("{0}", clock))


@lru_cache(4096)
def _unit(language: str, value: float, unit: str, digits: int = 0) -> str:
    pattern = f"#,##0.{'0' * digits}" if digits else "#,##0"
    text: str = format_unit(value, unit, length="short", format=pattern, locale=_locale(language))
    return text.replace("\N{NO-BREAK SPACE}", " ")


def _two_digits(value: float) -> str:
    """Write a number below one with two significant digits, without an exponent as long as its zeros can be counted."""
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    if int(exponent) < -_MAX_LEADING_ZEROS:
        return f"{float(mantissa):g}E{int(exponent)}"
    return f"{Decimal(f'{value:.1e}'):f}".rstrip("0")


def time_zone_of(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name; UTC where the system does not know it."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


@dataclass(frozen=True)
class Formats:
    """How numbers, dates and units are written for one user.

    Attributes
    ----------
    language
        ``en`` or ``de``.
    time_zone
        An IANA name; one that the system does not know is UTC.
    """

    language: str = "en"
    time_zone: str = "UTC"

    @property
    def zone(self) -> ZoneInfo:
        """The user's time zone."""
        return time_zone_of(self.time_zone)

    def number(self, value: Any, digits: int = 0) -> str:
        """Format a number with so many decimals; two significant digits for one that would else round to zero.

        Examples
        --------
        >>> Formats().number(1234.5, 1), Formats("de").number(1234.5, 1)
        ('1,234.5', '1.234,5')
        >>> Formats().number(0.00042, 2), Formats("de").number(1e-5, 2), Formats().number(None)
        ('0.00042', '0,00001', '–')
        >>> Formats("de").number(1.23e-40, 3)
        '1,2E−40'
        """
        if value is None or isinstance(value, bool) or not math.isfinite(value):
            return NOTHING
        small = digits > 0 and 0 < abs(value) < 10.0**-digits
        text = _two_digits(value) if small else f"{value:,.{digits}f}"
        return text.translate(_number_marks(self.language))

    def compact(self, value: float | None) -> str:
        """Format a large number with three significant digits or so and the word for its size.

        Examples
        --------
        >>> Formats().compact(4_514_709_504_000), Formats().compact(167_959_003_136), Formats().compact(12.0)
        ('4.51T', '168B', '12')
        """
        if value is None or not math.isfinite(value):
            return NOTHING
        digits = 0 if abs(value) < 1000 else 2 - (len(str(int(abs(value)))) - 1) % 3
        return str(format_compact_decimal(value, locale=_locale(self.language), fraction_digits=digits))

    @property
    def decimal_mark(self) -> str:
        """The mark before decimals."""
        return _number_marks(self.language)[ord(".")]

    def price(self, value: float | None) -> str:
        """Format a price with five significant digits, and at least two decimals, however small it is.

        Examples
        --------
        >>> Formats().price(4.52871e-8), Formats().price(0.5), Formats("de").price(65432.109)
        ('0.000000045287', '0.50', '65.432,11')
        """
        size = abs(value) if value is not None and math.isfinite(value) else 0.0
        digits = 2 if size == 0 or size >= 1000 else max(2, 4 - math.floor(math.log10(size)))
        text = self.number(value, digits)
        mark = self.decimal_mark
        whole, _, decimals = text.partition(mark)
        return f"{whole}{mark}{decimals.rstrip('0').ljust(2, '0')}" if decimals else text

    def signed(self, value: Any, digits: int = 2) -> str:
        """Format a number with its sign."""
        text = self.number(value, digits)
        return text if text == NOTHING or text.startswith(MINUS) else f"+{text}"

    def percent(self, share: Any, digits: int = 1) -> str:
        """Format a share in [0, 1] as percent.

        Examples
        --------
        >>> Formats("en").percent(0.0481), Formats("de").percent(0.0481).replace("\N{NO-BREAK SPACE}", " ")
        ('4.8%', '4,8 %')
        """
        return NOTHING if share is None else self.number(100 * share, digits) + _percent_suffix(self.language)

    def signed_percent(self, share: float | None, digits: int = 2) -> str:
        """Format a share as percent with its sign.

        Examples
        --------
        >>> Formats().signed_percent(0.0123), Formats().signed_percent(-0.5, 0), Formats().signed_percent(None)
        ('+1.23%', '−50%', '–')
        """
        return NOTHING if share is None else self.signed(100 * share, digits) + _percent_suffix(self.language)

    def threshold(self, share: float | None) -> str:
        """Format a chosen share as percent with the decimals it has, at most two.

        Examples
        --------
        >>> Formats().threshold(0.5), Formats().threshold(0.025), Formats().threshold(0.123456)
        ('50%', '2.5%', '12.35%')
        """
        if share is None or not math.isfinite(share):
            return NOTHING
        shown = round(100 * share, 2)
        digits = next(digits for digits in range(3) if round(shown, digits) == shown)
        return self.number(shown, digits) + _percent_suffix(self.language)

    def date_time(self, value: datetime | str | None) -> str:
        """Format a time in the user's time zone, to the minute.

        Examples
        --------
        >>> Formats("de", "Europe/Berlin").date_time("2024-07-01T02:00:00+00:00")
        '01.07.2024, 04:00'
        >>> Formats("en").date_time("2024-07-01T02:00:00+00:00")
        'Jul 1, 2024, 02:00'
        """
        return NOTHING if value is None else self._date_time(self.local(value), "Hm")

    def date_time_seconds(self, value: datetime) -> str:
        """Format a time in the user's time zone, to the second.

        Examples
        --------
        >>> Formats("de", "Europe/Berlin").date_time_seconds(datetime(2024, 7, 1, 2, 0, 9, tzinfo=UTC))
        '01.07.2024, 04:00:09'
        """
        return self._date_time(self.local(value), "Hms")

    def _date_time(self, value: datetime, clock: str) -> str:
        text: str = _date_time_pattern(self.language, clock).apply(value, _locale(self.language))
        return text

    def date_time_us(self, timestamp_us: int | None) -> str:
        """Format a time given in microseconds UTC."""
        return NOTHING if timestamp_us is None else self.date_time(datetime.fromtimestamp(timestamp_us / 1e6, UTC))

    def day(self, value: date | None) -> str:
        """Format a day, which is the same one in every time zone.

        Examples
        --------
        >>> Formats("de").day(date(2018, 2, 7)), Formats("en").day(date(2018, 2, 7))
        ('07.02.2018', 'Feb 7, 2018')
        """
        return (
            NOTHING
            if value is None
            else str(_locale(self.language).date_formats["medium"].apply(value, _locale(self.language)))
        )

    def day_us(self, timestamp_us: int | None) -> str:
        """Format the day, in UTC, of a time given in microseconds UTC."""
        return NOTHING if timestamp_us is None else self.day(datetime.fromtimestamp(timestamp_us / 1e6, UTC).date())

    def local(self, value: datetime | str) -> datetime:
        """Return a time in the user's time zone; a naive one is UTC."""
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(self.zone)

    def from_local(self, text: str) -> datetime:
        """Read what a form holds, in the user's time zone, as UTC; ValueError if it is no time."""
        return datetime.fromisoformat(text).replace(tzinfo=self.zone).astimezone(UTC)

    def duration(self, seconds: float | None) -> str:
        """Format a length of time in its two largest units.

        Examples
        --------
        >>> Formats().duration(75), Formats("de").duration(7260), Formats().duration(200_000)
        ('1 min 15 sec', '2 Std. 1 Min.', '2 days 7 hr')
        """
        if seconds is None:
            return NOTHING
        if seconds < 10:
            return _unit(self.language, round(seconds, 1), "duration-second", 1)
        whole = round(seconds)
        for size, unit, smaller_size, smaller_unit in _DURATIONS:
            if whole >= size:
                parts = (whole // size, unit), (whole % size // smaller_size, smaller_unit)
                return " ".join(_unit(self.language, value, name) for value, name in parts)
        return _unit(self.language, whole, "duration-second")

    def size(self, n_bytes: float | None) -> str:
        """Format a number of bytes.

        Examples
        --------
        >>> Formats("de").size(1_250_000_000), Formats().size(12)
        ('1,2 GB', '12 byte')
        """
        if n_bytes is None:
            return NOTHING
        for size, unit in _SIZES:
            if n_bytes >= size:
                return _unit(self.language, round(n_bytes / size, 1), unit, 1)
        return _unit(self.language, round(n_bytes), "digital-byte")
