"""Alerts that were raised."""

from typing import Annotated

from fastapi import APIRouter, Query

from kurswerk.api._openapi import errors
from kurswerk.api._services import ServicesOf
from kurswerk.api.schemas.predictions import AlertPage, AlertRead, PredictionQuery

router = APIRouter(prefix="/api", tags=["predictions"])


@router.get("/alerts", responses=errors())
def list_alerts(query: Annotated[PredictionQuery, Query()], services: ServicesOf) -> AlertPage:
    """List alerts, newest first: predictions whose probability reached their model's threshold."""
    rows = services.predictions.alerts(query.chosen(), query.limit, query.offset)
    return AlertPage(alerts=AlertRead.all_of(rows), limit=query.limit, offset=query.offset)
