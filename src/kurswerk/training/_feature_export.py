"""The kind of job that exports features to a Parquet file, and the same export without a job."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError, model_validator
from typing_extensions import override

from kurswerk.core.errors import DataFileError, NoDataError, UnknownNameError
from kurswerk.core.messages import Message
from kurswerk.core.timestamps import format_timestamp, to_us
from kurswerk.features import DEFAULT_WINDOWS, FeaturePlan, engineered_names, feature_names, resolve
from kurswerk.jobs import FileResult, Job, JobFiles, JobHooks, JobKind, JobResult, Progress, no_progress
from kurswerk.labels import UNKNOWN, LabelSpec, compute_labels
from kurswerk.market import DEFAULT_MARKET, MarketSchema, Panel, market_named
from kurswerk.market.calendar import MAX_HORIZON_SESSIONS
from kurswerk.training._checks import refuse_without_rows, require_columns
from kurswerk.training._dataset import FEATURE_THREADS
from kurswerk.training._memory_estimate import refuse_above, scoring_bytes
from kurswerk.training._period import Period
from kurswerk.training.ports import MarketSurvey, TrainingStores
from kurswerk.training.spec import LATER_FIELDS, Number, Text, UtcTime, default_calendar, problems_of

# Rows that are loaded and computed at once; their number decides how much memory an export takes, not what it writes.
_ROWS_AT_ONCE = 250_000
# Rows of a row group: of 100 features 26 MB, which readers can skip or take whole.
_ROW_GROUP = 65_536
_FOLDER = "exports/features"
_LABEL = "label"
# Key of the file's metadata under which JSON states what the values were computed from.
METADATA_KEY = "kurswerk"
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


@dataclass(frozen=True)
class _Written:
    """What is in a file that has been written."""

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
    at_once = min(rows, _ROWS_AT_ONCE)
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
    export = _Export(request, plan, None if request.target is None else request.target.label_spec(market))
    part = files.part(path)
    try:
        written = export.write(part, stores.markets[request.market], progress)
        with part.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FeaturesResult(path=path, bytes=part.stat().st_size, sha256=digest, **vars(written))
    except OSError as error:
        raise DataFileError("export.not_writable", path=part, reason=error.strerror or error) from error


@dataclass(frozen=True, eq=False)
class _Export:
    """Computes and writes the rows of a request, some instruments after the other."""

    request: FeaturesRequest
    plan: FeaturePlan
    label: LabelSpec | None

    @property
    def schema(self) -> pa.Schema:
        """The file's columns."""
        market = self.plan.market
        fields = [pa.field(market.key, pa.string()), pa.field(market.timestamp, pa.timestamp("us", "UTC"))]
        fields += [pa.field(name, pa.float32()) for name in self.plan.names]
        return pa.schema(fields if self.label is None else [*fields, pa.field(_LABEL, pa.int8())])

    def write(self, path: Path, market: MarketSurvey, progress: Progress) -> _Written:
        """Write all rows; the bytes depend on the request and the data alone."""
        instruments = sorted(set(self.request.instruments or market.instruments()))
        fingerprint = hashlib.sha256()
        rows, there = 0, 0
        with pq.ParquetWriter(path, self.schema, compression="zstd") as writer:
            groups = _RowGroups(writer)
            for done, panel in self._panels(instruments, market):
                for name, digest in _fingerprints(panel):
                    fingerprint.update(f"{name}\n{digest}\n".encode())
                for batch in self._batches(panel):
                    rows += batch.num_rows
                    groups.add(batch)
                there += self._instruments_of(panel)
                progress(done, Message("progress.rows", count=rows))
            groups.close()
            if not rows:
                start, end = (
                    format_timestamp(self.request.period.start_us),
                    format_timestamp(self.request.period.end_us),
                )
                raise NoDataError("export.no_rows", start=start, end=end)
            writer.add_key_value_metadata({METADATA_KEY: self._metadata(rows, fingerprint.hexdigest())})
        return _Written(rows, there, self.schema.names, fingerprint.hexdigest())

    def _panels(self, instruments: Sequence[str], market: MarketSurvey) -> Iterator[tuple[float, Panel]]:
        """Yield the history of some instruments after the other, with the share that is done after it."""
        end_us = self.request.period.end_us
        target = () if self.label is None else (self.label.target_var,)
        columns = self.plan.market.in_order({*self.plan.inputs, *target})
        rows = market.estimated_rows(end_us=end_us, mints=self.request.instruments)
        step = max(1, len(instruments) * _ROWS_AT_ONCE // max(rows, 1))
        for start in range(0, len(instruments), step):
            stop = min(start + step, len(instruments))
            yield stop / len(instruments), market.load_panel(columns, end_us=end_us, mints=instruments[start:stop])

    def _batches(self, panel: Panel) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the period, computed from all rows of the panel."""
        labels = None if self.label is None else compute_labels(panel, self.label).values
        in_period = self._in_period(panel)
        names = pa.array(panel.instruments, pa.string())
        for start in range(0, len(panel), _ROWS_AT_ONCE):
            rows = slice(start, min(start + _ROWS_AT_ONCE, len(panel)))
            kept = np.flatnonzero(in_period[rows])
            if not len(kept):
                continue
            values = self.plan.compute(panel, rows=rows, threads=FEATURE_THREADS, dtype=np.float32)
            places = start + kept
            columns: list[Any] = [
                names.take(pa.array(panel.codes[places])),
                pa.array(panel.timestamps[places]).cast(pa.timestamp("us", "UTC")),
                *(pa.array(values[kept, place]) for place in range(len(self.plan.names))),
            ]
            if labels is not None:
                columns.append(pa.array(labels[places], pa.int8(), mask=labels[places] == UNKNOWN))
            yield pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _in_period(self, panel: Panel) -> NDArray[np.bool_]:
        period = self.request.period
        inside: NDArray[np.bool_] = (panel.timestamps >= period.start_us) & (panel.timestamps <= period.end_us)
        return inside

    def _instruments_of(self, panel: Panel) -> int:
        return len(np.unique(panel.codes[self._in_period(panel)]))

    def _metadata(self, rows: int, fingerprint: str) -> str:
        """Return what the values were computed from, as JSON."""
        request = self.request
        document = {
            "market": request.market,
            "start": format_timestamp(request.period.start_us),
            "end": format_timestamp(request.period.end_us),
            "rows": rows,
            "features": self.plan.definitions,
            "definition_hash": self.plan.definition_hash,
            "target": None if request.target is None else request.target.as_json(),
            "data_fingerprint": fingerprint,
        }
        return json.dumps(document, sort_keys=True)


class _RowGroups:
    """Cuts batches of any size into row groups of one size, so that a file does not depend on how rows came."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._waiting: list[pa.RecordBatch] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Take rows, and write the row groups that are full."""
        self._waiting.append(batch)
        rows = sum(waiting.num_rows for waiting in self._waiting)
        if rows < _ROW_GROUP:
            return
        table = pa.Table.from_batches(self._waiting)
        full = rows - rows % _ROW_GROUP
        for start in range(0, full, _ROW_GROUP):
            self._write(table.slice(start, _ROW_GROUP))
        self._waiting = table.slice(full).to_batches()

    def close(self) -> None:
        """Write the rows that are left."""
        if self._waiting:
            self._write(pa.Table.from_batches(self._waiting))

    def _write(self, table: pa.Table) -> None:
        # As one piece: where pages end would depend on the pieces otherwise.
        self._writer.write_table(table.combine_chunks(), row_group_size=_ROW_GROUP)


def _fingerprints(panel: Panel) -> Iterator[tuple[str, str]]:
    """Yield each instrument with the fingerprint of its rows, which does not depend on what was loaded with it."""
    for k, name in enumerate(panel.instruments):
        rows = slice(int(panel.offsets[k]), int(panel.offsets[k + 1]))
        offsets = np.array([0, rows.stop - rows.start], dtype=np.int64)
        exchanges = panel.exchanges[k : k + 1]
        own = Panel((name,), offsets, panel.timestamps[rows], panel.columns, panel.values[:, rows], exchanges)
        yield name, own.fingerprint()


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
