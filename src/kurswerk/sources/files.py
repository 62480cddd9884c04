"""Files of candles on disk, by their name and their content; and Arrow tables in memory."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from kurswerk.core.digest import sha256_bytes
from kurswerk.core.errors import DataFileError
from kurswerk.ingest import CandleSource, RawRows
from kurswerk.market import MarketSchema
from kurswerk.sources._csv_file import CsvCandles
from kurswerk.sources._parquet_file import PARQUET_MAGIC, ParquetCandles

_PARQUET_SUFFIXES = frozenset({".parquet", ".pq"})
_BATCH_ROWS = 65_536


def open_candles(path: Path, market: MarketSchema, *, has_times: bool = True) -> CandleSource:
    """Open a file of a market's rows; without ``has_times`` one whose rows need not have a time.

    ``.parquet`` and ``.pq`` are Parquet, everything else is text unless it begins as a Parquet file.

    Raises
    ------
    DataFileError
        If there is no such file, or it is not of its declared format.
    """
    try:
        if not path.is_file():
            raise DataFileError("file.is_directory" if path.is_dir() else "file.missing", path=path)
        if path.suffix.lower() in _PARQUET_SUFFIXES:
            return ParquetCandles(path)
        with path.open("rb") as file:
            is_parquet = file.read(4) == PARQUET_MAGIC
        if is_parquet and ".csv" in path.name.lower():
            raise DataFileError("file.parquet_not_csv", file=path.name)
        return ParquetCandles(path) if is_parquet else CsvCandles(path, market, has_times=has_times)
    except OSError as error:
        raise DataFileError("file.not_readable", file=path, reason=error.strerror or error) from error


class TableCandles:
    """An Arrow table in memory as a `CandleSource`, under a name."""

    decimal_comma = False

    def __init__(self, table: pa.Table, name: str = "table") -> None:
        self._table, self._name = table, name

    @property
    def name(self) -> str:
        """The name given."""
        return self._name

    @property
    def column_names(self) -> Sequence[str]:
        """The table's columns."""
        return tuple(self._table.column_names)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the table as an Arrow stream."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self._table.schema) as writer:
            writer.write_table(self._table.combine_chunks())
        return sha256_bytes(sink.getvalue())

    def rows(self, columns: Sequence[str]) -> Iterator[RawRows]:
        """Yield these columns in batches."""
        first = 0
        for batch in self._table.select(list(columns)).to_batches(max_chunksize=_BATCH_ROWS):
            numbers = np.arange(first + 1, first + 1 + batch.num_rows, dtype=np.int64)
            first += batch.num_rows
            yield RawRows(batch, numbers, (), first / max(self._table.num_rows, 1))
