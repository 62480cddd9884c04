"""The columnar form in which market data moves through the pure zone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.digest import sha256_arrays
from kurswerk.core.errors import DataError, UnknownNameError
from kurswerk.core.timestamps import format_timestamp

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Panel:
    """Rows of many instruments, sorted by (instrument, timestamp), column by column.

    Attributes
    ----------
    instruments
        Names, ascending; shape (n_instruments,).
    offsets
        Rows ``offsets[k]:offsets[k + 1]`` belong to instrument ``k``; shape (n_instruments + 1,).
    timestamps
        Microseconds since 1970 UTC, strictly ascending within an instrument; shape (n_rows,).
    columns
        Names of the rows of ``values``.
    values
        float64 in C order, shape (n_columns, n_rows); missing is NaN. Kernels take slices without copying.
    exchanges
        Where each instrument is traded, a market identifier code or ``""`` where that is unknown; shape
        (n_instruments,), or empty where the market states no exchanges.
    outsiders
        Rows that came when the moment that they join was sealed: they are compared with its members and are none
        themselves; bool, shape (n_rows,), or None where there are none.
    """

    instruments: tuple[str, ...]
    offsets: Int
    timestamps: Int
    columns: tuple[str, ...]
    values: Float
    exchanges: tuple[str, ...] = ()
    outsiders: Bool | None = None

    @classmethod
    def from_columns(
        cls, keys: Sequence[str] | NDArray[np.object_], timestamps: Int, columns: Mapping[str, NDArray[np.generic]]
    ) -> "Panel":
        """Build a panel from unsorted rows.

        Parameters
        ----------
        keys
            Instrument of each row, shape (n_rows,).
        timestamps
            Microseconds UTC, shape (n_rows,).
        columns
            Name → values castable to float64, each of shape (n_rows,).

        Raises
        ------
        DataError
            If lengths differ or a (key, timestamp) stands twice.
        """
        names, codes = np.unique(np.asarray(keys, dtype=object).astype(str), return_inverse=True)
        return cls.from_codes([str(name) for name in names], codes.astype(np.int64), timestamps, columns)

    @classmethod
    def from_codes(
        cls, names: Sequence[str], codes: Int, timestamps: Int, columns: Mapping[str, NDArray[np.generic]]
    ) -> "Panel":
        """Build a panel from dictionary-encoded keys: row ``i`` belongs to ``names[codes[i]]``."""
        times = np.asarray(timestamps, dtype=np.int64)
        if len(codes) != len(times):
            raise DataError("market.keys_not_one_per_row", count=len(codes), rows=len(times))
        if len(set(names)) != len(names):
            raise DataError("market.instrument_named_twice", names=len(names), different=len(set(names)))
        for name, column in columns.items():
            if len(column) != len(times):
                raise DataError("market.column_of_other_length", column=name, rows=len(column), timestamps=len(times))
        rank = np.argsort(np.argsort(np.asarray(names, dtype=object)))
        codes = rank[codes].astype(np.int64) if len(names) else codes
        order = None if _sorted(codes, times) else np.lexsort((times, codes))
        if order is not None:
            codes, times = codes[order], times[order]
        used, starts = np.unique(codes, return_index=True)
        offsets = np.append(starts, len(codes)).astype(np.int64)
        ordered = sorted(names)
        instruments = tuple(ordered[code] for code in used)
        values = np.empty((len(columns), len(times)), dtype=np.float64)
        for row, column in enumerate(columns.values()):
            source = np.asarray(column)
            values[row] = source if order is None else source[order]
        panel = cls(instruments, offsets, times, tuple(columns), values)
        panel._refuse_duplicates()
        return panel

    def _refuse_duplicates(self) -> None:
        same = np.flatnonzero(np.diff(self.timestamps) == 0) + 1
        same = same[~np.isin(same, self.offsets)]
        if len(same):
            key = self.instruments[int(np.searchsorted(self.offsets, same[0], side="right")) - 1]
            moment = format_timestamp(int(self.timestamps[same[0]]))
            raise DataError("market.duplicate_rows", count=len(same), key=key, time=moment)

    def __len__(self) -> int:
        return len(self.timestamps)

    def column(self, name: str) -> Float:
        """Return a view of one column, shape (n_rows,).

        Raises
        ------
        UnknownNameError
            If the panel has no such column.
        """
        try:
            return self.values[self.columns.index(name)]  # type: ignore[no-any-return]  # indexing loses the type
        except ValueError:
            raise UnknownNameError("column.unknown", name=name, known=self.columns) from None

    @property
    def codes(self) -> Int:
        """Instrument index of each row, shape (n_rows,)."""
        return np.repeat(np.arange(len(self.instruments)), np.diff(self.offsets))

    def rows_of(self, instrument: str) -> slice:
        """Return the rows of one instrument.

        Raises
        ------
        UnknownNameError
            If the panel has no such instrument.
        """
        try:
            k = self.instruments.index(instrument)
        except ValueError:
            raise UnknownNameError("instrument.unknown", name=instrument, known=self.instruments) from None
        return slice(int(self.offsets[k]), int(self.offsets[k + 1]))

    def where(self, mask: Bool) -> "Panel":
        """Return the rows where ``mask`` (shape (n_rows,)) holds, as a new panel."""
        kept = np.flatnonzero(mask)
        counts = np.bincount(self.codes[kept], minlength=len(self.instruments))
        present = np.flatnonzero(counts)
        offsets = np.concatenate(([0], np.cumsum(counts[present]))).astype(np.int64)
        names = tuple(self.instruments[k] for k in present)
        exchanges = tuple(self.exchanges[k] for k in present) if self.exchanges else ()
        outsiders = None if self.outsiders is None else self.outsiders[kept]
        return Panel(names, offsets, self.timestamps[kept], self.columns, self.values[:, kept], exchanges, outsiders)

    def with_exchanges(self, exchanges: Mapping[str, str]) -> "Panel":
        """Return the panel with the exchange of each instrument, ``""`` for those that the mapping lacks."""
        return replace(self, exchanges=tuple(exchanges.get(name, "") for name in self.instruments))

    def until(self, end_us: int) -> "Panel":
        """Return the rows up to and including a moment."""
        return self.where(self.timestamps <= end_us)

    def fingerprint(self) -> str:
        """Return the SHA-256 over names, exchanges, offsets, times, values and outsiders: equal where the data are."""
        exchanges = ("", *self.exchanges) if any(self.exchanges) else ()
        text = "\n".join((*self.instruments, "", *self.columns, *exchanges))
        outsiders = () if self.outsiders is None or not self.outsiders.any() else (np.flatnonzero(self.outsiders),)
        return sha256_arrays((self.offsets, self.timestamps, self.values, *outsiders), text)


def _sorted(codes: Int, times: Int) -> bool:
    step = np.diff(codes)
    return bool(np.all((step > 0) | ((step == 0) & (np.diff(times) >= 0))))
