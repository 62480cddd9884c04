"""What is known of instruments beside their bars: who they are, and which series of bars there are of each."""

from dataclasses import dataclass
from datetime import date, datetime

from kurswerk.core.errors import DataError
from kurswerk.market.schema import KEY_LENGTH

_LENGTHS = {"exchange": 16, "currency": 3}


@dataclass(frozen=True)
class InstrumentFacts:
    """An instrument as a list of symbols describes it; None is unknown.

    Attributes
    ----------
    symbol
        Its key.
    name
        Of the company or fund.
    sector, industry
        As the list has them now; what they were at a bar is another matter.
    exchange
        Market identifier code (ISO 10383), such as ``XNYS``.
    currency
        Of its prices, by ISO 4217.

    Raises
    ------
    DataError
        If the symbol is empty or too long, or the exchange or currency cannot be one.

    Examples
    --------
    >>> InstrumentFacts("BRK.B", "Berkshire Hathaway", currency="USD").name
    'Berkshire Hathaway'
    """

    symbol: str
    name: str | None = None
    sector: str | None = None
    industry: str | None = None
    exchange: str | None = None
    currency: str | None = None

    def __post_init__(self) -> None:
        if not 0 < len(self.symbol) <= KEY_LENGTH or not self.symbol.isprintable():
            raise DataError("symbols.bad_symbol", symbol=self.symbol, most=KEY_LENGTH)
        for field, most in _LENGTHS.items():
            value = getattr(self, field)
            if value is not None and not (0 < len(value) <= most and value.isascii() and value.isalnum()):
                raise DataError("symbols.bad_field", symbol=self.symbol, field=field, value=value, most=most)


@dataclass(frozen=True)
class Instrument:
    """A stored instrument.

    Attributes
    ----------
    facts
        Who it is.
    first_day, last_day
        Of its bars of any source and length, days UTC; None without bars.
    is_active
        Whether it is still traded.
    """

    facts: InstrumentFacts
    first_day: date | None
    last_day: date | None
    is_active: bool


@dataclass(frozen=True)
class Series:
    """The bars of one instrument, length and source.

    Attributes
    ----------
    symbol, interval, source
        Whose bars, how long each is, and who gave them.
    price_basis
        ``raw``, as paid, or ``split_adjusted``: divided by the splits after each bar up to ``adjusted_as_of``.
    is_preferred
        Whether these bars are the market's rows; of each symbol and interval one series is.
    bars, first, last
        How many, and the moments of the oldest and the newest; zero and None where all were removed.
    """

    symbol: str
    interval: str
    source: str
    price_basis: str
    adjusted_as_of: date | None
    is_preferred: bool
    bars: int
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True)
class InstrumentFilter:
    """Which instruments are looked for.

    Attributes
    ----------
    text
        Words, each of which begins the symbol or a word of the name, in any case; None is any.
    symbols
        Only these; None is any.
    sector, exchange
        Only of this sector, only of this exchange.
    is_active
        Only those that are traded, or only those that are not.
    """

    text: str | None = None
    symbols: tuple[str, ...] | None = None
    sector: str | None = None
    exchange: str | None = None
    is_active: bool | None = None
