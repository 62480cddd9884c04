"""How much there is of one instrument."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class CoinCoverage:
    """What there is of one coin.

    Attributes
    ----------
    rows
        How many.
    first, last
        The oldest and the newest.
    gaps
        Places where three or more intervals of the coin's phase passed without a row.
    phase
        Of the newest row.
    """

    mint: str
    rows: int
    first: datetime
    last: datetime
    gaps: int
    phase: int | None = None
