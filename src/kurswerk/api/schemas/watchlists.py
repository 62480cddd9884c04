"""Watchlists: instruments that somebody follows together."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints

from kurswerk.api.schemas._base import MarketName, RequestModel, ResponseModel, UtcTime
from kurswerk.api.schemas.predictions import CoinName
from kurswerk.market.watchlists import LONGEST_NAME, MOST_INSTRUMENTS, WatchedInstrument, Watchlist

ListName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=LONGEST_NAME, pattern=r"^[^\x00]+$"),
    Field(description="Not digits alone.", examples=["my stocks"]),
]


class WatchedRead(ResponseModel):
    """An instrument of a market."""

    market: str = Field(examples=["stocks"])
    key: str = Field(examples=["BRK.B"])


class WatchlistRead(ResponseModel):
    """A watchlist."""

    id: int = Field(examples=[1])
    name: str = Field(examples=["my stocks"])
    instruments: list[WatchedRead] = Field(description="In the order in which they were added.")
    created_at: UtcTime
    updated_at: UtcTime

    @classmethod
    def of(cls, one: Watchlist) -> Self:
        """Read a stored watchlist."""
        return cls.model_validate(vars(one) | {"instruments": [found._asdict() for found in one.instruments]})


class Watchlists(ResponseModel):
    """All watchlists, by name."""

    watchlists: list[WatchlistRead]


class WatchedOrder(RequestModel):
    """An instrument of a market; it need not have rows yet."""

    market: MarketName = Field(description="The market.", examples=["stocks"])
    key: CoinName = Field(description="The instrument, as the market calls it.", examples=["BRK.B"])


Instruments = Annotated[list[WatchedOrder], Field(max_length=MOST_INSTRUMENTS)]


class WatchlistCreate(RequestModel):
    """A new watchlist."""

    name: ListName
    instruments: Instruments = Field(default_factory=list)


class WatchlistChange(RequestModel):
    """What is to be changed; what is left out stays."""

    name: ListName | None = None
    instruments: Instruments | None = Field(None, description="In place of all that are on it.")


class WatchlistAddition(RequestModel):
    """What is to be added."""

    instruments: Annotated[list[WatchedOrder], Field(min_length=1, max_length=MOST_INSTRUMENTS)]


def instruments_of(given: list[WatchedOrder]) -> list[WatchedInstrument]:
    """Return instruments as watchlists keep them."""
    return [WatchedInstrument(one.market, one.key) for one in given]
