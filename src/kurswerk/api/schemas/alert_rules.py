"""The rules that send messages about alerts, and what became of those messages."""

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
from kurswerk.api.schemas._base import Json, MessageRead, RequestModel, ResponseModel, UtcTime
from kurswerk.api.schemas.predictions import EXAMPLE_COIN, CoinName, Id
from kurswerk.core.errors import SpecError
from kurswerk.core.messages import Message


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


class SecretReplace(RequestModel):
    """Another secret for a rule."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"grace_seconds": 3600, "secret": "s3cret"}]})  # nosec B105

    secret: Secret = Field(description="Never shown again.")
    grace_seconds: Count = Field(
        86_400, ge=0, le=2_592_000, description="For so long webhooks are signed by the secret before, too."
    )


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
    coin_id: str | None = Field(description="Null for a notice about the service.", examples=[EXAMPLE_COIN])
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
    error_detail: Annotated[MessageRead | None, BeforeValidator(_of_message)] = Field(
        None, description="Code and parameters of `error`."
    )
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
