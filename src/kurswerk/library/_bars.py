"""Market data from a data frame: validated rows, their features and their labels."""

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kurswerk.core.errors import DataError, SpecError
from kurswerk.core.timestamps import format_timestamp, parse_timestamp, to_us
from kurswerk.features import FeaturePlan, feature_names
from kurswerk.ingest import Normaliser, ValidatedRows
from kurswerk.labels import UNKNOWN, LabelSpec, compute_labels
from kurswerk.library._frames import FrameKind, FrameSource, kind_of, rows_table, to_frame, to_table
from kurswerk.market import Clock, MarketSchema, Panel, Role, market_named
from kurswerk.market.calendar import calendar_of
from kurswerk.market.validation import Violation, violation_message
from kurswerk.training import FEATURE_THREADS, ModelSpec

# Fields of targets that are a change up to a horizon.
_CHANGES = frozenset({"min_percent_change", "quantile", "relative_to"})
Time = str | date | datetime


@dataclass(frozen=True, eq=False)
class Bars:
    """Rows of a market, in memory.

    Made by `read` or by `Store.read`. What its methods return is a frame of the same library as the one it was read
    from.

    Attributes
    ----------
    panel
        The rows, sorted by instrument and time.
    market
        Whose rows they are: its columns, what they mean, and when it trades.
    kind
        Library of the frames that are returned.
    refused
        Rows that were left out with ``invalid="drop"``: ``row`` (from 1), ``reason``.
    """

    panel: Panel
    market: MarketSchema
    kind: FrameKind = "pyarrow"
    refused: tuple[tuple[int, str], ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.panel)

    def __repr__(self) -> str:
        count = len(self.panel.instruments)
        return f"<{len(self):,} rows of {count:,} instruments of market {self.market.name!r}>"

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Give the rows to any library that reads Arrow's C stream."""
        return self._table().__arrow_c_stream__(requested_schema)

    @property
    def instruments(self) -> tuple[str, ...]:
        """Names of the instruments, ascending."""
        return self.panel.instruments

    def frame(self) -> Any:
        """Return the rows as a data frame: instrument, time, and the market's columns, float64 with NaN for missing."""
        return to_frame(self._table(), self.kind)

    def between(self, start: Time | None = None, end: Time | None = None) -> "Bars":
        """Return the rows of a period, both ends inclusive; a date alone means its midnight UTC."""
        times = self.panel.timestamps
        kept = np.ones(len(times), dtype=np.bool_)
        if start is not None:
            kept &= times >= moment_us(start)
        if end is not None:
            kept &= times <= moment_us(end)
        return replace(self, panel=self.panel.where(kept))

    def feature_names(self) -> list[str]:
        """Return names that `features` knows here, with the usual parameters; any other window may be named as well."""
        present = set(self.panel.columns)
        return [name for name in feature_names(self.market) if present.issuperset(self._inputs(name))]

    def features(self, names: list[str] | tuple[str, ...]) -> Any:
        """Compute features of every row, with the bits that a live prediction would have.

        Parameters
        ----------
        names
            Columns, engineered features with their window, indicators with their parameters: ``price_change_5``,
            ``rsi_14``, ``macd_12_26_9``.

        Returns
        -------
        frame
            Instrument, time, and one float64 column per name in the order given; n_rows rows. A value depends on rows
            up to its own alone, and is NaN while the look-back is not full.

        Raises
        ------
        UnknownNameError, SpecError
            If a name is unknown, with the nearest, or given twice.
        DataError
            If the rows lack a column that a feature needs.

        Examples
        --------
        >>> import pyarrow as pa
        >>> import kurswerk as kw
        >>> bars = kw.read(pa.table({"symbol": ["A"] * 3, "time": [0, 60, 120], "close": [10.0, 11.0, 11.0]}))
        >>> bars.features(["price_change_1"])["price_change_1"].to_pylist()
        [nan, 10.0, 0.0]
        """
        plan = FeaturePlan(tuple(names), self.market)
        if lacking := [column for column in plan.inputs if column not in self.panel.columns]:
            raise DataError("library.columns_lacking", columns=lacking, found=list(self.panel.columns))
        values = plan.compute(self.panel, threads=FEATURE_THREADS)
        return self.with_columns({name: values[:, place] for place, name in enumerate(plan.names)})

    def labels(self, **target: Any) -> Any:
        """Compute what each row is to be predicted: whether the target is reached within or at the horizon.

        Parameters
        ----------
        target
            The fields of a model's specification that define its target: ``min_percent_change`` with ``direction``, or
            ``operator`` with ``target_value``; ``future_minutes`` or ``horizon_sessions`` (with ``calendar``);
            ``horizon_mode``; ``target_var``, by default the close.

        Returns
        -------
        frame
            Instrument, time, ``label`` (int8: 0 or 1, null where the horizon reaches past the data) and ``label_end``,
            the moment up to which the label looks.

        Raises
        ------
        SpecError
            If fields are missing or contradict each other.
        """
        labels = compute_labels(self.panel, self._label_spec(target))
        unknown = labels.values == UNKNOWN
        ends = pa.array(labels.end_us, mask=unknown).view(pa.timestamp("us", "UTC"))
        return self.with_columns({"label": pa.array(labels.values, mask=unknown), "label_end": ends})

    def with_columns(self, columns: dict[str, Any]) -> Any:
        """Return instrument and time of each row beside other columns, as the caller's kind of frame."""
        panel, market = self.panel, self.market
        table = rows_table(market.key, market.timestamp, panel.instruments, panel.codes, panel.timestamps, **columns)
        return to_frame(table, self.kind)

    def _label_spec(self, target: dict[str, Any]) -> LabelSpec:
        first = int(self.panel.timestamps.min()) if len(self) else 0
        return ModelSpec.parse(
            {
                "name": "labels",
                "model_type": "xgboost",
                "features": [self.market.column_of(Role.CLOSE)],
                "use_engineered_features": True,
                "train_start": format_timestamp(first),
                "train_end": format_timestamp(first + 1),
                **self.defaults_of(target),
                **target,
            }
        ).label_spec()

    def defaults_of(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of a specification that follow from the rows and from the other fields."""
        if document.get("market", self.market.name) != self.market.name:
            raise SpecError("library.other_market", given=document["market"], market=self.market.name)
        return {
            "market": self.market.name,
            "target_var": self.market.column_of(Role.CLOSE),
            "use_time_based_prediction": not _CHANGES.isdisjoint(document),
        }

    def _inputs(self, name: str) -> tuple[str, ...]:
        return FeaturePlan((name,), self.market).inputs

    def _table(self) -> pa.Table:
        panel, market = self.panel, self.market
        columns = {name: panel.column(name) for name in panel.columns}
        return rows_table(market.key, market.timestamp, panel.instruments, panel.codes, panel.timestamps, **columns)


def read(
    frame: Any,
    market: str = "candles",
    *,
    instrument: str | None = None,
    exchange: str | None = None,
    invalid: str = "raise",
    date_format: str | None = None,
) -> Bars:
    """Take market data from a data frame of pandas, polars, pyarrow, DuckDB or any other library that speaks Arrow.

    Columns are found by their names as in files (``symbol``, ``date``, ``open`` …, in any case). Each row is validated
    by the rules that hold for files: low ≤ open, close ≤ high, no negative prices or volumes, no time twice.

    Parameters
    ----------
    frame
        The data; the index of a pandas frame counts as columns. A `Bars` is returned as it is.
    market
        Whose rows they are: ``candles`` (any instrument at any interval), ``stocks``, ``coins``.
    instrument
        Name of the instrument, where the frame has no column for it.
    exchange
        Market identifier code, such as ``XNAS``, of all instruments: their trading sessions. Where times are dates,
        each then means the close of its session.
    invalid
        ``raise``, or ``drop`` for leaving out rows that break a rule; they are then in `Bars.refused`.
    date_format
        ``strptime`` format of times that are text in no standard form.

    Raises
    ------
    DataFileError
        If there is no column for the time, for the instrument or for values, or the object is no data frame.
    DataError
        If rows break a rule; with the first of them, and how many there are.

    Examples
    --------
    >>> import pyarrow as pa
    >>> import kurswerk as kw
    >>> kw.read(pa.table({"Date": ["2024-01-02"], "Close": [10.0]}), instrument="ACME")
    <1 rows of 1 instruments of market 'candles'>
    """
    if isinstance(frame, Bars):
        return frame
    if invalid not in {"raise", "drop"}:
        raise SpecError("library.invalid_option", given=invalid)
    schema, table = market_named(market), to_table(frame)
    calendar = calendar_of(exchange) if exchange is not None and schema.clock is Clock.SESSIONS else None
    source = FrameSource(table)
    normaliser = Normaliser(source, schema, instrument=instrument, date_format=date_format, calendar=calendar)
    parts = [normaliser.validate(raw) for raw in source.rows(list(normaliser.mapping))]
    refused = tuple(problem for part in parts for problem in _problems(part))
    if refused and invalid == "raise":
        row, reason = refused[0]
        raise DataError("library.invalid_rows", count=len(refused), row=row, reason=reason)
    panel = _panel(parts, normaliser.columns)
    if exchange is not None:
        panel = panel.with_exchanges(dict.fromkeys(panel.instruments, exchange))
    return Bars(panel, schema, kind_of(frame), refused)


def moment_us(moment: Time) -> int:
    """Return a moment in microseconds UTC; text is ISO 8601, what states no zone is UTC.

    Raises
    ------
    InvalidInputError
        If the text is no date or time.
    """
    if isinstance(moment, str):
        return parse_timestamp(moment)
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001 - without a zone it is UTC, as below
    return to_us(moment)


def _problems(part: ValidatedRows) -> list[tuple[int, str]]:
    broken = np.flatnonzero(part.violations != Violation.NONE)
    reasons = part.reasons(broken)
    numbers = part.raw.numbers[broken].tolist()
    return [
        (number, str(violation_message(kind, column))) for number, (kind, column) in zip(numbers, reasons, strict=True)
    ]


def _panel(parts: list[ValidatedRows], columns: tuple[str, ...]) -> Panel:
    names: dict[str, int] = {}
    codes: list[NDArray[np.int64]] = []
    moments, values = [], []
    for part in parts:
        kept = np.flatnonzero(part.violations == Violation.NONE)
        own = np.asarray([names.setdefault(name, len(names)) for name in part.keys.names.to_pylist()], dtype=np.int64)
        codes.append(own[part.keys.codes[kept]])
        moments.append(part.moments[kept])
        held = part.values[:, kept]
        held[part.cells[:, kept] != 0] = np.nan
        values.append(held)
    if not parts:
        raise DataError("library.no_rows")
    table = np.concatenate(values, axis=1)
    by_name = dict(zip(columns, table, strict=True))
    return Panel.from_codes(list(names), np.concatenate(codes), np.concatenate(moments), by_name)
