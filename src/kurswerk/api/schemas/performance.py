"""How good a model is by the outcomes of its live predictions."""

from typing import Annotated, Self

from pydantic import BaseModel, Field

from kurswerk.api.schemas._base import Json, ResponseModel, UtcTime
from kurswerk.core.timestamps import to_datetime
from kurswerk.oversight import DEFAULT_OUTCOMES, MOST_OUTCOMES, LivePerformance
from kurswerk.training.spec import UtcTime as GivenTime

_Count = Annotated[int, Field(ge=0)]


class PerformanceQuery(BaseModel):
    """Which outcomes."""

    since: GivenTime | None = Field(None, description="Only of rows from this moment on.")
    until: GivenTime | None = Field(None, description="Only of rows up to this moment.")
    threshold: float = Field(0.5, ge=0, le=1, description="Probability from which on a prediction counts as positive.")
    limit: int = Field(DEFAULT_OUTCOMES, ge=1, le=MOST_OUTCOMES, description="Only so many of the newest ones.")


class EstimateRead(ResponseModel):
    """A metric with its bootstrap interval; null where undefined, or where there is too little to draw from."""

    value: float | None = Field(examples=[0.61])
    low: float | None = Field(examples=[0.55])
    high: float | None = Field(examples=[0.67])


class CalibrationBin(ResponseModel):
    """Predictions whose probability lies in a range."""

    low: float = Field(examples=[0.6])
    high: float = Field(examples=[0.7])
    count: _Count = Field(examples=[240])
    mean_probability: float | None = Field(description="What was predicted.", examples=[0.65])
    positive_rate: float | None = Field(description="What came true.", examples=[0.58])


class ForecastPerformanceRead(ResponseModel):
    """How far live forecasts were off, in percentage points."""

    known: int = Field(description="Forecasts measured.", examples=[20_000])
    mae: float = Field(description="Mean absolute error.", examples=[1.2])
    rmse: float = Field(description="Root of the mean squared error.", examples=[1.8])
    bias: float = Field(description="Mean of forecast less return.", examples=[0.02])
    persistence_mae: float = Field(description="Mean absolute error of an unchanged price.", examples=[1.2])
    interval_coverage: float = Field(description="Share of returns inside their interval.", examples=[0.89])
    interval_width: float = Field(description="Mean width of the intervals.", examples=[5.5])


class PerformanceRead(ResponseModel):
    """A model's live predictions of rows in scope, compared with what became of them."""

    model_id: int = Field(examples=[7])
    first_timestamp: UtcTime | None = Field(description="Of the first row measured.")
    last_timestamp: UtcTime | None = Field(description="Of the last row measured.")
    threshold: float = Field(examples=[0.5])
    known: _Count = Field(description="Predictions whose label is known; metrics are of these.", examples=[20_000])
    positive: _Count = Field(description="Those that came true.", examples=[1_500])
    predicted_positive: _Count = Field(description="Those with at least the threshold.", examples=[420])
    true_positive: _Count = Field(description="Of these, the ones that came true.", examples=[256])
    unknown: dict[str, int] = Field(
        description="Why labels of the same time stay unknown → how many do; see the field reason of an outcome.",
        examples=[{"ended": 310, "gap": 12}],
    )
    metrics: dict[str, EstimateRead] = Field(
        description="precision, recall, pr_auc, roc_auc, brier, log_loss and base_rate, with 95 % intervals."
    )
    calibration: list[CalibrationBin] = Field(description="Ten bins of equal width.")
    bootstrap: Json = Field(description="How the intervals were drawn.")
    forecast: ForecastPerformanceRead | None = Field(None, description="Of a forecast model: errors and coverage.")

    @classmethod
    def of(cls, model_id: int, found: LivePerformance) -> Self:
        """Write what was measured."""
        counts = found.counts
        return cls.model_validate(
            {
                "model_id": model_id,
                "first_timestamp": None if found.first_us is None else to_datetime(found.first_us),
                "last_timestamp": None if found.last_us is None else to_datetime(found.last_us),
                "threshold": found.threshold,
                "known": counts.known,
                "positive": counts.positive,
                "predicted_positive": counts.predicted_positive,
                "true_positive": counts.true_positive,
                "unknown": found.reasons,
                "metrics": {name: estimate.as_json() for name, estimate in found.estimates.items()},
                "calibration": found.calibration,
                "bootstrap": found.bootstrap,
                "forecast": None if found.forecast is None else vars(found.forecast),
            }
        )
