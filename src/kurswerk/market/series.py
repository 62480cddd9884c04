"""Where bars come from and what their prices are: the origin of a series, and how it is written."""

import re
from dataclasses import dataclass
from datetime import date

from kurswerk.core.errors import DataError

SOURCE_LENGTH = 64
_BASIS = re.compile(r"split-adjusted:(\d{4}-\d{2}-\d{2})", re.ASCII)


@dataclass(frozen=True)
class SeriesOrigin:
    """The source of bars and their price basis.

    Attributes
    ----------
    source
        Name of the source, at most `SOURCE_LENGTH` characters. Bars of different sources are kept apart.
    adjusted_as_of
        The day up to which splits are in the prices already: each price is divided by the splits after its bar up to
        this day. None for raw prices, as they were paid.
    preferred
        The market's rows are this source's from now on; otherwise only where there is no other source yet.

    Examples
    --------
    >>> SeriesOrigin.of("vendor", "split-adjusted:2018-02-07").price_basis
    'split_adjusted'
    """

    source: str = "unknown"
    adjusted_as_of: date | None = None
    preferred: bool = False

    @classmethod
    def of(cls, source: str, price_basis: str = "raw", *, preferred: bool = False) -> "SeriesOrigin":
        """Return the origin of bars, whose price basis is ``raw`` or ``split-adjusted:YYYY-MM-DD``.

        Raises
        ------
        DataError
            If the source has no name or too long a one, or the basis is another.
        """
        name = source.strip()
        if not name or len(name) > SOURCE_LENGTH or not name.isprintable():
            raise DataError("series.bad_source", source=source, most=SOURCE_LENGTH)
        return cls(name, _adjusted_as_of(price_basis), preferred)

    @property
    def price_basis(self) -> str:
        """What the prices are: ``raw`` or ``split_adjusted``."""
        return "raw" if self.adjusted_as_of is None else "split_adjusted"


def _adjusted_as_of(price_basis: str) -> date | None:
    if price_basis == "raw":
        return None
    match = _BASIS.fullmatch(price_basis)
    try:
        return date.fromisoformat(match[1] if match else "")
    except ValueError:
        raise DataError("series.bad_price_basis", given=price_basis) from None


@dataclass(frozen=True)
class SourceConflict:
    """Where two sources differ about one instrument; none of them is overwritten.

    Attributes
    ----------
    instrument, preferred, other
        Whose bars, the source that is read, and the one it was compared with.
    shared
        Bars that both have.
    differing
        Column → bars in which it differs, columns in which none does left out. Prices and volumes are compared as they
        were paid, splits taken out, and differ from a relative 1e-9 on.
    first_day
        The first day on which anything differs.
    """

    instrument: str
    preferred: str
    other: str
    shared: int
    differing: dict[str, int]
    first_day: date
