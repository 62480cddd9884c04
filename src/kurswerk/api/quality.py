"""The quality of market data."""

from typing import Annotated

from fastapi import APIRouter, Query

from kurswerk.api._dependencies import Ports
from kurswerk.api._openapi import errors
from kurswerk.api._response_cache import cached
from kurswerk.api.schemas._base import MarketName
from kurswerk.api.schemas.quality import QualityRead
from kurswerk.market import DEFAULT_MARKET

router = APIRouter(prefix="/api", tags=["market"])

OneMarket = Annotated[MarketName, Query(description="Which market's rows.")]
Examples = Annotated[int, Query(ge=0, le=1000, description="Places that each finding names at most.")]
_CHECKED_EVERY_S = 60.0


@router.get("/data/check", dependencies=[cached(seconds=_CHECKED_EVERY_S)], responses=errors(400))
def check_data(ports: Ports, market: OneMarket = DEFAULT_MARKET, examples: Examples = 10) -> QualityRead:
    """Check a market's stored rows, and show which were quarantined; at most a minute old.

    Looked for are gaps, prices that stand still or leap without an action, candles that cannot be, missing prices,
    nothing traded, copied rows and series, other units, and series of which none has ended.
    """
    return QualityRead.model_validate(ports.quality(market, examples).document())
