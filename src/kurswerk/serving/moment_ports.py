"""What predicting whole moments needs of the outside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kurswerk.features import SealedMoment

Int = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PendingRows:
    """Rows that models which compare instruments predict once their moment is sealed.

    Attributes
    ----------
    instruments, timestamps, partitions, segments
        As taken from the feed; shape (n,).
    reads, joins
        The moments that they read and join (`kurswerk.market.moments`), microseconds UTC; shape (n,).
    names, values
        Features of single instruments of each row, and their values; empty where they must be computed again.
    """

    instruments: Sequence[str]
    timestamps: Int
    partitions: Int
    segments: NDArray[np.float64]
    reads: Int
    joins: Int
    names: Sequence[Sequence[str]]
    values: Sequence[Sequence[float]]

    def __len__(self) -> int:
        return len(self.instruments)


class MomentTransaction(Protocol):
    """The part of a transaction that is about moments."""

    def exchanges(self, instruments: Sequence[str]) -> Mapping[str, str]:
        """Return the exchange of each instrument that states one."""
        ...

    def exchange_names(self) -> Sequence[str]:
        """Return the exchanges that instruments of the market state."""
        ...

    def add_pending(self, rows: PendingRows) -> None:
        """Store rows until their moment is sealed; one that is there already stays."""
        ...

    def forget_pending_values(self, first_us: Mapping[str, int]) -> None:
        """Have the values of instruments' pending rows of a moment or later computed again."""
        ...

    def forget_pending_values_since(self, first_us: int) -> None:
        """Do so for all instruments of the leased partitions."""
        ...

    def pending_moments(self) -> Sequence[tuple[int, bool]]:
        """Return a few moments that pending rows read, sealed ones first, then the oldest, and whether it is sealed."""
        ...

    def newest_pending_us(self) -> int | None:
        """Return the time of the newest pending row."""
        ...

    def now_us(self) -> int:
        """Return the time by the database's clock, microseconds UTC."""
        ...

    def is_waiting(self, after_us: int, until_us: int) -> bool:
        """Return whether a new row of a period (its begin exclusive) waits in the feed, in whoever's partition."""
        ...

    def rows_between(self, after_us: int, until_us: int) -> tuple[Sequence[str], Int]:
        """Return instrument and time of the rows of a period (its begin exclusive)."""
        ...

    def take_pending(self, moment_us: int) -> PendingRows:
        """Take the rows that read a moment; those that join one that is not sealed are kept for its members' values."""
        ...

    def pending_members(self, moment_us: int) -> PendingRows:
        """Return the rows that join a moment."""
        ...

    def discard_pending(self) -> int:
        """Remove all pending rows, where no model compares instruments any more; return how many there were."""
        ...

    def sealed_moments(self, moments: Sequence[int], definitions: Mapping[str, str]) -> Mapping[int, SealedMoment]:
        """Return sealed moments with the values of features (name → definition hash) that each has."""
        ...

    def seal(self, sealed: SealedMoment, definitions: Mapping[str, str]) -> None:
        """Store a moment's members and values; what is stored of it stays."""
        ...
