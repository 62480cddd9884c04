"""Stocks: found by name or symbol, and one of them with all that is known of it."""

from datetime import UTC, datetime
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Path, Query

from kurswerk.api._dependencies import Ports
from kurswerk.api._openapi import errors
from kurswerk.api.ports import ApiPorts
from kurswerk.api.schemas.stocks import (
    ActionRead,
    ConflictRead,
    FundamentalRead,
    LatestBarRead,
    SeriesRead,
    StockDetail,
    StockPage,
    StockQuery,
    StockRead,
    Symbol,
)
from kurswerk.core.timestamps import to_datetime, to_us
from kurswerk.market import Role, market_of_interval
from kurswerk.market.instruments import Series

router = APIRouter(prefix="/api", tags=["market"])

_MARKET = "stocks"


@router.get("/stocks", responses=errors())
def list_stocks(query: Annotated[StockQuery, Query()], ports: Ports) -> StockPage:
    """List stocks, those without bars too; `search` finds them by symbol and by name."""
    found, total = ports.instruments[_MARKET].find(query.chosen(), query.limit, query.offset)
    return StockPage(stocks=[StockRead.of(one) for one in found], total=total, limit=query.limit, offset=query.offset)


@router.get("/stocks/{symbol:path}", responses=errors(404))
def read_stock(symbol: Annotated[Symbol, Path(description="A symbol, such as BRK.B.")], ports: Ports) -> StockDetail:
    """Show a stock with its series, where their sources differ, its corporate actions, fundamentals and newest bar."""
    directory = ports.instruments[_MARKET]
    one, series = directory.get(symbol), directory.series([symbol])
    intervals = {found.interval for found in series if not found.is_preferred}
    conflicts = [
        ConflictRead.of(interval, conflict)
        for interval in sorted(intervals)
        for conflict in ports.instruments[market_of_interval(_MARKET, interval).name].conflicts([symbol])
    ]
    return StockDetail.with_details(
        one,
        series=[SeriesRead.of(found) for found in series],
        conflicts=conflicts,
        actions=[ActionRead.of(action) for action in directory.actions(symbol)],
        fundamentals=[
            FundamentalRead(
                name=found.name,
                value=found.value,
                as_of=to_datetime(found.as_of_us),
                known_at=to_datetime(found.known_us),
                source=found.source,
                is_stale=found.is_stale,
            )
            for found in directory.known_values(symbol, to_us(datetime.now(UTC)))
        ],
        latest=_latest(ports, symbol, series),
    )


def _latest(ports: ApiPorts, symbol: str, series: list[Series]) -> LatestBarRead | None:
    """Return the newest bar of the longest ones that are read; series come by length, the shortest first."""
    found = [one for one in series if one.is_preferred and one.bars]
    if not found:
        return None
    market = market_of_interval(_MARKET, found[-1].interval)
    name = market.column_of(Role.CLOSE)
    panel = ports.markets[market.name].latest_rows(symbol, 2, [name])
    closes = panel.column(name)
    close = float(closes[-1])
    change = close / float(closes[0]) - 1 if len(closes) > 1 and closes[0] else np.nan
    return LatestBarRead(
        interval=found[-1].interval,
        timestamp=to_datetime(int(panel.timestamps[-1])),
        close=close / ports.instruments[market.name].split_factor(symbol) if np.isfinite(close) else None,
        adjusted_close=close if np.isfinite(close) else None,
        change=change if np.isfinite(change) else None,
    )
