"""Predictions: stored ones, and one on demand."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from kurswerk.api._dependencies import Ports
from kurswerk.api._openapi import errors
from kurswerk.api.schemas._base import LARGEST_ID, MarketName
from kurswerk.api.schemas.predictions import (
    CoinName,
    LatestPredictions,
    PredictionDetail,
    PredictionPage,
    PredictionQuery,
    PredictionRead,
    PredictOrder,
    PredictRead,
    ReplayRead,
    StatsRead,
)
from kurswerk.core.errors import NotFoundError
from kurswerk.core.timestamps import to_datetime, to_us
from kurswerk.market import DEFAULT_MARKET
from kurswerk.serving import predict_instrument, replay

router = APIRouter(prefix="/api", tags=["predictions"])

PredictionId = Annotated[int, Path(ge=1, le=LARGEST_ID, description="A prediction's id.")]

ActiveOf = Annotated[
    MarketName, Query(description="Whose active models predict where none are named; named ones have their market.")
]


@router.get("/predictions", responses=errors())
def list_predictions(query: Annotated[PredictionQuery, Query()], ports: Ports) -> PredictionPage:
    """List stored predictions, newest first; those of one coin by the moment of their rows."""
    rows = ports.predictions.find(query.chosen(), query.limit, query.offset)
    return PredictionPage(predictions=PredictionRead.all_of(rows), limit=query.limit, offset=query.offset)


@router.get("/predictions/latest/{coin_id}", responses=errors(404))
def read_latest_predictions(
    coin_id: Annotated[CoinName, Path(description="A coin.")], ports: Ports
) -> LatestPredictions:
    """Show all models' predictions of a coin's newest predicted row."""
    rows = PredictionRead.all_of(ports.predictions.latest(coin_id))
    return LatestPredictions(coin_id=coin_id, timestamp=rows[0].timestamp, predictions=rows)


@router.get("/predictions/{prediction_id:int}", responses=errors(404))
def read_prediction(prediction_id: PredictionId, ports: Ports) -> PredictionDetail:
    """Show a stored prediction, and what became of it."""
    return PredictionDetail.model_validate(ports.predictions.get(prediction_id))


@router.get("/predictions/{prediction_id:int}/replay", responses=errors(404, 409))
def replay_prediction(prediction_id: PredictionId, ports: Ports) -> ReplayRead:
    """Compute a prediction again from the stored rows that were known then, and hold it against what was stored."""
    found = replay(prediction_id, ports.predictions, ports.markets, ports.models)
    moments = [to_datetime(moment) for moment in found.corrected_rows]
    return ReplayRead.model_validate(vars(found) | {"corrected_rows": moments})


@router.post("/predict", responses=errors(404, 409, 413))
def predict(order: PredictOrder, ports: Ports, market: ActiveOf = DEFAULT_MARKET) -> PredictRead:
    """Predict from a coin's latest row, or its latest at a moment, with only what was known then; nothing is stored."""
    active = ports.activations.active() if order.model_ids is None else ()
    ids = order.model_ids or [row["id"] for row in active if row["market"] == market]
    if not ids:
        raise NotFoundError("model.none_active")
    records = [ports.models.get(model_id) for model_id in dict.fromkeys(ids)]
    at_us = None if order.timestamp is None else to_us(order.timestamp)
    found = predict_instrument(order.coin_id, records, ports.markets, ports.models, at_us=at_us)
    return PredictRead.model_validate(
        {
            "coin_id": found.coin_id,
            "timestamp": to_datetime(found.timestamp_us),
            "predictions": [vars(one) for one in found.predictions],
        }
    )


@router.get("/stats", responses=errors())
def read_stats(ports: Ports) -> StatsRead:
    """Show how much is predicted, and how far behind the predictors are."""
    return StatsRead.model_validate(ports.predictions.stats())
