"""Predict from a coin's stored rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kurswerk.core.errors import NotFoundError
from kurswerk.core.timestamps import format_timestamp
from kurswerk.models import as_model_input
from kurswerk.registry import ModelRecord, ModelStore, common_market, load_model, plan_of
from kurswerk.serving._active_models import outputs_of
from kurswerk.serving._scope import Scope
from kurswerk.serving.ports import MarketHistory

DECISION_THRESHOLD = 0.5


@dataclass(frozen=True)
class Prediction:
    """What one model predicts from one row.

    ``probability`` is that of the model's target coming true, in [0, 1]; ``prediction`` is 1 from 0.5 on. ``in_scope``
    is whether the row is of the phases and instruments that the model was trained for; only such rows trigger alerts.
    ``missing_features`` were NaN at that row: their windows are not full yet, or an input is missing. A forecast model
    gives ``forecast`` with the ends of its interval, ``low`` and ``high``, in percent.
    """

    model_id: int
    model_name: str
    prediction: int
    probability: float
    alert_triggered: bool
    missing_features: tuple[str, ...]
    in_scope: bool
    forecast: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class InstrumentPredictions:
    """All models' predictions from one row of a coin."""

    coin_id: str
    timestamp_us: int
    predictions: tuple[Prediction, ...]


def predict_instrument(
    coin: str,
    records: Sequence[ModelRecord],
    markets: Mapping[str, MarketHistory],
    models: ModelStore,
    *,
    at_us: int | None = None,
) -> InstrumentPredictions:
    """Predict from a coin's latest row, or its latest at a moment, using only what was known then.

    Features that compare instruments are computed from those that are stored of the row's moment.

    Raises
    ------
    NotFoundError
        If the coin has no row up to then, or there is no model.
    ConflictError, ArtifactError
        If a model is not READY or must not be loaded, or they are of different markets.
    """
    if not records:
        raise NotFoundError("model.none_ready")
    market = common_market(records)
    plans = [plan_of(record) for record in records]
    wanted = {name for plan in plans for name in plan.inputs}
    history = markets[market.name]
    segment = (
        market.segment.column if market.segment is not None and market.segment.column in history.columns() else None
    )
    if segment is not None:
        wanted.add(segment)
    compared = any(plan.second_stage is not None for plan in plans)
    panel = history.load_panel(market.in_order(wanted), end_us=at_us, mints=None if compared else [coin])
    panel = history.mark_outsiders(panel) if compared else panel
    if coin not in panel.instruments:
        if at_us is None:
            raise NotFoundError("coin.no_stored_row", coin=coin)
        raise NotFoundError("coin.no_stored_row_before", coin=coin, until=format_timestamp(at_us))
    # As for rows that are predicted live: without the column the segment is unknown.
    newest = panel.rows_of(coin).stop - 1
    rows = slice(newest, newest + 1)
    segments = np.full(1, np.nan) if segment is None else panel.column(segment)[rows]
    predictions = []
    for record, plan in zip(records, plans, strict=True):
        row = plan.compute(panel, rows=rows)
        scores, forecasts = outputs_of(load_model(record, models), as_model_input(row), record.name)
        probability = float(scores[0])
        interval = (None, None, None) if forecasts is None else map(float, forecasts[0])
        in_scope = bool(Scope.of(record.spec).covers([coin], segments)[0])
        missing = tuple(name for name, value in zip(plan.names, row[0], strict=True) if np.isnan(value))
        predictions.append(
            Prediction(
                model_id=record.id,
                model_name=record.name,
                prediction=int(probability >= DECISION_THRESHOLD),
                probability=probability,
                alert_triggered=in_scope and probability >= record.alert_threshold,
                missing_features=missing,
                in_scope=in_scope,
                **dict(zip(("forecast", "low", "high"), interval, strict=True)),
            )
        )
    return InstrumentPredictions(coin, int(panel.timestamps[newest]), tuple(predictions))
