"""What fetching bars needs of a provider and of the store."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kurswerk.market.adjustment import CorporateAction

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Dates = NDArray[np.datetime64]
# Columns of prices, in this order.
PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True)
class BarRequest:
    """Bars of one symbol from one day on.

    Attributes
    ----------
    symbol
        As the provider names it.
    interval
        Length of a bar, of `kurswerk.market.INTERVALS`.
    first, last
        Local days of the exchange, both included. A provider may answer more than was asked for.
    """

    symbol: str
    interval: str
    first: date
    last: date


@dataclass(frozen=True, eq=False)
class FetchedBars:
    """What a provider answered, as it stands there.

    Attributes
    ----------
    starts
        ``datetime64[us]``, shape (n,), ascending, possibly with repeats: the local day of daily bars, the moment UTC
        at which shorter ones begin.
    prices
        Open, high, low, close; shape (4, n), NaN where the provider has none.
    volumes
        Shares, shape (n,), NaN where the provider has none.
    splits
        Ex-date and new shares per old one of all splits since the first bar, or of more.
    dividends
        Ex-date and cash per share, likewise.
    is_adjusted
        Whether prices, volumes and dividends are in shares of the day of the answer; otherwise as they were paid.
    currency, name, time_zone
        As the provider states them; None where it does not.
    moment_us
        When it answered, microseconds UTC: a bar that had not ended by then is not finished.
    """

    starts: NDArray[np.datetime64]
    prices: Float
    volumes: Float
    moment_us: int
    splits: Sequence[tuple[date, float]] = ()
    dividends: Sequence[tuple[date, float]] = ()
    is_adjusted: bool = False
    currency: str | None = None
    name: str | None = None
    time_zone: str | None = None

    def __len__(self) -> int:
        return len(self.starts)


class BarProvider(Protocol):
    """States bars, splits and dividends of stocks."""

    @property
    def name(self) -> str:
        """Source of the series that its bars become."""
        ...

    def exchange_of(self, symbol: str) -> str | None:
        """Return where a symbol trades, as its name states; None if it does not."""
        ...

    def reach_days(self, interval: str) -> int | None:
        """Return how many days back it has bars of a length; None is without a limit.

        Raises
        ------
        InvalidInputError
            If it has no bars of that length.
        """
        ...

    def fetch(self, request: BarRequest, *, describe: bool) -> FetchedBars:
        """Return at least the bars that were asked for, as far as the provider has them.

        Parameters
        ----------
        request
            What is missing.
        describe
            Whether currency and name are wanted, for which some providers need another call.

        Raises
        ------
        TransientSourceError
            If it may answer later: it is busy, cannot be reached, or its answer is damaged.
        SourceExhaustedError
            If it answers nothing more for hours, whatever the symbol.
        KurswerkError
            If it never will: it does not know the symbol, or refuses the key.
        """
        ...


@dataclass(frozen=True)
class Instrument:
    """What is known of an instrument."""

    exchange: str | None = None
    currency: str | None = None
    name: str | None = None


class BarStore(Protocol):
    """The stored bars of one source and interval."""

    def instrument(self, symbol: str) -> Instrument:
        """Return what is known of an instrument."""
        ...

    def describe(self, symbol: str, known: Instrument) -> None:
        """Store what was learnt of an instrument; what is there stays."""
        ...

    def stored(self, symbol: str, first_us: int, last_us: int) -> tuple[Int, Float]:
        """Return times and closes of the bars in a period, both ends included, ascending; as they were paid."""
        ...

    def first_us(self, symbol: str) -> int | None:
        """Return the time of the first bar; None if there is none."""
        ...

    def add_actions(self, actions: Sequence[CorporateAction]) -> int:
        """Store splits and dividends that are not there yet; return how many."""
        ...
