"""Candles in text files: CSV and its relatives, also compressed."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from kurswerk.core.errors import DataFileError
from kurswerk.ingest import RawRows
from kurswerk.market import MarketSchema
from kurswerk.sources._dialect import Dialect, read_dialect

_BLOCK_BYTES = 4 << 20
_HEAD_BYTES = 1 << 18
# A million column names fit; what has no line end by then is no text.
_LONGEST_LINE_BYTES = 32 << 20
_COMPRESSIONS = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh", "bz2"))
_BOM = b"\xef\xbb\xbf"


class CsvCandles:
    """A text file of candles as a `CandleSource`.

    Separator ``, ; | `` or tab, header within the first five lines, quotes, byte-order mark, blank lines, decimal
    comma (where the comma does not separate), gzip, zstd and bzip2. All cells are read as text, so that one
    that is wrong costs its row and not the file.

    Parameters
    ----------
    path
        The file.
    market
        Whose columns the header is looked for by.

    Raises
    ------
    DataFileError
        If it is empty, binary, not UTF-8 or has no header of candles.
    """

    def __init__(self, path: Path, market: MarketSchema, *, has_times: bool = True) -> None:
        self._path = path
        self._compression = _compression(path)
        head = self._head()
        self._dialect: Dialect = read_dialect(path.name, head, market, has_times=has_times)

    @property
    def name(self) -> str:
        """The file's name."""
        return self._path.name

    @property
    def column_names(self) -> Sequence[str]:
        """The header."""
        return self._dialect.column_names

    @property
    def decimal_comma(self) -> bool:
        """Whether numbers are written ``1,5``."""
        return self._dialect.decimal_comma

    def fingerprint(self) -> str:
        """Return the SHA-256 of the file."""
        return sha256_of_file(self._path)

    def _open(self) -> pa.NativeFile:
        return pa.input_stream(str(self._path), compression=self._compression)

    def _head(self) -> str:
        try:
            with self._open() as stream:
                head = bytes(stream.read(_HEAD_BYTES))
                while b"\n" not in head and len(head) < _LONGEST_LINE_BYTES:
                    more = bytes(stream.read(_HEAD_BYTES * 16))
                    if not more:
                        break
                    head += more
        except OSError as error:
            raise DataFileError("file.not_decompressible", file=self.name, reason=error) from error
        if not head.removeprefix(_BOM).strip():
            raise DataFileError("file.empty_csv", file=self.name)
        if head.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise DataFileError("file.utf16", file=self.name)
        if b"\x00" in head:
            raise DataFileError("file.binary", file=self.name)
        return head.removeprefix(_BOM).decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n")

    def rows(self, columns: Sequence[str]) -> Iterator[RawRows]:
        """Read these columns from the first row on, as text."""
        malformed: list[tuple[int, str]] = []

        def refuse(row: pa_csv.InvalidRow) -> str:
            malformed.append((row.number - self._dialect.header_line - 1, row.text))
            return "skip"

        size = max(self._path.stat().st_size, 1)
        names = self._distinct(columns)
        file = pa.OSFile(str(self._path), "rb")
        stream = file if self._compression is None else pa.CompressedInputStream(file, self._compression)
        refused = np.empty(0, dtype=np.int64)
        ordinal = 0
        try:
            reader = self._reader(stream, names, columns, refuse)
            for batch in reader:
                fresh = sorted(malformed)
                malformed.clear()
                refused = np.concatenate((refused, [number for number, _ in fresh])).astype(np.int64)
                numbers = _numbers(ordinal, batch.num_rows, refused)
                ordinal += batch.num_rows
                cells = pa.RecordBatch.from_arrays([_decoded(batch.column(name)) for name in columns], list(columns))
                yield RawRows(cells, numbers, fresh, min(file.tell() / size, 1.0))
        except (pa.ArrowInvalid, OSError) as error:
            raise DataFileError(
                "file.not_readable_csv", file=self.name, count=ordinal, reason=_first_line(error)
            ) from error
        if malformed:
            nothing = pa.RecordBatch.from_arrays([pa.array([], pa.string()) for _ in columns], list(columns))
            yield RawRows(nothing, np.empty(0, dtype=np.int64), sorted(malformed), 1.0)

    def _distinct(self, columns: Sequence[str]) -> list[str]:
        """Rename columns not asked for, which may share a name, so that the reader can distinguish all."""
        wanted = set(columns)
        return [name if name in wanted else f"\x00{place}" for place, name in enumerate(self.column_names)]

    def _reader(
        self, stream: pa.NativeFile, names: Sequence[str], columns: Sequence[str], refuse: object
    ) -> pa_csv.CSVStreamingReader:
        return pa_csv.open_csv(
            stream,
            # On one thread, for only then a row that cannot be cut comes with its number.
            read_options=pa_csv.ReadOptions(
                block_size=_BLOCK_BYTES,
                use_threads=False,
                skip_rows=self._dialect.header_line + 1,
                column_names=names,
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=self._dialect.separator, newlines_in_values=True, invalid_row_handler=refuse
            ),
            convert_options=pa_csv.ConvertOptions(
                include_columns=list(columns),
                column_types={name: pa.binary() for name in columns},
                null_values=[""],
                strings_can_be_null=True,
                check_utf8=False,
            ),
        )


def _numbers(ordinal: int, count: int, refused: np.ndarray) -> np.ndarray:
    """Return the numbers in the file, from 1, of well-formed rows ``ordinal`` and on, given those of refused rows."""
    places = np.arange(ordinal, ordinal + count, dtype=np.int64)
    return places + 1 + np.searchsorted(refused - 1 - np.arange(len(refused)), places, side="right")


def _decoded(cells: pa.Array) -> pa.Array:
    try:
        return cells.cast(pa.string())
    except pa.ArrowInvalid:
        texts = [None if cell is None else cell.decode("utf-8", errors="replace") for cell in cells.to_pylist()]
        return pa.array(texts, pa.string())


def _compression(path: Path) -> str | None:
    with path.open("rb") as file:
        magic = file.read(4)
    return next((name for mark, name in _COMPRESSIONS if magic.startswith(mark)), None)


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:200]


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
