"""Raw rows of a file to judged rows of ``coin_metrics``."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kurswerk.core.errors import DataFileError
from kurswerk.ingest._cells import read_numbers
from kurswerk.ingest._keys import Keys, one_key, read_keys
from kurswerk.ingest._moments import read_moments
from kurswerk.ingest.ports import CandleSource, RawRows, coin_schema
from kurswerk.market import COIN_COLUMNS, KEY, TIMESTAMP, Kind, map_columns
from kurswerk.market.validation import Cell, Law, describe_law, judge_rows

MOST_COLUMNS = 10_000
_SHOWN = 12


@dataclass(frozen=True)
class Judged:
    """Rows in our form, each with the law it breaks.

    Attributes
    ----------
    raw
        The rows as they stand in the file.
    keys, moments
        Coin, and microseconds UTC, of each row.
    columns, values, cells
        As for `judge_rows`.
    laws, culprits
        As from `judge_rows`.
    """

    raw: RawRows
    keys: Keys
    moments: NDArray[np.int64]
    columns: Sequence[str]
    values: NDArray[np.float64]
    cells: NDArray[np.uint8]
    laws: NDArray[np.uint8]
    culprits: NDArray[np.int16]

    def batch(self, rows: NDArray[np.int64] | None) -> pa.RecordBatch:
        """Return these rows (None: all), which must break no law, as Arrow in `coin_schema`."""
        moments = self.moments if rows is None else self.moments[rows]
        arrays = [self.keys.text(rows), pa.array(moments).view(pa.timestamp("us", "UTC"))]
        for name, values, cells in zip(self.columns, self.values, self.cells, strict=True):
            column, states = (values, cells) if rows is None else (values[rows], cells[rows])
            arrays.append(_arrow(column, states == Cell.MISSING, COIN_COLUMNS[name]))
        return pa.RecordBatch.from_arrays(arrays, schema=coin_schema(self.columns))

    def reasons(self, rows: NDArray[np.int64]) -> list[str]:
        """Say of each of these rows which law it breaks."""
        return [
            describe_law(law, self.columns[column] if column >= 0 else "")
            for law, column in zip(self.laws[rows].tolist(), self.culprits[rows].tolist(), strict=True)
        ]


def _arrow(values: NDArray[np.float64], missing: NDArray[np.bool_], kind: Kind) -> pa.Array:
    mask = missing if missing.any() else None
    if kind is Kind.FLOAT:
        return pa.array(values, mask=mask)
    present = values if mask is None else np.where(missing, 0.0, values)
    return pa.array(present.astype(np.int64 if kind is Kind.INT else np.bool_), mask=mask)


class Normaliser:
    """Knows which of a source's columns are ours, and turns its rows into ours.

    Parameters
    ----------
    source
        Where the rows come from.
    mint
        Coin of all rows, where the source has no column that names it.
    date_format
        Format (``strptime``) of timestamps that are text in no standard form.

    Raises
    ------
    DataFileError
        If there is no column for the time or for any value, no way to know the coin, or too many columns.
    """

    def __init__(self, source: CandleSource, *, mint: str | None = None, date_format: str | None = None) -> None:
        names = list(source.column_names)
        if len(names) > MOST_COLUMNS:
            raise DataFileError(
                f"{source.name}: {len(names)} columns, at most {MOST_COLUMNS} are read; one row per coin and time, "
                "one column per measure is wanted"
            )
        self.mapping = map_columns(names)
        self.ignored = tuple(name for name in names if name not in self.mapping)
        self._source, self._mint, self._date_format = source, mint, date_format
        self._refuse_unusable(names)

    def _refuse_unusable(self, names: list[str]) -> None:
        found = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
        twice = [name for name in self.mapping if names.count(name) > 1]
        if twice:
            raise DataFileError(f"{self._source.name}: column '{twice[0]}' stands twice; keep one")
        if TIMESTAMP not in self.mapping.values():
            raise DataFileError(f"{self._source.name}: no column for the time (timestamp, date, ts …); found: {found}")
        if not self.columns:
            raise DataFileError(f"{self._source.name}: no column of coin_metrics or OHLCV; found: {found}")
        if self.key_column is None and self._mint is None:
            raise DataFileError(
                f"{self._source.name}: no column names the coin (mint, symbol, pair …); say which coin it is with "
                f"--mint NAME, or add one; found: {found}"
            )
        if self.key_column is not None and self._mint is not None:
            raise DataFileError(
                f"{self._source.name}: column '{self.key_column}' names the coin; leave --mint '{self._mint}' away"
            )

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Our columns of values that the source has."""
        return tuple(ours for ours in self.mapping.values() if ours not in {KEY, TIMESTAMP})

    @cached_property
    def key_column(self) -> str | None:
        """The source's column that names the coin, if any."""
        return next((name for name, ours in self.mapping.items() if ours == KEY), None)

    @cached_property
    def time_column(self) -> str:
        """The source's column that holds the time."""
        return next(name for name, ours in self.mapping.items() if ours == TIMESTAMP)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The source's columns that tell rows apart."""
        return (self.time_column,) if self.key_column is None else (self.key_column, self.time_column)

    def keys_of(self, raw: RawRows) -> tuple[Keys, NDArray[np.int64], NDArray[np.uint8]]:
        """Return coin, moment and the first broken law about the two, for each row."""
        if self.key_column is None:
            keys = one_key(self._mint or "", raw.cells.num_rows)
        else:
            keys = read_keys(raw.cells.column(self.key_column))
        moments, laws = read_moments(
            raw.cells.column(self.time_column), self.time_column, date_format=self._date_format
        )
        return keys, moments, np.where(keys.laws != Law.OBEYED, keys.laws, laws)

    def judge(self, raw: RawRows) -> Judged:
        """Read all cells of some rows and judge them."""
        keys, moments, laws = self.keys_of(raw)
        values = np.empty((len(self.columns), raw.cells.num_rows))
        cells = np.empty(values.shape, dtype=np.uint8)
        files = {ours: name for name, ours in self.mapping.items()}
        for row, ours in enumerate(self.columns):
            values[row], cells[row] = read_numbers(
                raw.cells.column(files[ours]), files[ours], decimal_comma=self._source.decimal_comma
            )
            if COIN_COLUMNS[ours] is Kind.BOOL:
                no_flag = (cells[row] == Cell.PRESENT) & (values[row] != 0.0) & (values[row] != 1.0)
                cells[row, no_flag] = Cell.UNREADABLE
        laws, culprits = judge_rows(values, cells, self.columns, laws)
        return Judged(raw, keys, moments, self.columns, values, cells, laws, culprits)
