"""The kind of job that exports features to a Parquet file, and the same export without a job."""

import hashlib
from collections.abc import Callable, Collection, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError, model_validator
from typing_extensions import override

from kurswerk.core.errors import DataFileError, UnknownNameError
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import to_us
from kurswerk.features import DEFAULT_WINDOWS, FeaturePlan, engineered_names, feature_names, resolve
from kurswerk.jobs import FileResult, Job, JobFiles, JobHooks, JobKind, JobResult, Progress, no_progress
from kurswerk.labels import LabelSpec
from kurswerk.market import DEFAULT_MARKET, MarketSchema, market_named
from kurswerk.market.calendar import MAX_HORIZON_SESSIONS
from kurswerk.training._checks import refuse_without_rows, require_columns
from kurswerk.training._feature_file import ROWS_AT_ONCE, FeatureFile
from kurswerk.training._memory_estimate import refuse_above, scoring_bytes
from kurswerk.training._period import Period
from kurswerk.training.ports import TrainingStores
from kurswerk.training.spec import LATER_FIELDS, Number, Text, UtcTime, default_calendar, problems_of

_FOLDER = "exports/features"
_ALL = "*"
_PATTERN_SIGNS = frozenset("*?[")


class ExportTarget(BaseModel):
    """What the column ``label`` means, in the fields by which a model's specification states its target."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    target_var: Text
    operator: Literal[">", "<", ">=", "<=", "="] | None = None
    target_value: Number | None = None
    future_minutes: Number | None = Field(default=None, gt=0, le=525_600)
    min_percent_change: Number | None = Field(default=None, gt=0)
    direction: Literal["up", "down"] | None = None
    horizon_mode: Literal["at", "within"] = "at"
    horizon_sessions: StrictInt | None = Field(default=None, ge=1, le=MAX_HORIZON_SESSIONS)
    calendar: Text | None = None

    @model_validator(mode="after")
    def _one_kind_of_target(self) -> Self:
        self.label_spec()
        return self

    def as_json(self) -> dict[str, Any]:
        """Return the fields, those of a horizon in sessions only where it is one."""
        document = self.model_dump(mode="json")
        return {name: value for name, value in document.items() if value is not None or name not in LATER_FIELDS}

    def label_spec(self, market: MarketSchema | None = None) -> LabelSpec:
        """Return the label in a market; SpecError if the fields are incomplete or contradict each other."""
        return LabelSpec(
            self.target_var,
            self.operator,
            self.target_value,
            self.future_minutes,
            self.min_percent_change,
            self.direction,
            self.horizon_mode,
            self.horizon_sessions,
            default_calendar(market, self.horizon_sessions, self.calendar) if market else self.calendar,
        )


class FeaturesRequest(BaseModel):
    """Which features of which rows, and whether with a label.

    Values see all earlier rows of their instrument, as in a training.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "features": ["price_close", "volume_ratio_*"],
                    "start": "2024-01-01T00:00:00Z",
                    "end": "2024-03-01T00:00:00Z",
                    "target": {
                        "target_var": "price_close",
                        "future_minutes": 60,
                        "min_percent_change": 2.0,
                        "direction": "up",
                    },
                }
            ]
        },
    )

    market: str = Field(default=DEFAULT_MARKET, description="Whose rows.")
    features: tuple[Annotated[Text, Field(min_length=1, max_length=200)], ...] = Field(
        default=(_ALL,),
        min_length=1,
        max_length=10_000,
        description=(
            "Names as in a specification, or patterns with *, ? and […]: of columns, of engineered features for "
            "feature_engineering_windows, and of indicators with usual parameters, as far as the columns allow them."
        ),
    )
    feature_engineering_windows: tuple[StrictInt, ...] = Field(
        default=DEFAULT_WINDOWS, min_length=1, max_length=100, description="The windows, in rows, that patterns match."
    )
    instruments: tuple[Text, ...] | None = Field(
        default=None, min_length=1, max_length=100_000, description="Only these, such as coins; null is all."
    )
    start: UtcTime = Field(description="First moment of the rows that are exported.")
    end: UtcTime = Field(description="Last moment; a label does not see beyond it.")
    target: ExportTarget | None = Field(default=None, description="Adds the column label; null is none.")

    @classmethod
    def parse(cls, document: object) -> Self:
        """Validate a JSON object; SpecError or UnknownNameError with all that is wrong."""
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise problems_of(error) from error

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        engineered_names((), self.market_schema, self.feature_engineering_windows)  # refuses a window out of range
        _ = self.period
        if self.target is not None and self.target.target_var not in self.market_schema.target_columns:
            known = self.market_schema.target_columns
            raise UnknownNameError("spec.unknown_target_var", name=self.target.target_var, known=known)
        return self

    @property
    def market_schema(self) -> MarketSchema:
        """The market; UnknownNameError if there is none of that name."""
        return market_named(self.market)

    @property
    def period(self) -> Period:
        """The period; SpecError if it is empty or reversed."""
        return Period(to_us(self.start), to_us(self.end))


class FeaturesResult(FileResult):
    """The file: Parquet, sorted by instrument and time.

    Its columns are the market's key, the time, each feature as float32 (NaN where it has no value) and, with a target,
    ``label`` (null where it is not known yet). ``data_fingerprint`` is the SHA-256 of the rows it was computed from.
    """

    rows: int
    instruments: int
    columns: list[str]
    data_fingerprint: str


def check_export(request: FeaturesRequest, stores: TrainingStores) -> FeaturesRequest:
    """Refuse an export that cannot succeed on the data as they are now; return it with all features by name.

    Raises
    ------
    UnknownNameError
        If a feature, or a column that it needs, is not there, or a pattern fits no feature.
    SpecError
        If a parameter of a feature is out of range.
    NoDataError
        If the period has no rows of the instruments; the message states what there is.
    DataError
        If it would take more memory than a job may.
    """
    stored = stores.markets[request.market].columns()
    names = _selected(request, stored)
    plan = FeaturePlan(names, request.market_schema)
    require_columns(plan.inputs, stored, "features")
    if request.target is not None:
        require_columns([request.target.target_var], stored, "target_var")
    refuse_without_rows(stores.markets[request.market], request.period, request.instruments, None)
    rows = stores.markets[request.market].estimated_rows(end_us=request.period.end_us, mints=request.instruments)
    at_once = min(rows, ROWS_AT_ONCE)
    refuse_above(stores.memory_budget_bytes, scoring_bytes(len(plan.inputs) + 1, 2 * len(names), at_once), at_once)
    return request.model_copy(update={"features": tuple(names)})


def _selected(request: FeaturesRequest, stored: Collection[str]) -> list[str]:
    """Return the features that names and patterns stand for, each once, in the order in which they are given."""
    market = request.market_schema
    available = _available(market, stored, request.feature_engineering_windows)
    found: list[str] = []
    for wanted in request.features:
        if _PATTERN_SIGNS.isdisjoint(wanted):
            needed = Message("market.needed_by_feature", feature=wanted)
            require_columns(resolve(wanted, market).inputs, stored, needed)
            found.append(wanted)
            continue
        fitting = [name for name in available if fnmatchcase(name, wanted)]
        if not fitting:
            raise UnknownNameError("export.pattern_without_features", name=wanted, known=available)
        found.extend(fitting)
    return list(dict.fromkeys(found))


def _available(market: MarketSchema, stored: Collection[str], windows: Sequence[int]) -> list[str]:
    """Return what patterns may stand for: columns, engineered features of some windows, indicators of usual ones."""
    columns = [name for name in market.panel_columns if name in stored]
    others = {*market.panel_columns, *engineered_names(market.panel_columns, market)}
    indicators = [name for name in feature_names(market) if name not in others]
    possible = [name for name in indicators if set(resolve(name, market).inputs) <= set(stored)]
    return [*columns, *engineered_names(stored, market, windows), *possible]


def export_features(
    request: FeaturesRequest, stores: TrainingStores, files: JobFiles, path: str, *, progress: Progress = no_progress
) -> FeaturesResult:
    """Export features to a file, as a job of kind FEATURES does, at once.

    Parameters
    ----------
    path
        Of the file, as ``files`` knows it; it appears there whole or not at all.

    Raises
    ------
    KurswerkError
        As for `check_export`, or if the file cannot be written.
    """
    result = _write(check_export(request, stores), stores, files, path, progress)
    files.finish(path)
    return result


def _write(
    request: FeaturesRequest, stores: TrainingStores, files: JobFiles, path: str, progress: Progress
) -> FeaturesResult:
    """Write the unfinished file, and return what it will be once it is finished."""
    market = request.market_schema
    plan = FeaturePlan(request.features, market)
    file = FeatureFile(
        plan,
        request.period,
        request.instruments,
        None if request.target is None else request.target.label_spec(market),
        None if request.target is None else request.target.as_json(),
    )
    part = files.part(path)
    try:
        written = file.write(part, stores.markets[request.market], progress)
        with part.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        return FeaturesResult(path=path, bytes=part.stat().st_size, sha256=digest, **vars(written))
    except OSError as error:
        raise DataFileError("export.not_writable", path=part, reason=error.strerror or error) from error


class _UnfinishedFile(JobHooks[FeaturesRequest]):
    """A job that ends without a result leaves no unfinished file."""

    def __init__(self, files: JobFiles) -> None:
        self._files = files

    @override
    def failed(self, job: Job, reason: Message, /) -> None:
        self._files.discard(_path_of(job))

    @override
    def cancelled(self, job: Job, reason: Message, /) -> None:
        self._files.discard(_path_of(job))


def features_kind(stores: TrainingStores, files: JobFiles) -> JobKind[FeaturesRequest]:
    """Return the kind of job that exports features to a Parquet file."""

    def check(request: FeaturesRequest) -> FeaturesRequest:
        return check_export(request, stores)

    def run(job: Job, request: FeaturesRequest, progress: Progress) -> Callable[[], JobResult]:
        path = _path_of(job)
        result = _write(check_export(request, stores), stores, files, path, progress)

        def save() -> JobResult:
            files.finish(path)
            return JobResult(result)

        return save

    return JobKind(
        name="FEATURES",
        title="Export of features",
        label="Export of features",
        request=FeaturesRequest,
        check=check,
        run=run,
        result=FeaturesResult,
        hooks=_UnfinishedFile(files),
    )


def _path_of(job: Job) -> str:
    return f"{_FOLDER}/features-{job.id}.parquet"
