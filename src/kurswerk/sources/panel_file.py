"""Parquet files of market data as a `Panel`, and features back into one with the same keys."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from kurswerk.core.errors import DataError, DataFileError
from kurswerk.market import MarketSchema, Panel, map_columns

_MOST_COLUMNS = 10_000


@dataclass(frozen=True, eq=False)
class PanelFile:
    """A panel with the keys of the file it came from.

    ``order[i]`` is the file's row that became row ``i`` of the panel.
    """

    panel: Panel
    keys: pa.Table
    order: NDArray[np.int64]


def read_panel(path: Path, market: MarketSchema, columns: Collection[str] | None = None) -> PanelFile:
    """Read keys, times and those of a market's columns that a Parquet file has; common names are mapped.

    Parameters
    ----------
    columns
        Only these of the market's columns, as far as the file has them; None is all.

    Raises
    ------
    DataFileError
        If it is no Parquet file or has no key or time.
    DataError
        If a cell cannot be used or a (key, time) stands twice.
    """
    table, key, time = _read(path, market, columns)
    names = table.column(key).cast(pa.string()).combine_chunks().dictionary_encode()
    times = _microseconds(path, table.column(time))
    if names.null_count or table.column(key).null_count:
        raise DataError("file.empty_cells", file=path.name, column=key, count=table.column(key).null_count)
    labels = names.dictionary.to_pylist()
    rank = np.argsort(np.argsort(np.asarray(labels, dtype=object))) if labels else np.empty(0, dtype=np.int64)
    codes = rank[names.indices.to_numpy().astype(np.int64)] if labels else rank
    order = np.lexsort((times, codes)).astype(np.int64)
    values = {
        ours: _numbers(path, table.column(theirs), theirs)[order]
        for theirs, ours in map_columns(table.column_names, market, joined=True).items()
        if theirs not in {key, time}
    }
    panel = Panel.from_codes(sorted(labels), codes[order], times[order], values)
    return PanelFile(panel, table.select([key, time]), order)


def write_features(path: Path, file: PanelFile, names: Collection[str], values: NDArray[np.float64]) -> None:
    """Write the file's keys, in the file's order, plus one float64 column per feature (NaN stays NaN)."""
    table = file.keys
    back = np.empty_like(file.order)
    back[file.order] = np.arange(len(file.order))
    for position, name in enumerate(names):
        table = table.append_column(pa.field(name, pa.float64()), pa.array(values[back, position]))
    pq.write_table(table, path)


def _read(path: Path, market: MarketSchema, columns: Collection[str] | None) -> tuple[pa.Table, str, str]:
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if len(names) > _MOST_COLUMNS:
                raise DataFileError("file.too_many_columns", file=path.name, count=len(names), most=_MOST_COLUMNS)
            mapping = map_columns(names, market, joined=True)
            found = {ours: theirs for theirs, ours in mapping.items()}
            for needed, other in ((market.key, "symbol"), (market.timestamp, "date")):
                if needed not in found:
                    examples = needed if needed == other else f"{needed} or {other}"
                    raise DataFileError("file.no_such_column", file=path.name, examples=examples, found=names[:12])
            wanted = {market.key, market.timestamp, *(mapping.values() if columns is None else columns)}
            chosen = [theirs for theirs, ours in mapping.items() if ours in wanted]
            return file.read(columns=chosen), found[market.key], found[market.timestamp]
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise DataFileError("file.missing", path=path) from error
        raise DataFileError("file.no_readable_parquet", file=path.name, reason=str(error).splitlines()[0]) from error


def _microseconds(path: Path, column: pa.ChunkedArray) -> NDArray[np.int64]:
    if not (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
        raise DataError("file.time_column_of_other_type", file=path.name, type=column.type)
    if column.null_count:
        raise DataError("file.rows_without_time", file=path.name, count=column.null_count)
    zone = column.type.tz if pa.types.is_timestamp(column.type) else None
    times = column.cast(pa.timestamp("us", tz=zone), safe=False).cast(pa.int64())
    result: NDArray[np.int64] = times.combine_chunks().to_numpy(zero_copy_only=False).astype(np.int64)
    return result


def _numbers(path: Path, column: pa.ChunkedArray, name: str) -> NDArray[np.float64]:
    kind = column.type
    if not (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_null(kind)
    ):
        raise DataError("file.feature_column_of_other_type", file=path.name, column=name, type=kind)
    floats = column.cast(pa.float64(), safe=False)
    filled = pc.fill_null(floats, float("nan"))
    result: NDArray[np.float64] = filled.combine_chunks().to_numpy(zero_copy_only=False)
    return result
