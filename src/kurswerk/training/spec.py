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

from kurswerk.core.errors import DataFileError, SpecError, UnknownNameError
from kurswerk.core.timestamps import MINUTE_US, to_us
from kurswerk.features import engineered_names, resolve
from kurswerk.labels import LabelSpec
from kurswerk.market import COIN_COLUMNS
from kurswerk.models import MODEL_TYPES, model_params

# Older clients send these inside params; contracts.md accepts both places.
_FIELDS_ONCE_IN_PARAMS = (
    "use_engineered_features",
    "feature_engineering_windows",
    "use_smote",
    "use_timeseries_split",
    "cv_splits",
)
_LEAST_EMBARGO_US = MINUTE_US
_MOST_SPEC_BYTES = 1 << 20


def _as_utc(value: object) -> object:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError(f"'{value}' is no ISO 8601 time; write it like 2024-07-01T00:00:00Z") from None
    if isinstance(value, datetime):
        try:
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        except OverflowError:
            raise ValueError(f"{value.isoformat()} lies outside the years 1 to 9999 in UTC") from None
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
    horizon_mode: Literal["at", "within"] = "at"
    phases: tuple[StrictInt, ...] | None = Field(default=None, min_length=1)
    mints: tuple[Text, ...] | None = Field(default=None, min_length=1)
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
            raise SpecError(f"a model specification is a JSON object, not {type(document).__name__}")
        lifted = lift_from_params(document)
        for key in lifted:
            if key not in cls.model_fields:
                raise UnknownNameError("key in the model specification", str(key), cls.model_fields)
        try:
            return cls.model_validate(lifted)
        except ValidationError as error:
            raise SpecError(_describe(error)) from error

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and validate a JSON file."""
        try:
            if path.stat().st_size > _MOST_SPEC_BYTES:
                raise SpecError(f"{path} is larger than 1 MiB; a specification is a short JSON object")
            document = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise DataFileError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise SpecError(f"{path} is no JSON: {error}") from error
        return cls.parse(document)

    @field_validator("name")
    @classmethod
    def _name_is_text(cls, value: str) -> str:
        if not value.strip() or "\x00" in value:
            raise ValueError("a name needs at least one visible character and no NUL")
        return value

    @field_validator("feature_engineering_windows")
    @classmethod
    def _windows_in_range(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        engineered_names(COIN_COLUMNS, value)  # refuses a window out of range
        return tuple(dict.fromkeys(value))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.train_start >= self.train_end:
            raise ValueError(
                f"train_start {self.train_start.isoformat()} must lie before train_end {self.train_end.isoformat()}"
            )
        if self.model_type not in MODEL_TYPES:
            raise UnknownNameError("model type", self.model_type, MODEL_TYPES)
        if self.target_var not in COIN_COLUMNS:
            raise UnknownNameError("column in target_var", self.target_var, COIN_COLUMNS)
        for name in self.features:
            resolve(name)
        model_params(self.model_type, self.params)
        self.label_spec()
        if not self.raw_features and not self.use_engineered_features:
            raise ValueError(
                f"features holds only the watched variable '{self.target_var}', which a time-based target excludes; "
                "add another column or set use_engineered_features"
            )
        return self

    @property
    def raw_features(self) -> tuple[str, ...]:
        """The named features without doubles and without the watched variable of a time-based target."""
        watched = self.target_var if self.use_time_based_prediction else None
        return tuple(name for name in dict.fromkeys(self.features) if name != watched)

    def label_spec(self) -> LabelSpec:
        """Return what is to be predicted.

        Raises
        ------
        SpecError
            If the fields for the kind of target are missing or contradict each other.
        """
        if self.use_time_based_prediction:
            missing = [
                field for field in ("future_minutes", "min_percent_change", "direction") if getattr(self, field) is None
            ]
            if missing:
                raise SpecError(f"a time-based target needs {', '.join(missing)}")
            return LabelSpec(
                self.target_var,
                minutes=self.future_minutes,
                min_percent_change=self.min_percent_change,
                direction=self.direction,
                mode=self.horizon_mode,
            )
        if self.operator is None or self.target_value is None:
            raise SpecError("give operator and target_value, or set use_time_based_prediction")
        return LabelSpec(
            self.target_var,
            operator=self.operator,
            target_value=self.target_value,
            minutes=self.future_minutes,
            mode=self.horizon_mode,
        )

    @property
    def embargo_us(self) -> int:
        """Gap before a test fold beyond the purge: the horizon once more, at least a minute."""
        return max(int((self.future_minutes or 0) * MINUTE_US), _LEAST_EMBARGO_US)

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
        """Return the JSON object that `parse` reads back as an equal specification."""
        return self.model_dump(mode="json")


def lift_from_params(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a specification with the fields that older clients send inside ``params`` in their place."""
    lifted = dict(document)
    params = lifted.get("params")
    if isinstance(params, Mapping):
        rest = dict(params)
        for field in _FIELDS_ONCE_IN_PARAMS:
            if field in rest:
                value = rest.pop(field)
                lifted.setdefault(field, value)
        lifted["params"] = rest
    return lifted


def _describe(error: ValidationError) -> str:
    clauses = []
    for item in error.errors(include_url=False):
        place = ".".join(str(part) for part in item["loc"])
        given = f" (given: {str(item['input'])[:80]!r})" if place and item["type"] != "missing" else ""
        message = item["msg"].removeprefix("Value error, ")
        clauses.append(f"{place}: {message}{given}" if place else message)
    return "; ".join(clauses)
