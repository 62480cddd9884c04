"""Predictions, alerts and the models that make them."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Literal, Self, Union

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    create_model,
    model_validator,
)

from kurswerk.alerts import ChannelKind, check_agreement
from kurswerk.api.schemas._base import LARGEST_ID, Json, RequestModel, ResponseModel, UtcTime
from kurswerk.core.errors import SpecError
from kurswerk.core.messages import Message
from kurswerk.serving import PredictionFilter
from kurswerk.training.spec import UtcTime as GivenTime

CoinName = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00]+$")]
Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]
Moment = GivenTime


def _as_text(clock: object) -> object:
    """Refuse numbers, which would be taken for seconds since midnight."""
    if isinstance(clock, int | float):
        raise ValueError("a time of day is text such as 22:00")  # noqa: TRY004 - pydantic turns this into its own error
    return clock


def _as_number(value: object) -> object:
    """Refuse text and truth values, which would be taken for numbers."""
    if isinstance(value, str | bool):
        raise ValueError("a number is wanted")  # noqa: TRY004 - pydantic turns this into its own error
    return value


def _in_utc(clock: time | None) -> time | None:
    """Return a time of day without its offset, in UTC."""
    if clock is None or clock.tzinfo is None:
        return clock
    return datetime.combine(_SOME_DAY, clock).astimezone(UTC).time()


# Bounds before the validator: the other way round JSON Schema would not show them.
Share = Annotated[float, Field(ge=0, le=1), BeforeValidator(_as_number)]
Count = Annotated[int, BeforeValidator(_as_number)]
ModelId = Annotated[Id, BeforeValidator(_as_number)]
ClockTime = Annotated[time, BeforeValidator(_as_text), AfterValidator(_in_utc)]
# Of the database it has no offset; in an answer it needs one (RFC 3339).
UtcClock = Annotated[time, AfterValidator(lambda clock: clock.replace(tzinfo=UTC))]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00]+$")]
_SOME_DAY = date(2000, 1, 1)
# Of every prediction.
_IN_SCOPE = "Whether the row is of the phases and mints that the model was made for."
_COIN = "6EF8rrecthR5Dkzon8Nwu78hRvfCKubJ14M5uBEwpump"


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


class PredictionRead(ResponseModel):
    """What a model predicted from a coin's row."""

    id: int = Field(examples=[120_001])
    coin_id: str = Field(examples=[_COIN])
    timestamp: UtcTime = Field(description="Of the row predicted from.")
    model_id: int = Field(examples=[7])
    model_name: str = Field(examples=["up 2 % within the hour"])
    prediction: int = Field(description="1 from a probability of 0.5 on, else 0.", examples=[1])
    probability: float = Field(description="Of the model's target coming true, four decimals.", examples=[0.8342])
    features: Json | None = Field(description="What the model saw, where features are kept.")
    in_scope: bool = Field(description=_IN_SCOPE, examples=[True])
    created_at: UtcTime


class PredictionPage(ResponseModel):
    """Predictions; one coin's by the moment of their rows, others by when they were stored, newest first."""

    predictions: list[PredictionRead]
    limit: int = Field(description="As asked for.", examples=[100])
    offset: int = Field(description="As asked for.", examples=[0])


class LatestPredictions(ResponseModel):
    """All models' predictions of a coin's newest predicted row."""

    coin_id: str = Field(examples=[_COIN])
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


class PredictOrder(RequestModel):
    """Predict from a coin's stored rows."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"coin_id": _COIN, "model_ids": [7]}]})

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


class PredictRead(ResponseModel):
    """What the models predict from a coin's row."""

    coin_id: str = Field(examples=[_COIN])
    timestamp: UtcTime = Field(description="Of the row predicted from.")
    predictions: list[PredictedRead]


class AlertRead(ResponseModel):
    """A prediction that reached its model's threshold."""

    id: int = Field(examples=[3])
    prediction_id: int = Field(examples=[120_001])
    coin_id: str = Field(examples=[_COIN])
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


def _quiet_hours(kind: str) -> Json:
    return {name: {"type": kind} for name in ("quiet_start", "quiet_end")}


# Both ends of the quiet hours, or neither.
_QUIET_HOURS = [
    {"properties": _quiet_hours("null")},
    {"properties": _quiet_hours("string"), "required": list(_quiet_hours("string"))},
]


class AlertRuleCreate(RequestModel):
    """When to send a message, and how."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00]+$")] = Field(
        description="Free among the rules there are."
    )
    model_ids: Annotated[list[ModelId], AfterValidator(lambda ids: list(dict.fromkeys(ids)))] = Field(
        [], max_length=1000, description="Of these models; empty is all active ones."
    )
    least_agreeing: Count = Field(1, ge=1, le=1000, description="So many must reach the probability on one row.")
    min_probability: Share | None = Field(None, description="Null: each model's own threshold.")
    cooldown_seconds: Count = Field(
        0, ge=0, le=2**31 - 1, description="Silence about a coin and a model after a message that names both."
    )
    quiet_start: ClockTime | None = Field(None, description="UTC; messages wait from then …")
    quiet_end: ClockTime | None = Field(None, description="… until then.")
    channel: str = Field(description="The way it takes.")
    target: Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00\s]+$")] | None = Field(
        None,
        description="Where to send, if the channel needs to know.",
    )
    secret: Secret | None = Field(
        None, description="What the channel needs a secret for, if anything. Never shown again."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        try:
            check_agreement(self.model_dump())
        except SpecError as error:
            raise ValueError(str(error)) from error  # as everything else that pydantic finds wrong
        return self


def alert_rule_body(kinds: Iterable[ChannelKind]) -> Any:
    """Return the body of a request for a new rule: one model per registered channel, discriminated by ``channel``."""
    models = tuple(_rule_of(kind) for kind in kinds)
    return Annotated[Union[models], Field(discriminator="channel")]  # noqa: UP007  # of as many as are registered


def _rule_of(kind: ChannelKind) -> type[AlertRuleCreate]:
    example = {"name": "two agree", "model_ids": [7, 8, 9], "least_agreeing": 2, "cooldown_seconds": 300}
    example |= {"channel": kind.name} | ({"target": kind.target_example} if kind.target_example else {})
    extra = {"examples": [example], "anyOf": _QUIET_HOURS}
    base = type("AlertRuleCreate", (AlertRuleCreate,), {"model_config": {"json_schema_extra": extra}})
    fields: dict[str, Any] = {"channel": (Literal[kind.name], Field(description=f"{kind.label}."))}
    if kind.target_pattern is not None:
        shape = StringConstraints(max_length=2000, pattern=rf"{kind.target_pattern}[^\x00\s]+$")
        fields["target"] = (Annotated[str, shape], Field(description=f"Where to send, such as {kind.target_example}."))
    if kind.secret_required:
        example["secret"] = str(kind.secret)
        fields["secret"] = (Secret, Field(description=f"It is {kind.secret}. Never shown again."))
    return create_model(
        f"AlertRuleCreate{kind.name.capitalize()}",
        __base__=base,
        __doc__=f"When to send a message, by channel {kind.name}.",
        **fields,
    )


class AlertRuleChange(RequestModel):
    """Switch a rule on or off; another rule is another one: make it, so that the history stays true."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"is_active": False}]})

    is_active: StrictBool = Field(description="Off gives up its messages that wait, and keeps its history.")


class AlertRuleRead(ResponseModel):
    """A rule."""

    id: int = Field(examples=[2])
    name: str
    model_ids: list[int]
    least_agreeing: int
    min_probability: float | None
    cooldown_seconds: int
    quiet_start: UtcClock | None
    quiet_end: UtcClock | None
    channel: str = Field(examples=["webhook"])
    target: str | None
    signed: bool = Field(description="Whether there is a secret.")
    is_active: bool
    created_at: UtcTime


class AlertRules(ResponseModel):
    """All rules."""

    rules: list[AlertRuleRead]


def _of_message(value: object) -> object:
    """Put what a notice reports into words, with its code and values for programs."""
    return value.as_json() | {"text": str(value)} if isinstance(value, Message) else value


class NoticeRead(ResponseModel):
    """What a notice about the service reports."""

    code: str = Field(examples=["market.columns_missing"])
    params: Json
    text: str


class DeliveryRead(ResponseModel):
    """A message and what became of it."""

    id: int = Field(examples=[5])
    rule_id: int = Field(examples=[2])
    rule: str
    channel: str = Field(examples=["webhook"])
    coin_id: str | None = Field(description="Null for a notice about the service.", examples=[_COIN])
    timestamp: UtcTime
    model_ids: list[int]
    probability: float | None = Field(description="Null for a notice about the service.", examples=[0.5])
    notice: Annotated[NoticeRead | None, BeforeValidator(_of_message)] = Field(
        None, description="Null for an alert that predictions raised."
    )
    status: Literal["PENDING", "SENT", "FAILED"]
    attempts: int
    due_at: UtcTime
    error: str | None
    created_at: UtcTime
    sent_at: UtcTime | None


class DeliveryQuery(BaseModel):
    """Which messages."""

    limit: int = Field(100, ge=1, le=1000, description="How many at most.")
    offset: int = Field(0, ge=0, le=2**31 - 1, description="How many to leave out before the first.")
    rule_id: Id | None = Field(None, description="Only of this rule.")
    coin_id: CoinName | None = Field(None, description="Only about this coin.")
    status: Literal["PENDING", "SENT", "FAILED"] | None = Field(None, description="Only in this state.")

    def chosen(self) -> dict[str, object]:
        """Return the filters that were given."""
        return self.model_dump(include={"rule_id", "coin_id", "status"}, exclude_none=True)


class DeliveryPage(ResponseModel):
    """Messages, newest first."""

    deliveries: list[DeliveryRead]
    limit: int = Field(description="As asked for.", examples=[100])
    offset: int = Field(description="As asked for.", examples=[0])
