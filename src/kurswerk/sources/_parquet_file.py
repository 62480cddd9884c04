"""Candles in Parquet files."""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kurswerk.core.errors import DataFileError
from kurswerk.ingest import RawRows
from kurswerk.sources._csv_file import sha256_of_file

_BATCH_ROWS = 65_536
# Bytes of a column kept in memory at a time, whatever the size of a row group.
_BUFFER_BYTES = 1 << 20
# Thrift lists in the footer: columns, and row groups. A million columns would take minutes and gigabytes to read.
_MOST_PARTS = 100_000
PARQUET_MAGIC = b"PAR1"


class ParquetCandles:
    """A Parquet file of candles as a `CandleSource`.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    DataFileError
        If it is empty, truncated or no Parquet.
    """

    decimal_comma = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._refuse_incomplete()
        with self._open() as file:
            self._schema: pa.Schema = file.schema_arrow

    def _refuse_incomplete(self) -> None:
        size = self._path.stat().st_size
        if size == 0:
            raise DataFileError("file.empty", file=self.name)
        with self._path.open("rb") as file:
            start = file.read(4)
            file.seek(max(size - 8, 0))
            tail = file.read(8)
        if start != PARQUET_MAGIC:
            raise DataFileError("file.not_parquet", file=self.name)
        if size < 12 or tail[-4:] != PARQUET_MAGIC or struct.unpack("<I", tail[:4])[0] > size:
            raise DataFileError("file.truncated_parquet", file=self.name)

    def _open(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(
                self._path,
                buffer_size=_BUFFER_BYTES,
                pre_buffer=False,
                thrift_container_size_limit=_MOST_PARTS,
            )
        except (pa.ArrowException, OSError) as error:
            reason = str(error).split("\n", 1)[0][:200]
            if "size limit" in reason:
                raise DataFileError(
                    "file.too_large_parquet", file=self.name, reason=reason, most=_MOST_PARTS
                ) from error
            raise DataFileError("file.not_readable_parquet", file=self.name, reason=reason) from error

    @property
    def name(self) -> str:
        """The file's name."""
        return self._path.name

    @property
    def column_names(self) -> Sequence[str]:
        """Top-level columns."""
        return tuple(self._schema.names)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the file."""
        return sha256_of_file(self._path)

    def rows(self, columns: Sequence[str]) -> Iterator[RawRows]:
        """Read these columns from the first row on."""
        first = 0
        with self._open() as file:
            total = max(file.metadata.num_rows, 1)
            try:
                for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=list(columns)):
                    numbers = np.arange(first + 1, first + 1 + batch.num_rows, dtype=np.int64)
                    first += batch.num_rows
                    yield RawRows(batch, numbers, (), first / total)
            except (pa.ArrowException, OSError) as error:
                reason = str(error).split("\n", 1)[0][:200]
                raise DataFileError("file.damaged_parquet", file=self.name, count=first, reason=reason) from error
