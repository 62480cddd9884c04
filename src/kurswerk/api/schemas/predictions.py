"""Predictions, the alerts that they raise, and the models that make them."""

from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
)

from kurswerk.api.schemas._base import LARGEST_ID, Json, RequestModel, ResponseModel, UtcTime
from kurswerk.serving import PredictionFilter
from kurswerk.training.spec import UtcTime as GivenTime

CoinName = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00]+$")]
Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]
Moment = GivenTime
_IN_SCOPE = "Whether the row is of the phases and mints that the model was made for."
_FORECAST = "Of a forecast model: the return up to the horizon in percent; null for others."
_LOW = "Lower end of the forecast's interval, in percent."
_HIGH = "Upper end of the forecast's interval, in percent."
EXAMPLE_COIN = "6EF8rrecthR5Dkzon8Nwu78hRvfCKubJ14M5uBEwpump"


class AlertQuery(BaseModel):
    """Which alerts; all of them are of rows in scope."""

    model_config = ConfigDict(protected_namespaces=())

    limit: int = Field(100, ge=1, le=1000, description="How many at most.")
    offset: int = Field(0, ge=0, le=100_000, description="How many to leave out before the first.")
    coin_id: CoinName | None = Field(None, description="Only of this coin.")
    model_id: Id | None = Field(None, description="Only of this model.")
    min_probability: float | None = Field(None, ge=0, le=1, description="Only with at least this probability.")
    since: Moment | None = Field(None, description="Only those stored from this moment on.")

    def chosen(self) -> PredictionFilter:
        """Return the filter."""
        return PredictionFilter(**self.model_dump(exclude={"limit", "offset"}))


class PredictionQuery(AlertQuery):
    """Which predictions."""

    in_scope: bool | None = Field(
        None, description="Only of rows that the model was made for (its phases and mints), or only of others."
    )
    outcome: Literal["positive", "negative", "unknown", "pending"] | None = Field(
        None, description="Only those that came true, did not, stay unknown, or have not been judged yet."
    )


class LabelRead(ResponseModel):
    """A label by the market's own rows."""

    label: int | None = Field(description="1 it came true, 0 it did not, null it stays unknown.", examples=[1])
    reason: str | None = Field(
        description="Why it stays unknown: ended (the coin's rows end before the horizon), gap (none lies within it),"
        " no_value (a value is missing) or no_row (the row is no longer there).",
        examples=[None],
    )
    judged_at: UtcTime
    corrected_at: UtcTime | None = Field(description="When it changed because rows came late or were corrected.")


class OutcomeRead(LabelRead):
    """What became of a prediction."""

    horizon_end: UtcTime = Field(description="Up to when the label looks.")


class PredictionRead(ResponseModel):
    """What a model predicted from a coin's row."""

    id: int = Field(examples=[120_001])
    coin_id: str = Field(examples=[EXAMPLE_COIN])
    timestamp: UtcTime = Field(description="Of the row predicted from.")
    model_id: int = Field(examples=[7])
    model_name: str = Field(examples=["up 2 % within the hour"])
    prediction: int = Field(description="1 from a probability of 0.5 on, else 0.", examples=[1])
    probability: float = Field(description="Of the model's target coming true, four decimals.", examples=[0.8342])
    features: Json | None = Field(description="What the model saw, where features are kept.")
    in_scope: bool = Field(description=_IN_SCOPE, examples=[True])
    created_at: UtcTime
    outcome: OutcomeRead | None = Field(None, description="What became of it; null until its horizon has passed.")
    forecast: float | None = Field(None, description=_FORECAST, examples=[None])
    low: float | None = Field(None, description=_LOW, examples=[None])
    high: float | None = Field(None, description=_HIGH, examples=[None])


class PredictionDetail(PredictionRead):
    """A prediction, its outcome, and what that was before it was corrected."""

    corrections: list[LabelRead] = Field(description="Earlier labels, oldest first: from when to when each held.")


class PredictionPage(ResponseModel):
    """Predictions; one coin's by the moment of their rows, others by when they were stored, newest first."""

    predictions: list[PredictionRead]
    limit: int = Field(description="As asked for.", examples=[100])
    offset: int = Field(description="As asked for.", examples=[0])


class LatestPredictions(ResponseModel):
    """All models' predictions of a coin's newest predicted row."""

    coin_id: str = Field(examples=[EXAMPLE_COIN])
    timestamp: UtcTime
    predictions: list[PredictionRead]


class ReplayRead(ResponseModel):
    """A prediction computed again from the stored rows that were known then."""

    prediction_id: int = Field(examples=[120_001])
    equal: bool = Field(description="Whether features and probability have the stored bits.", examples=[True])
    score: float = Field(description="The probability now.")
    stored_score: float = Field(description="The probability then.")
    features_equal: bool = Field(description="Whether the model saw the same features.", examples=[True])
    late_rows: int = Field(description="Rows that came after the prediction and were left out.", examples=[0])
    corrected_rows: list[UtcTime] = Field(
        description="Rows that were corrected, or got another exchange rate, since: a reason for other bits."
    )
    forecast: float | None = Field(None, description="The forecast now, of a forecast model.")
    stored_forecast: float | None = Field(None, description="The forecast then.")


class PredictOrder(RequestModel):
    """Predict from a coin's stored rows."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"coin_id": EXAMPLE_COIN, "model_ids": [7]}]})

    coin_id: CoinName = Field(description="The coin.")
    model_ids: list[Id] | None = Field(
        None, min_length=1, max_length=100, description="By these models; null is all active ones."
    )
    timestamp: Moment | None = Field(None, description="Use only what was known then; null is now.")


class PredictedRead(ResponseModel):
    """What one model predicts."""

    model_id: int = Field(examples=[7])
    model_name: str = Field(examples=["up 2 % within the hour"])
    prediction: int = Field(examples=[1])
    probability: float = Field(examples=[0.8342])
    alert_triggered: bool = Field(description="Whether the row is in scope and reaches the model's alert threshold.")
    missing_features: list[str] = Field(description="Features without a value: windows that are not full yet.")
    in_scope: bool = Field(description=_IN_SCOPE, examples=[True])
    forecast: float | None = Field(None, description=_FORECAST, examples=[None])
    low: float | None = Field(None, description=_LOW, examples=[None])
    high: float | None = Field(None, description=_HIGH, examples=[None])


class PredictRead(ResponseModel):
    """What the models predict from a coin's row."""

    coin_id: str = Field(examples=[EXAMPLE_COIN])
    timestamp: UtcTime = Field(description="Of the row predicted from.")
    predictions: list[PredictedRead]


class AlertRead(ResponseModel):
    """A prediction that reached its model's threshold."""

    id: int = Field(examples=[3])
    prediction_id: int = Field(examples=[120_001])
    coin_id: str = Field(examples=[EXAMPLE_COIN])
    timestamp: UtcTime = Field(description="Of the row predicted from.")
    model_id: int = Field(examples=[7])
    model_name: str = Field(examples=["up 2 % within the hour"])
    probability: float = Field(examples=[0.8342])
    threshold: float = Field(examples=[0.7])
    alert_sent: bool
    created_at: UtcTime


class AlertPage(ResponseModel):
    """Alerts, newest first."""

    alerts: list[AlertRead]
    limit: int = Field(description="As asked for.", examples=[100])
    offset: int = Field(description="As asked for.", examples=[0])


class ActiveModelRead(ResponseModel):
    """A model that predicts every new row."""

    id: int = Field(examples=[7])
    name: str = Field(examples=["up 2 % within the hour"])
    market: str = Field(description="Whose rows it predicts.", examples=["coins"])
    model_type: str = Field(examples=["xgboost"])
    is_active: bool = Field(examples=[True])
    alert_threshold: float = Field(examples=[0.7])
    active_since: UtcTime | None
    loaded: bool = Field(description="Whether a running predictor has it in memory.", examples=[True])
    last_prediction: UtcTime | None
    fault: str | None = Field(description="Why it does not predict at present.", examples=[None])
    owed: int = Field(description="Rows it could not predict yet; at most 10,000 are counted.", examples=[0])
    missing_columns: list[str] = Field(
        description="Columns that it needs and the database lacks; features that read them are missing.", examples=[[]]
    )


class ActiveModels(ResponseModel):
    """All models that predict."""

    models: list[ActiveModelRead]


# Python counts these controls as blanks too.
_REASON_WITH_FORCE = [
    {"properties": {"force": {"const": False}}},
    {"properties": {"reason": {"type": "string", "pattern": r"[^\s\x1c-\x1f\x85]"}}, "required": ["reason"]},
]


class ActivationOrder(RequestModel):
    """How to activate; nothing is needed for a certified model."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"force": True, "reason": "a trial on one coin"}],
            "anyOf": _REASON_WITH_FORCE,  # type: ignore[dict-item]  # pydantic's type of JSON is invariant
        }
    )

    force: bool = Field(False, description="Activate it though it is not certified.")
    reason: Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00]*$")] | None = Field(
        None, description="Recorded; needed with force."
    )


class Switched(ResponseModel):
    """What was switched."""

    success: bool = Field(examples=[True])
    message: str = Field(examples=["model 7 predicts every new row from now on"])
    model_id: int = Field(examples=[7])


class StatsRead(ResponseModel):
    """How much is predicted."""

    total_predictions: int
    predictions_last_hour: int
    total_alerts: int
    active_models: int
    coins_tracked: int = Field(description="Coins in the memory of running predictors.")
    avg_prediction_time_ms: float | None = Field(
        description="From taking a row to its stored predictions, mean of late; null where no predictor runs."
    )
    replicas: int = Field(description="Lanes of running predictors.")
    memory_bytes: int = Field(description="What the coins' states take.")
    lag_rows: int = Field(description="Rows that wait.")
    lag_seconds: float = Field(description="How long the oldest of them has waited.")
