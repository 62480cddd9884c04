"""What collecting needs of a source, of the store and of those who watch."""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from kurswerk.ingest.collector._events import CoinTrade, Received
from kurswerk.ingest.collector._records import Collected, FollowedCoin


class TradeSource(Protocol):
    """Reports new coins, and the trades of those that it is asked to follow; connects again by itself."""

    def events(self) -> AsyncIterator[Received]:
        """Yield what is received, without an end; a lost connection is reported before the next one is used."""
        ...

    def follow(self, mints: Collection[str]) -> None:
        """Ask for the trades of some coins, now and after each new connection."""
        ...

    def unfollow(self, mints: Collection[str]) -> None:
        """Ask for the trades of some coins no more."""
        ...


@dataclass(frozen=True)
class CollectorMemory:
    """What an earlier process of a collector left behind.

    Attributes
    ----------
    coins
        Those that are followed.
    trades
        The latest ones, by which repeats are recognised.
    until_us
        All windows that end up to here were stored, or are in a gap; None if nobody ever collected.
    """

    coins: Sequence[FollowedCoin] = ()
    trades: Sequence[CoinTrade] = ()
    until_us: int | None = None


@dataclass(frozen=True)
class CollectorStatus:
    """How a collector is.

    Attributes
    ----------
    is_connected
        Whether its source is connected and confirmed all requests.
    last_message_us
        When its source last sent something; None if it never did.
    silent_after_s
        After how many seconds without a message something is wrong.
    coins
        How many coins are followed.
    reason
        Why it is not connected.
    is_stopped
        Whether it ended in good order.
    """

    is_connected: bool
    last_message_us: int | None
    silent_after_s: float
    coins: int = 0
    reason: str | None = None
    is_stopped: bool = False


@dataclass(frozen=True)
class CollectorReport:
    """How a collector is, as its last owner stored it.

    Attributes
    ----------
    seconds_since_seen
        Since its process last stored anything.
    seconds_since_message
        Since its source last sent something; None if it never did.
    """

    name: str
    status: CollectorStatus
    seconds_since_seen: float
    seconds_since_message: float | None


class CollectorStore(Protocol):
    """Keeps what one collector collected; of several processes one at a time is its owner."""

    def acquire(self) -> CollectorMemory | None:
        """Become the owner and return what the one before left, or None while somebody else is.

        Raises
        ------
        DatabaseUnavailableError
            If the database cannot be reached.
        """
        ...

    def write(self, collected: Collected, status: CollectorStatus) -> None:
        """Store everything, or nothing; the same again changes nothing.

        Raises
        ------
        ConflictError
            If somebody else has become the owner.
        DatabaseUnavailableError
            If the database cannot be reached; the next call tries to connect again.
        """
        ...

    def release(self) -> None:
        """Own it no more."""
        ...


class StatusStore(Protocol):
    """Keeps the status of a collector without coins; of several processes one at a time is its owner."""

    def acquire_status(self) -> bool:
        """Become the owner; False while somebody else is."""
        ...

    def write_status(self, status: CollectorStatus) -> None:
        """Store how it is; errors as those of `CollectorStore.write`."""
        ...

    def release(self) -> None:
        """Own it no more."""
        ...


class CollectorObserver(Protocol):
    """Counts what a collector does."""

    def message(self, *, readable: bool = True) -> None:
        """Count a message."""
        ...

    def trade(self, verdict: str) -> None:
        """Count a trade by what became of it."""
        ...

    def stored(self, rows: int, coins: int) -> None:
        """Count stored rows, and note how many coins are followed."""
        ...

    def reconnect(self) -> None:
        """Count a lost connection."""
        ...

    def gaps(self, reasons: Iterable[str]) -> None:
        """Count new gaps by their reason."""
        ...
