"""Watchlists: instruments of any markets that somebody follows together, under a name."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from kurswerk.core.errors import InvalidInputError
from kurswerk.market._register import market_named

LONGEST_NAME = 100
MOST_INSTRUMENTS = 1000
_LONGEST_KEY = 255


class WatchedInstrument(NamedTuple):
    """An instrument of a market; it need not have rows yet."""

    market: str
    key: str


@dataclass(frozen=True)
class Watchlist:
    """A watchlist.

    Attributes
    ----------
    id, name
        By which it is found; names are unique.
    instruments
        In the order in which they were added, each once.
    created_at, updated_at
        When it was made, and when it was changed last.
    """

    id: int
    name: str
    instruments: tuple[WatchedInstrument, ...]
    created_at: datetime
    updated_at: datetime


class WatchlistStore(Protocol):
    """Keeps watchlists. A list that is not there is a NotFoundError, a name that is taken a ConflictError."""

    def all(self) -> Sequence[Watchlist]:
        """Return all watchlists, by name."""
        ...

    def get(self, watchlist: int | str) -> Watchlist:
        """Return one by its id or its name."""
        ...

    def create(self, name: str, instruments: Sequence[WatchedInstrument] = ()) -> Watchlist:
        """Make a watchlist."""
        ...

    def change(
        self, watchlist_id: int, *, name: str | None = None, instruments: Sequence[WatchedInstrument] | None = None
    ) -> Watchlist:
        """Give it another name, or other instruments in place of all it has."""
        ...

    def add(self, watchlist_id: int, instruments: Sequence[WatchedInstrument]) -> Watchlist:
        """Add instruments at the end; those that are in it stay where they are."""
        ...

    def remove(self, watchlist_id: int, instruments: Sequence[WatchedInstrument]) -> Watchlist:
        """Take instruments out; those that are not in it are passed over."""
        ...

    def delete(self, watchlist_id: int) -> None:
        """Delete a watchlist; its instruments stay."""
        ...


def watchlist_name(text: str) -> str:
    """Return the name of a watchlist as it is kept.

    Raises
    ------
    InvalidInputError
        If it is empty, too long, or not printable, or consists of digits alone, so that it could be an id.

    Examples
    --------
    >>> watchlist_name("  my stocks ")
    'my stocks'
    """
    name = text.strip()
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or name.isdecimal():
        raise InvalidInputError("watchlist.bad_name", name=text, most=LONGEST_NAME)
    return name


def watched(instruments: Sequence[tuple[str, str]]) -> tuple[WatchedInstrument, ...]:
    """Return instruments as a watchlist keeps them, each once.

    Raises
    ------
    UnknownNameError
        If there is no such market.
    InvalidInputError
        If a key cannot be one, or there are more than `MOST_INSTRUMENTS`.

    Examples
    --------
    >>> watched([("stocks", "BRK.B"), ("stocks", "BRK.B")])
    (WatchedInstrument(market='stocks', key='BRK.B'),)
    """
    found = tuple(dict.fromkeys(WatchedInstrument(market, key) for market, key in instruments))
    for market, key in found:
        market_named(market)
        if not 0 < len(key) <= _LONGEST_KEY or not key.isprintable():
            raise InvalidInputError("watchlist.bad_key", key=key, most=_LONGEST_KEY)
    if len(found) > MOST_INSTRUMENTS:
        raise InvalidInputError("watchlist.too_many", count=len(found), most=MOST_INSTRUMENTS)
    return found
