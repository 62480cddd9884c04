"""Points in time as int64 microseconds since 1970-01-01 UTC, and their text."""

from datetime import UTC, datetime, timedelta

from kurswerk.core.errors import InvalidInputError

MICROSECONDS = 1_000_000
MINUTE_US = 60 * MICROSECONDS
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_us(moment: datetime) -> int:
    """Convert a datetime to microseconds; a naive one is taken as UTC.

    Examples
    --------
    >>> to_us(datetime(2024, 7, 1, tzinfo=UTC))
    1719792000000000
    """
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def to_datetime(timestamp_us: int) -> datetime:
    """Convert microseconds to an aware datetime in UTC."""
    return _EPOCH + timedelta(microseconds=int(timestamp_us))


def parse_timestamp(text: str) -> int:
    """Read ISO 8601 text as microseconds; without an offset it is UTC.

    Raises
    ------
    InvalidInputError
        If the text is no ISO 8601 date or time.

    Examples
    --------
    >>> parse_timestamp("2024-07-01") == parse_timestamp("2024-07-01T02:00:00+02:00")
    True
    """
    try:
        return to_us(datetime.fromisoformat(text.strip()))
    except (ValueError, OverflowError) as error:
        raise InvalidInputError("time.not_iso", text=text) from error


def format_timestamp(timestamp_us: int) -> str:
    """Write microseconds as ISO 8601 in UTC.

    Examples
    --------
    >>> format_timestamp(1719792000000000)
    '2024-07-01T00:00:00Z'
    """
    return to_datetime(timestamp_us).isoformat().replace("+00:00", "Z")
