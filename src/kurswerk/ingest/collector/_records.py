"""What a collector keeps and hands over: followed coins, complete windows, and the gaps between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from uuid import uuid4

from kurswerk.ingest.collector._events import CoinTrade
from kurswerk.ingest.collector._rows import Value


class GapReason(Enum):
    """Why windows have no row."""

    INTERRUPTED = "interrupted"  # the connection was lost
    STOPPED = "stopped"  # nobody collected
    MISSED_TRADES = "missed trades"  # the reserves show that a trade is missing
    UNPROVEN_START = "unproven start"  # nothing shows that no trade was missed right after a coin's creation
    LATE_TRADE = "late trade"  # a trade came after its window's row was written
    EVICTED = "evicted"  # more coins traded than may be followed


class Verdict(Enum):
    """What became of a trade."""

    COUNTED = "counted"
    REPEATED = "repeated"
    LATE = "late"
    UNKNOWN_COIN = "unknown coin"


@dataclass
class Gap:
    """A time in which rows are missing or wrong.

    Attributes
    ----------
    mint
        The coin concerned; None is all that were followed.
    start_us, end_us
        Trades of this time may be missing; the end is None while it goes on.
    windows
        How many windows have no row because of it.
    """

    reason: GapReason
    start_us: int
    end_us: int | None = None
    mint: str | None = None
    windows: int = 0
    id: str = field(default_factory=lambda: str(uuid4()))


@dataclass
class FollowedCoin:
    """What is known of a coin between its rows.

    Attributes
    ----------
    phase
        Of the window under way; `FINISHED` or `GRADUATED` once it is followed no more.
    high, high_us
        Highest price in SOL per token so far, and the end of its window; None before the first row.
    last_trade_us
        Its latest trade, or its creation.
    """

    mint: str
    creator: str
    created_us: int
    last_trade_us: int
    phase: int
    high: float | None = None
    high_us: int | None = None
    is_migrated: bool = False
    is_followed: bool = True


@dataclass(frozen=True)
class CollectedRow:
    """A complete window: ``timestamp_us`` is its end, ``values`` are the columns of `coin_row`."""

    mint: str
    timestamp_us: int
    values: Mapping[str, Value]


@dataclass(frozen=True)
class Collected:
    """What is to be stored together, so that nothing is lost or counted twice whenever the process ends.

    Attributes
    ----------
    until_us
        All windows that end up to here are among the rows, or in a gap.
    """

    rows: Sequence[CollectedRow]
    trades: Sequence[CoinTrade]
    coins: Sequence[FollowedCoin]
    gaps: Sequence[Gap]
    until_us: int
