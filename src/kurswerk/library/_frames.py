"""Data frames of any library that speaks Arrow, taken in and given back as the caller's own kind."""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kurswerk.core.digest import sha256_json
from kurswerk.core.errors import DataFileError
from kurswerk.ingest import RawRows

FrameKind = Literal["pandas", "polars", "duckdb", "pyarrow"]
FRAME_KINDS: tuple[FrameKind, ...] = ("pandas", "polars", "duckdb", "pyarrow")
# What a data frame is called in errors, where files have their name.
FRAME_NAME = "data frame"


def kind_of(frame: object) -> FrameKind:
    """Return which library a frame comes from; ``pyarrow`` for any other that speaks Arrow."""
    root = type(frame).__module__.partition(".")[0]
    if root in {"duckdb", "_duckdb"}:
        return "duckdb"
    return next((kind for kind in FRAME_KINDS if kind == root), "pyarrow")


def to_table(frame: Any) -> pa.Table:
    """Return a frame as an Arrow table; the index of a pandas frame becomes columns, unless it only counts rows.

    Raises
    ------
    DataFileError
        If the object speaks no Arrow.
    """
    if kind_of(frame) == "pandas":
        return pa.Table.from_pandas(frame).replace_schema_metadata()
    if isinstance(frame, Mapping) or not (hasattr(frame, "__arrow_c_stream__") or hasattr(frame, "__arrow_c_array__")):
        raise DataFileError("library.no_data_frame", type=type(frame).__name__)
    try:
        return pa.table(frame)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataFileError("library.unreadable_data_frame", reason=str(error).splitlines()[0]) from error


def to_frame(table: pa.Table, kind: FrameKind) -> Any:
    """Return an Arrow table as a frame of a library, which must be installed for it."""
    if kind == "pandas":
        return table.to_pandas()
    if kind == "polars":
        return import_module("polars").from_arrow(table)
    if kind == "duckdb":
        return import_module("duckdb").from_arrow(table)
    return table


def rows_table(
    key: str, timestamp: str, names: Sequence[str], codes: NDArray[np.int64], times: NDArray[np.int64], **columns: Any
) -> pa.Table:
    """Return columns beside the instrument and the moment of each row.

    Parameters
    ----------
    key, timestamp
        What those two columns are called.
    names, codes
        Row ``i`` is of instrument ``names[codes[i]]``.
    times
        Microseconds UTC, shape (n_rows,).
    columns
        Name → values, shape (n_rows,) each.
    """
    instruments = pa.array(list(names), pa.string()).take(pa.array(codes, pa.int64()))
    moments = pa.array(times).view(pa.timestamp("us", "UTC"))
    return pa.table({key: instruments, timestamp: moments, **columns})


class FrameSource:
    """A data frame as a source of market data, validated as a file is.

    Parameters
    ----------
    table
        Its rows.
    """

    name = FRAME_NAME
    decimal_comma = False

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    @property
    def column_names(self) -> Sequence[str]:
        """All columns as the frame names them."""
        return [str(name) for name in self._table.column_names]

    def rows(self, columns: Sequence[str]) -> Iterator[RawRows]:
        """Return these columns, all rows at once unless a column is longer than Arrow's arrays can be."""
        first = 1
        for batch in self._table.select(list(columns)).combine_chunks().to_batches():
            numbers = np.arange(first, first + batch.num_rows, dtype=np.int64)
            first += batch.num_rows
            yield RawRows(batch, numbers, fraction=(first - 1) / max(1, self._table.num_rows))

    def fingerprint(self) -> str:
        """Return a SHA-256 of names and types; a frame is read once and cannot change meanwhile."""
        return sha256_json([[str(field.name), str(field.type)] for field in self._table.schema])
