"""Raw rows of a file to validated rows of a market."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kurswerk.core.errors import DataFileError
from kurswerk.ingest._cells import read_numbers
from kurswerk.ingest._keys import Keys, one_key, read_keys
from kurswerk.ingest._moments import read_moments, to_session_closes
from kurswerk.ingest.ports import CandleSource, RawRows, arrow_schema
from kurswerk.market import Kind, MarketSchema, map_columns
from kurswerk.market.calendar import Calendar
from kurswerk.market.validation import Cell, Violation, validate_rows

MOST_COLUMNS = 10_000
_SHOWN = 12


@dataclass(frozen=True)
class ValidatedRows:
    """Rows in the form of a market, each with the validation rule it breaks.

    Attributes
    ----------
    raw
        The rows as they stand in the file.
    keys, moments
        Instrument, and microseconds UTC, of each row.
    market
        Whose rows they are.
    columns, values, cells
        As for `validate_rows`.
    violations, offending
        As from `validate_rows`.
    """

    raw: RawRows
    keys: Keys
    moments: NDArray[np.int64]
    market: MarketSchema
    columns: Sequence[str]
    values: NDArray[np.float64]
    cells: NDArray[np.uint8]
    violations: NDArray[np.uint8]
    offending: NDArray[np.int16]

    def batch(self, rows: NDArray[np.int64] | None) -> pa.RecordBatch:
        """Return these rows (None: all), which must break no rule, as Arrow in `arrow_schema`."""
        moments = self.moments if rows is None else self.moments[rows]
        arrays = [self.keys.text(rows), pa.array(moments).view(pa.timestamp("us", "UTC"))]
        for name, values, cells in zip(self.columns, self.values, self.cells, strict=True):
            column, states = (values, cells) if rows is None else (values[rows], cells[rows])
            arrays.append(_arrow(column, states == Cell.MISSING, self.market.columns[name].kind))
        return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(self.columns, self.market))

    def reasons(self, rows: NDArray[np.int64]) -> list[tuple[int, str]]:
        """Return the `Violation` of each of these rows, and the column that breaks the rule or an empty text."""
        return [
            (violation, self.columns[column] if column >= 0 else "")
            for violation, column in zip(self.violations[rows].tolist(), self.offending[rows].tolist(), strict=True)
        ]


def _arrow(values: NDArray[np.float64], missing: NDArray[np.bool_], kind: Kind) -> pa.Array:
    mask = missing if missing.any() else None
    if kind is Kind.FLOAT:
        return pa.array(values, mask=mask)
    present = values if mask is None else np.where(missing, 0.0, values)
    return pa.array(present.astype(np.int64 if kind is Kind.INT else np.bool_), mask=mask)


class Normaliser:
    """Knows which of a source's columns are a market's, and turns its rows into the market's.

    Parameters
    ----------
    source
        Where the rows come from.
    market
        Whose rows they become.
    instrument
        Instrument of all rows, where the source has no column that names it.
    date_format
        Format (``strptime``) of timestamps that are text in no standard form.
    calendar
        The exchange's sessions, where a date means the close of its session.
    shift_us
        Added to each time, in microseconds: a bar's length, where the file has the times of their opens.

    Raises
    ------
    DataFileError
        If there is no column for the time, for any value or for one that is required, no way to know the instrument, or
        too many columns.
    """

    def __init__(
        self,
        source: CandleSource,
        market: MarketSchema,
        *,
        instrument: str | None = None,
        date_format: str | None = None,
        calendar: Calendar | None = None,
        shift_us: int = 0,
    ) -> None:
        names = list(source.column_names)
        if len(names) > MOST_COLUMNS:
            raise DataFileError(
                "file.too_many_columns_for_rows", file=source.name, columns=len(names), most=MOST_COLUMNS
            )
        self.mapping = map_columns(names, market)
        self.ignored = tuple(name for name in names if name not in self.mapping)
        self._market, self._source = market, source
        self._instrument, self._date_format, self._calendar = instrument, date_format, calendar
        self._shift_us = shift_us
        self._refuse_unusable(names)

    def _refuse_unusable(self, names: list[str]) -> None:
        found = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
        twice = [name for name in self.mapping if names.count(name) > 1]
        if twice:
            raise DataFileError("file.column_twice", file=self._source.name, column=twice[0])
        if self._market.timestamp not in self.mapping.values():
            raise DataFileError("file.no_time_column", file=self._source.name, found=found)
        if not self.columns:
            raise DataFileError("file.no_market_column", file=self._source.name, market=self._market.name, found=found)
        required = [name for name, column in self._market.columns.items() if column.required]
        if lacking := [name for name in required if name not in self.columns]:
            raise DataFileError("file.required_columns_missing", file=self._source.name, columns=lacking, found=found)
        if self.key_column is None and self._instrument is None:
            raise DataFileError("file.no_key_column", file=self._source.name, key=self._market.key, found=found)
        if self.key_column is not None and self._instrument is not None:
            raise DataFileError(
                "file.key_column_and_option",
                file=self._source.name,
                column=self.key_column,
                key=self._market.key,
                given=self._instrument,
            )

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The market's columns of values that the source has."""
        return tuple(ours for ours in self.mapping.values() if ours in self._market.columns)

    @cached_property
    def key_column(self) -> str | None:
        """The source's column that names the instrument, if any."""
        return next((name for name, ours in self.mapping.items() if ours == self._market.key), None)

    @cached_property
    def time_column(self) -> str:
        """The source's column that holds the time."""
        return next(name for name, ours in self.mapping.items() if ours == self._market.timestamp)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The source's columns that distinguish rows."""
        return (self.time_column,) if self.key_column is None else (self.key_column, self.time_column)

    def keys_of(self, raw: RawRows) -> tuple[Keys, NDArray[np.int64], NDArray[np.uint8]]:
        """Return instrument, moment and the first broken rule about the two, for each row."""
        if self.key_column is None:
            keys = one_key(self._instrument or "", raw.cells.num_rows)
        else:
            keys = read_keys(raw.cells.column(self.key_column))
        moments, violations = read_moments(
            raw.cells.column(self.time_column), self.time_column, date_format=self._date_format
        )
        if self._shift_us:
            moments = np.where(violations == Violation.NONE, moments + self._shift_us, moments)
        if self._calendar is not None:
            moments, violations = to_session_closes(moments, violations, self._calendar)
        return keys, moments, np.where(keys.violations != Violation.NONE, keys.violations, violations)

    def validate(self, raw: RawRows) -> ValidatedRows:
        """Read all cells of some rows and validate them."""
        keys, moments, violations = self.keys_of(raw)
        values = np.empty((len(self.columns), raw.cells.num_rows))
        cells = np.empty(values.shape, dtype=np.uint8)
        files = {ours: name for name, ours in self.mapping.items()}
        for row, ours in enumerate(self.columns):
            values[row], cells[row] = read_numbers(
                raw.cells.column(files[ours]), files[ours], decimal_comma=self._source.decimal_comma
            )
            if self._market.columns[ours].kind is Kind.BOOL:
                no_flag = (cells[row] == Cell.PRESENT) & (values[row] != 0.0) & (values[row] != 1.0)
                cells[row, no_flag] = Cell.UNREADABLE
        violations, offending = validate_rows(values, cells, self.columns, self._market, violations)
        return ValidatedRows(raw, keys, moments, self._market, self.columns, values, cells, violations, offending)
