"""A model's specification: the same JSON in ``kurswerk train``, the REST API and the registry."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StrictBool,
    StrictInt,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from kurswerk.core.errors import DataFileError, SpecError, UnknownNameError
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import to_us
from kurswerk.core.validation import wrong_fields
from kurswerk.features import engineered_names, resolve
from kurswerk.labels import LabelSpec
from kurswerk.market import DEFAULT_MARKET, Clock, MarketSchema, market_named, market_of_interval
from kurswerk.market.calendar import ALWAYS_OPEN, MAX_HORIZON_SESSIONS
from kurswerk.models import DEFAULT_COVERAGE, MODEL_TYPES, REGRESSORS, model_params
from kurswerk.training._costs import CostsField

# Older clients send these inside params; contracts.md accepts both places.
FIELDS_ONCE_IN_PARAMS = (
    "use_engineered_features",
    "feature_engineering_windows",
    "use_smote",
    "use_timeseries_split",
    "cv_splits",
)
# What defines when a row counts as 1, for each of the two kinds of target; those of the other kind mean nothing.
CHANGE_FIELDS = ("min_percent_change", "direction")
COMPARISON_FIELDS = ("quantile", "relative_to")
THRESHOLD_FIELDS = ("operator", "target_value")
HORIZON_FIELDS = ("future_minutes", "horizon_sessions", "calendar")
RETURN_FIELDS = ("target", "coverage")
# Fields that came after models had been stored: a document without them, and its hash, stay as they were.
LATER_FIELDS = ("costs", "horizon_sessions", "calendar", "quantile", "relative_to", "target", "coverage")
_MOST_SPEC_BYTES = 1 << 20


def _as_utc(value: object) -> object:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise _refusal("time.not_iso", text=value) from None
    if isinstance(value, datetime):
        try:
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        except OverflowError:
            raise _refusal("time.out_of_range", time=value.isoformat()) from None
    return value


UtcTime = Annotated[datetime, BeforeValidator(_as_utc)]
# PostgreSQL's text cannot hold NUL.
# A number as text, or true for 1, is more often a slip than meant.
Number = Annotated[float, Strict()]
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]


class ModelSpec(BaseModel):
    """What to train, on what, to predict what (contracts.md, "A model's specification").

    Naive times are UTC. Unknown keys, columns, model types and hyper-parameters are refused with the nearest match.

    Examples
    --------
    >>> spec = ModelSpec.parse({
    ...     "name": "up 2 %", "model_type": "xgboost", "features": ["price_close", "volume_sol"],
    ...     "train_start": "2024-01-01", "train_end": "2024-07-01", "target_var": "price_close",
    ...     "use_time_based_prediction": True, "future_minutes": 60, "min_percent_change": 2, "direction": "up"})
    >>> spec.raw_features  # with a time-based target the watched variable is no raw feature
    ('volume_sol',)
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())

    name: str = Field(min_length=1, max_length=255)
    model_type: str
    features: tuple[str, ...] = Field(min_length=1, max_length=10_000)
    train_start: UtcTime
    train_end: UtcTime
    target_var: str
    operator: Literal[">", "<", ">=", "<=", "="] | None = None
    target_value: Number | None = None
    use_time_based_prediction: StrictBool = False
    future_minutes: Number | None = Field(default=None, gt=0, le=525_600)
    min_percent_change: Number | None = Field(default=None, gt=0)
    direction: Literal["up", "down"] | None = None
    horizon_sessions: StrictInt | None = Field(default=None, ge=1, le=MAX_HORIZON_SESSIONS)
    calendar: Text | None = None
    quantile: Number | None = Field(default=None, gt=0, lt=1)
    relative_to: Literal["market", "sector"] | None = None
    horizon_mode: Literal["at", "within"] = "at"
    target: Literal["return"] | None = None
    coverage: Number | None = Field(default=None, ge=0.5, le=0.99)
    phases: tuple[StrictInt, ...] | None = Field(default=None, min_length=1)
    mints: tuple[Text, ...] | None = Field(default=None, min_length=1)
    market: str = DEFAULT_MARKET
    interval: str | None = Field(default=None, exclude=True)
    instruments: tuple[Text, ...] | None = Field(default=None, min_length=1)
    costs: CostsField = None
    use_engineered_features: StrictBool = False
    feature_engineering_windows: tuple[StrictInt, ...] = Field(default=(5, 10, 15), min_length=1, max_length=100)
    use_smote: StrictBool = True
    use_timeseries_split: StrictBool = True
    cv_splits: StrictInt = Field(default=5, ge=2, le=50)
    params: dict[str, Any] = Field(default_factory=dict)
    description: Annotated[Text, Field(max_length=10_000)] | None = None

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Validate a JSON object.

        Raises
        ------
        SpecError
            All that is wrong, one clause per field.
        UnknownNameError
            A feature, column, model type or hyper-parameter nobody knows.
        """
        if not isinstance(document, Mapping):
            raise SpecError("spec.no_object", type=type(document).__name__)
        lifted = lift_from_params(document)
        for key in lifted:
            if key not in cls.model_fields:
                raise UnknownNameError("spec.unknown_key", name=str(key), known=cls.model_fields)
        try:
            return cls.model_validate(lifted)
        except ValidationError as error:
            raise problems_of(error) from error

    @classmethod
    def stored(cls, document: Mapping[str, Any]) -> Self:
        """Validate the specification of a stored model.

        Version 0.1 accepted the fields of the other kind of target and ignored them; they are left out here, so that
        models of that version keep their meaning.

        Raises
        ------
        SpecError, UnknownNameError
            As for `parse`.
        """
        ignored = THRESHOLD_FIELDS if document.get("use_time_based_prediction") else CHANGE_FIELDS
        return cls.parse({name: value for name, value in document.items() if name not in ignored})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and validate a JSON file."""
        return cls.parse(read_document(path))

    @model_validator(mode="before")
    @classmethod
    def _instruments_once(cls, document: Any) -> Any:
        """Refuse ``mints`` beside other ``instruments``: they are two names of one field."""
        if not isinstance(document, Mapping) or None in (document.get("mints"), document.get("instruments")):
            return document
        if document["mints"] != document["instruments"]:
            raise SpecError("spec.mints_and_instruments_differ")
        return {**document, "instruments": None}  # filled in again below; what is wrong with it is reported once

    @model_validator(mode="before")
    @classmethod
    def _market_of_interval(cls, document: Any) -> Any:
        """Replace market and interval by the market whose rows are bars of this length."""
        if not isinstance(document, Mapping) or not isinstance(document.get("interval"), str):
            return document
        market = market_of_interval(str(document.get("market", DEFAULT_MARKET)), document["interval"])
        return {**document, "market": market.name, "interval": None}

    @field_validator("name")
    @classmethod
    def _name_is_text(cls, value: str) -> str:
        if not value.strip() or "\x00" in value:
            raise _refusal("spec.name_invisible")
        return value

    @field_validator("feature_engineering_windows")
    @classmethod
    def _each_window_once(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(dict.fromkeys(value))

    @model_validator(mode="after")
    def _both_names_of_instruments(self) -> Self:
        given = self.instruments if self.mints is None else self.mints
        for field in ("mints", "instruments"):
            object.__setattr__(self, field, given)  # the model is frozen for everyone else
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.train_start >= self.train_end:
            raise _refusal("spec.period_reversed", start=self.train_start.isoformat(), end=self.train_end.isoformat())
        if self.model_type not in MODEL_TYPES:
            raise UnknownNameError("model_type.unknown", name=self.model_type, known=MODEL_TYPES)
        market = self.market_schema
        if self.target_var not in market.target_columns:
            raise UnknownNameError("spec.unknown_target_var", name=self.target_var, known=market.target_columns)
        if self.phases is not None and market.segment is None:
            raise SpecError("spec.market_without_phases", market=market.name)
        engineered_names((), market, self.feature_engineering_windows)  # refuses a window out of range
        for name in self.features:
            resolve(name, market)
        model_params(self.model_type, self.params)
        self.label_spec()
        self._refuse_model_of_the_other_task()
        if not self.raw_features and not self.use_engineered_features:
            raise _refusal("spec.only_target_var", target_var=self.target_var)
        return self

    @property
    def market_schema(self) -> MarketSchema:
        """The market whose rows the model is trained on.

        Raises
        ------
        UnknownNameError
            If there is no such market.
        """
        return market_named(self.market)

    @property
    def raw_features(self) -> tuple[str, ...]:
        """The named features without doubles and without the watched variable of a change or a return."""
        watched = self.target_var if self.use_time_based_prediction or self.is_forecast else None
        return tuple(name for name in dict.fromkeys(self.features) if name != watched)

    @property
    def is_forecast(self) -> bool:
        """Whether a number is forecast, with an interval."""
        return self.target is not None

    @property
    def nominal_coverage(self) -> float:
        """Share of later values that a forecast's interval is made for."""
        return DEFAULT_COVERAGE if self.coverage is None else self.coverage

    def _refuse_model_of_the_other_task(self) -> None:
        if self.is_forecast and self.model_type not in REGRESSORS:
            raise SpecError("spec.classifier_for_return", model_type=self.model_type, regressors=REGRESSORS)
        if not self.is_forecast and self.model_type in REGRESSORS:
            raise SpecError("spec.regressor_without_return", model_type=self.model_type)
        if self.coverage is not None and not self.is_forecast:
            raise SpecError("spec.coverage_without_return", coverage=self.coverage)

    def _return_label(self) -> LabelSpec:
        if self.future_minutes is None and self.horizon_sessions is None:
            raise SpecError("spec.return_without_horizon")
        others = [
            name for name in (*THRESHOLD_FIELDS, *CHANGE_FIELDS, *COMPARISON_FIELDS) if getattr(self, name) is not None
        ]
        if others:
            raise SpecError("spec.field_beside_return", fields=", ".join(others))
        return LabelSpec(
            self.target_var,
            minutes=self.future_minutes,
            mode=self.horizon_mode,
            sessions=self.horizon_sessions,
            calendar=self.label_calendar,
            is_return=True,
        )

    def label_spec(self) -> LabelSpec:
        """Return what is to be predicted.

        Raises
        ------
        SpecError
            If the fields for the kind of target are missing or contradict each other.
        """
        if self.is_forecast:
            return self._return_label()
        if self.use_time_based_prediction:
            horizon = () if self.horizon_sessions is not None else ("future_minutes",)
            kind = (*COMPARISON_FIELDS, "direction") if self.compares else CHANGE_FIELDS
            missing = [field for field in (*horizon, *kind) if getattr(self, field) is None]
            if missing:
                raise SpecError("spec.incomplete_time_based_target", fields=missing)
            self._refuse_fields_of_the_other_target()
            return LabelSpec(
                self.target_var,
                minutes=self.future_minutes,
                min_percent_change=self.min_percent_change,
                direction=self.direction,
                mode=self.horizon_mode,
                sessions=self.horizon_sessions,
                calendar=self.label_calendar,
                quantile=self.quantile,
                relative_to=self.relative_to,
                market=self.market_schema if self.compares else None,
            )
        if self.operator is None or self.target_value is None:
            raise SpecError("spec.no_target")
        self._refuse_fields_of_the_other_target()
        return LabelSpec(
            self.target_var,
            operator=self.operator,
            target_value=self.target_value,
            minutes=self.future_minutes,
            mode=self.horizon_mode,
            sessions=self.horizon_sessions,
            calendar=self.label_calendar,
        )

    @property
    def compares(self) -> bool:
        """Whether the target is a change against other instruments."""
        return self.quantile is not None or self.relative_to is not None

    @property
    def label_calendar(self) -> str | None:
        """Exchange whose sessions count for instruments that state none; None where every one must state its own."""
        return default_calendar(self.market_schema, self.horizon_sessions, self.calendar)

    def _refuse_fields_of_the_other_target(self) -> None:
        timed = self.use_time_based_prediction
        others = THRESHOLD_FIELDS if timed else (*CHANGE_FIELDS, *COMPARISON_FIELDS)
        ignored = [name for name in others if getattr(self, name) is not None]
        if not ignored:
            return
        names = ", ".join(ignored)
        if timed:
            raise SpecError("spec.field_of_level_target", fields=names)
        raise SpecError("spec.field_of_time_based_target", fields=names)

    @property
    def full_params(self) -> dict[str, Any]:
        """Hyper-parameters with all defaults filled in."""
        return dict(model_params(self.model_type, self.params))

    @property
    def train_start_us(self) -> int:
        """Start of the training period in microseconds UTC, inclusive."""
        return to_us(self.train_start)

    @property
    def train_end_us(self) -> int:
        """End of the training period in microseconds UTC, inclusive."""
        return to_us(self.train_end)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object that `parse` reads back as an equal specification.

        The market and its instruments stand in it for other markets than coins only: the specification of a model that
        was stored before there were markets, and with it the recipe of its artifact, stays as it was. Costs stand in it
        where they are given, and so do a horizon in sessions and its calendar, and the fields of a forecast.
        """
        document = self.model_dump(mode="json")
        absent = {"market", "instruments"} if self.market == DEFAULT_MARKET else {"mints"}
        absent.update(name for name in LATER_FIELDS if getattr(self, name) is None)
        return {key: value for key, value in document.items() if key not in absent}


def default_calendar(market: MarketSchema, sessions: int | None, calendar: str | None) -> str | None:
    """Return the calendar of instruments that state no exchange: the one given, else that of the market's clock.

    Without a horizon in sessions it is what was given, which `LabelSpec` then refuses.
    """
    if calendar is not None or sessions is None or market.clock is not Clock.CONTINUOUS:
        return calendar
    return ALWAYS_OPEN


def read_document(path: Path) -> Any:
    """Read a JSON file of at most 1 MiB.

    Raises
    ------
    DataFileError
        If it cannot be read.
    SpecError
        If it is larger, or no JSON.
    """
    try:
        if path.stat().st_size > _MOST_SPEC_BYTES:
            raise SpecError("spec.too_large", path=path)
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataFileError("spec.not_readable", path=path, reason=error.strerror) from error
    except (ValueError, RecursionError) as error:
        raise SpecError("spec.no_json", path=path, reason=error) from error


def lift_from_params(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a specification with the fields that older clients send inside ``params`` in their place."""
    lifted = dict(document)
    params = lifted.get("params")
    if isinstance(params, Mapping):
        rest = dict(params)
        for field in FIELDS_ONCE_IN_PARAMS:
            if field in rest:
                value = rest.pop(field)
                lifted.setdefault(field, value)
        lifted["params"] = rest
    return lifted


def _refusal(code: str, **params: Any) -> PydanticCustomError:
    """Return an error for a validator, which pydantic reports with its field."""
    message = Message(code, **params)
    return PydanticCustomError(code, "{english}", {"english": str(message), **message.params})


def problems_of(error: ValidationError) -> SpecError:
    """Return all that is wrong as one error, a clause for each field."""
    items = error.errors(include_url=False)
    clauses = []
    for (field, problem), item in zip(wrong_fields(items), items, strict=True):
        if not field:
            clauses.append(problem)
        elif item["type"] == "missing":
            clauses.append(Message("validation.field", field=field, problem=problem))
        else:
            given = str(item["input"])[:80]
            clauses.append(Message("validation.field_given", field=field, problem=problem, given=given))
    whole = clauses[0]
    for clause in clauses[1:]:
        whole = Message("validation.two_problems", first=whole, second=clause)
    return SpecError(whole.code, **whole.params)
