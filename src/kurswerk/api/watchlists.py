"""Watchlists: instruments that somebody follows together."""

from typing import Annotated

from fastapi import APIRouter, Path

from kurswerk.api._dependencies import Ports
from kurswerk.api._openapi import errors
from kurswerk.api.schemas._base import LARGEST_ID, MarketName
from kurswerk.api.schemas.predictions import CoinName
from kurswerk.api.schemas.watchlists import (
    WatchlistAddition,
    WatchlistChange,
    WatchlistCreate,
    WatchlistRead,
    Watchlists,
    instruments_of,
)
from kurswerk.market.watchlists import WatchedInstrument

router = APIRouter(prefix="/api", tags=["market"])

WatchlistId = Annotated[int, Path(ge=1, le=LARGEST_ID, description="A watchlist's id.")]


@router.get("/watchlists", responses=errors())
def list_watchlists(ports: Ports) -> Watchlists:
    """List all watchlists, by name."""
    return Watchlists(watchlists=[WatchlistRead.of(one) for one in ports.watchlists.all()])


@router.post("/watchlists", status_code=201, responses=errors(409, 413))
def create_watchlist(order: WatchlistCreate, ports: Ports) -> WatchlistRead:
    """Make a watchlist of instruments of any markets."""
    return WatchlistRead.of(ports.watchlists.create(order.name, instruments_of(order.instruments)))


@router.get("/watchlists/{watchlist_id}", responses=errors(404))
def read_watchlist(watchlist_id: WatchlistId, ports: Ports) -> WatchlistRead:
    """Show a watchlist."""
    return WatchlistRead.of(ports.watchlists.get(watchlist_id))


@router.patch("/watchlists/{watchlist_id}", responses=errors(404, 409, 413))
def change_watchlist(watchlist_id: WatchlistId, change: WatchlistChange, ports: Ports) -> WatchlistRead:
    """Give a watchlist another name, or other instruments in place of all it has."""
    instruments = None if change.instruments is None else instruments_of(change.instruments)
    return WatchlistRead.of(ports.watchlists.change(watchlist_id, name=change.name, instruments=instruments))


@router.delete("/watchlists/{watchlist_id}", status_code=204, responses=errors(404))
def delete_watchlist(watchlist_id: WatchlistId, ports: Ports) -> None:
    """Delete a watchlist; its instruments stay."""
    ports.watchlists.delete(watchlist_id)


@router.post("/watchlists/{watchlist_id}/instruments", responses=errors(404, 413))
def add_to_watchlist(watchlist_id: WatchlistId, order: WatchlistAddition, ports: Ports) -> WatchlistRead:
    """Add instruments at the end; those that are on it stay where they are."""
    return WatchlistRead.of(ports.watchlists.add(watchlist_id, instruments_of(order.instruments)))


@router.delete("/watchlists/{watchlist_id}/instruments/{market}/{key:path}", responses=errors(404))
def remove_from_watchlist(
    watchlist_id: WatchlistId,
    market: Annotated[MarketName, Path(description="The instrument's market.")],
    key: Annotated[CoinName, Path(description="The instrument.")],
    ports: Ports,
) -> WatchlistRead:
    """Take an instrument off a watchlist; one that is not on it changes nothing."""
    return WatchlistRead.of(ports.watchlists.remove(watchlist_id, [WatchedInstrument(market, key)]))
