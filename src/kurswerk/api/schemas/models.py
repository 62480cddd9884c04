"""Models."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from kurswerk.api.schemas._base import (
    Importance,
    Json,
    MarketName,
    MessageRead,
    PageQuery,
    PageResponse,
    Ratio,
    RequestModel,
    ResponseModel,
    UtcTime,
)
from kurswerk.features import LARGEST_WINDOW
from kurswerk.market import INTERVALS, MARKETS
from kurswerk.market.calendar import ALIASES, exchanges
from kurswerk.models import MODEL_TYPES
from kurswerk.training import ModelSpec
from kurswerk.training.spec import Number, lift_from_params
from kurswerk.training.spec import UtcTime as GivenTime

if TYPE_CHECKING:
    ModelType = str
else:
    # The register decides; a literal of names that are known when the program runs.
    ModelType = Literal[MODEL_TYPES]
ModelStatus = Literal["TRAINING", "READY", "FAILED", "NO_ARTIFACT"]
ModelSort = Literal["id", "name", "created_at", "updated_at", "training_f1", "training_accuracy", "roc_auc", "mcc"]
# No NUL, which PostgreSQL's text cannot hold, and something to see.
NAME_PATTERN = r"^[^\x00]*[^\s\x00][^\x00]*$"
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=NAME_PATTERN)]
Text = Annotated[str, StringConstraints(max_length=10_000, pattern=r"^[^\x00]*$")]

EXAMPLE_SPEC: Json = {
    "name": "up 2 % within the hour",
    "model_type": "xgboost",
    "features": ["price_close", "volume_sol", "buy_pressure_ratio"],
    "train_start": "2024-01-01T00:00:00Z",
    "train_end": "2024-03-01T00:00:00Z",
    "target_var": "price_close",
    "use_time_based_prediction": True,
    "future_minutes": 60,
    "min_percent_change": 2.0,
    "direction": "up",
    "use_engineered_features": True,
    "params": {"n_estimators": 200, "max_depth": 6},
}


_NOTES = {
    "name": "Free among the models there are.",
    "model_type": "What learns.",
    "features": "Columns of the market data, engineered features or indicators, such as price_change_10 or rsi_14.",
    "train_start": "First moment of the rows to learn from.",
    "train_end": "Last moment of the rows to learn from; must lie after train_start.",
    "target_var": "The column that is watched.",
    "operator": "With target_value: what counts as 1.",
    "target_value": "What target_var is compared with.",
    "use_time_based_prediction": (
        "Predict a change instead; needs min_percent_change, or quantile and relative_to, direction, and "
        "future_minutes or horizon_sessions."
    ),
    "future_minutes": "How far to look ahead.",
    "horizon_sessions": (
        "How far to look ahead in trading sessions, instead of future_minutes: up to the close of the n-th session "
        "after the one that the row belongs to."
    ),
    "calendar": (
        "With horizon_sessions: exchange whose sessions count for instruments that state none. Without it, a market "
        "that never closes has a session for each day UTC."
    ),
    "min_percent_change": "From how many percent on it counts as 1.",
    "direction": "Whether it has to rise or to fall.",
    "quantile": "Instead of min_percent_change: the change is among this share of all, 0.2 for the top quintile.",
    "relative_to": "With quantile: all instruments of the moment, or those of the row's sector.",
    "horizon_mode": "Measured at the horizon, or reached at any time within it.",
    "target": "Forecast the change itself in percent; needs future_minutes or horizon_sessions, and a regressor.",
    "coverage": "Of a forecast: share of later values that its interval is to hold; null is 0.9.",
    "phases": "Only rows of these phases; null is all.",
    "mints": "Only these coins; null is all.",
    "market": "Which market's rows to learn from and predict.",
    "interval": "Length of a bar: stocks and 1h are the market stocks_1h.",
    "instruments": "Only these, such as coins; null is all. Of coins the same as mints.",
    "costs": "Of simulated trades: a preset such as spot-taker or pump.fun, or its fields; null is spot-taker.",
    "use_engineered_features": "Add all engineered features that the columns allow.",
    "feature_engineering_windows": "For these windows, in rows.",
    "use_smote": "Balance the classes inside each training fold.",
    "use_timeseries_split": "Judge by walking forward through time, purged.",
    "cv_splits": "In so many folds.",
    "params": "Hyper-parameters of the model type; what is left out has its default.",
    "description": "For people.",
}


def _describe(schema: Json) -> None:
    for name, note in _NOTES.items():
        schema["properties"][name]["description"] = note
    fields = schema["properties"]
    fields["model_type"]["enum"] = list(MODEL_TYPES)
    fields["market"]["enum"] = list(MARKETS)
    fields["interval"]["anyOf"][0]["enum"] = list(INTERVALS)
    fields["calendar"]["anyOf"][0]["enum"] = [*exchanges(), *ALIASES]
    fields["name"]["pattern"] = NAME_PATTERN
    fields["feature_engineering_windows"]["items"] |= {"minimum": 1, "maximum": LARGEST_WINDOW}
    schema["examples"] = [EXAMPLE_SPEC]


class ModelCreate(ModelSpec):
    """What to train, on what, to predict what.

    Either a threshold (`operator` and `target_value`), or with `use_time_based_prediction` a change of `target_var` by
    `min_percent_change` percent in a `direction` at, or within, `future_minutes` or `horizon_sessions`, or one among
    the upper or lower `quantile` of all instruments, or with `"target": "return"` the change itself. Times without an
    offset are UTC. Hyper-parameters go into `params`.
    """

    model_config = ConfigDict(json_schema_extra=_describe)

    @model_validator(mode="before")
    @classmethod
    def _as_older_clients_send_it(cls, document: Any) -> Any:
        return lift_from_params(document) if isinstance(document, Mapping) else document


class ModelTrainAgain(RequestModel):
    """What the new model has otherwise than the one that is there; what is left out is as it was."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"train_end": "2024-06-01T00:00:00Z"}]})

    name: ModelName | None = Field(None, description="Else the same with the next free number behind it.")
    train_start: GivenTime | None = Field(None, description="First moment of the rows to learn from.")
    train_end: GivenTime | None = Field(None, description="Last moment of the rows to learn from.")


class ModelUpdate(RequestModel):
    """What can be changed of a model; what is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"alert_threshold": 0.8}]})

    name: ModelName | None = None
    description: Text | None = None
    alert_threshold: Number | None = Field(
        None, ge=0, le=1, description="Probability from which on an alert is raised."
    )

    def changes(self) -> Json:
        """Return what was given; null removes a description and leaves the others as they are."""
        given = self.model_dump(exclude_unset=True)
        return {name: value for name, value in given.items() if value is not None or name == "description"}


class ModelQuery(PageQuery):
    """Which models, in which order."""

    sort: ModelSort = Field("id", description="What to sort by.")
    name: str | None = Field(None, max_length=255, pattern=r"^[^\x00]*$", description="Only the one with this name.")
    status: ModelStatus | None = Field(None, description="Only those in this state.")
    model_type: ModelType | None = Field(None, description="Only those of this type.")
    market: MarketName | None = Field(None, description="Only those of this market.")
    is_active: bool | None = Field(None, description="Only those that predict, or that do not.")


class ModelSummary(ResponseModel):
    """A model as lists show it."""

    id: int = Field(examples=[7])
    name: str = Field(examples=["up 2 % within the hour"])
    market: str = Field(description="Whose rows it predicts.", examples=["coins"])
    model_type: str = Field(examples=["xgboost"])
    status: ModelStatus
    is_active: bool = Field(description="Whether it predicts every new row.")
    alert_threshold: float
    target_variable: str = Field(examples=["price_close"])
    target_operator: str | None
    target_value: float | None
    future_minutes: float | None
    price_change_percent: float | None
    target_direction: str | None
    horizon_mode: str
    features: list[str] = Field(description="In the order of the model's input, once it is READY.")
    phases: list[int] | None
    params: Json | None
    train_start: UtcTime
    train_end: UtcTime
    training_accuracy: Ratio
    training_f1: Ratio
    training_precision: Ratio
    training_recall: Ratio
    roc_auc: Ratio
    mcc: float | None = Field(description="In [-1, 1].")
    fpr: Ratio
    fnr: Ratio
    confusion_matrix: dict[str, int] | None = Field(description="tp, tn, fp, fn.")
    cv_overfitting_gap: float | None
    simulated_profit_pct: float | None = Field(description="Mean net return per simulated trade, in percent.")
    description: str | None
    artifact_sha256: str | None
    error_msg: str | None = Field(description="Why the training failed.")
    error_detail: MessageRead | None = Field(None, description="Code and parameters of `error_msg`.")
    created_at: UtcTime
    updated_at: UtcTime


class ModelRead(ModelSummary):
    """A model with everything that is kept of it."""

    spec: Json = Field(description="The whole specification, from which the model can be trained again.")
    feature_importance: Importance
    cv_scores: Any = Field(description="Scores of each fold.")
    evaluation: Json | None = Field(description="Metrics with confidence intervals, against naive baselines.")
    certificate: Json | None = Field(description="Outcome of the leak probes.")
    dataset_fingerprint: str | None
    feature_hashes: dict[str, str] | None
    library_versions: dict[str, str] | None


class ModelPage(PageResponse):
    """One page of models."""

    models: list[ModelSummary]
