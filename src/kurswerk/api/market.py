"""Market data: what there is."""

from typing import Annotated

from fastapi import APIRouter, Query

from kurswerk.api._dependencies import Ports
from kurswerk.api._openapi import errors
from kurswerk.api._response_cache import cached
from kurswerk.api.schemas._base import MarketName
from kurswerk.api.schemas.market import AvailabilityRead, PhaseRead
from kurswerk.core.timestamps import to_datetime
from kurswerk.market import DEFAULT_MARKET

router = APIRouter(prefix="/api", tags=["market"])

OneMarket = Annotated[MarketName, Query(description="Which market's rows.")]
# Rows come all the time, and to count them all takes a while.
_COUNTED_EVERY_S = 10.0


@router.get("/phases", dependencies=[cached(seconds=_COUNTED_EVERY_S)], responses=errors())
def list_phases(ports: Ports) -> list[PhaseRead]:
    """List the phases a coin passes; a specification's `phases` names them by id."""
    return PhaseRead.all_of(ports.catalog.phases())


@router.get("/data-availability", dependencies=[cached(seconds=_COUNTED_EVERY_S)], responses=errors())
def read_availability(ports: Ports, market: OneMarket = DEFAULT_MARKET) -> AvailabilityRead:
    """Show from when to when there are market data, how many rows and of how many coins; at most ten seconds old."""
    found = ports.markets[market].availability()
    return AvailabilityRead(
        first_timestamp=None if found.first_us is None else to_datetime(found.first_us),
        last_timestamp=None if found.last_us is None else to_datetime(found.last_us),
        rows=found.rows,
        coins=found.coins,
    )
