"""Rows that break a validation rule, kept as they stand in the file, each with its reason, and read again."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from kurswerk.core.digest import sha256_json
from kurswerk.core.errors import DataFileError
from kurswerk.core.messages import Message
from kurswerk.ingest._cells import as_text
from kurswerk.ingest._normalise import ValidatedRows
from kurswerk.ingest.ports import CandleSource
from kurswerk.market.validation import Violation, violation_message

_TEXT = "text"
REASON_DETAIL = "reason_detail"
# Metadata of the file: the market, and which of its columns stands under which of the file's names.
QUARANTINE_KEY = b"kurswerk"


class Quarantine:
    """A Parquet file of refused rows, written as they come; a context in which leaving by an error removes it.

    Columns: ``row`` (its number in the file, from 1), ``reason`` in English, the file's own columns that Kurswerk reads
    as text, ``text``, a whole line that could not be cut into cells, and ``reason_detail``, code and parameters of the
    reason as JSON. The name is made of the file's name and
    content, so that the same file twice leaves the same quarantine. No refused row, no file.

    Parameters
    ----------
    directory
        Where it lies; made when needed.
    source
        Where the rows come from.
    columns
        The source's columns that are kept → the market's.
    options
        What else decides which rows are refused; part of the name.
    market
        Name of the market that refused them; stands in the file's metadata with ``columns``.
    """

    def __init__(
        self,
        directory: Path,
        source: CandleSource,
        columns: Mapping[str, str],
        options: Sequence[str],
        market: str = "",
    ) -> None:
        self._directory, self._source, self._columns, self._options = directory, source, tuple(columns), options
        self._about = json.dumps({"market": market, "columns": dict(columns)})
        self._writer: pq.ParquetWriter | None = None
        self._part = directory
        self.path: Path | None = None
        self.reasons: Counter[str] = Counter()

    def __enter__(self) -> "Quarantine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif self._writer is not None:
            self._writer.close()
            self._writer = None
            self._part.unlink(missing_ok=True)

    def add(self, validated: ValidatedRows, rows: NDArray[np.int64]) -> None:
        """Take these rows of a batch."""
        reasons = validated.reasons(rows)
        taken = pa.array(rows)
        cells = [as_text(validated.raw.cells.column(name).take(taken)) for name in self._columns]
        self._write(validated.raw.numbers[rows].tolist(), reasons, cells, [None] * len(rows))

    def add_malformed(self, rows: Sequence[tuple[int, str]]) -> None:
        """Take lines that could not be cut into cells: (number, text)."""
        numbers, lines = [number for number, _ in rows], [line for _, line in rows]
        empty = [pa.nulls(len(rows), pa.string()) for _ in self._columns]
        self._write(numbers, [(Violation.CELLS, "")] * len(rows), empty, lines)

    def _write(
        self, numbers: list[int], broken: Sequence[tuple[int, str]], cells: list[pa.Array], lines: Sequence[str | None]
    ) -> None:
        if not numbers:
            return
        reasons, details = zip(*(_described(violation, column) for violation, column in broken), strict=True)
        self.reasons.update(reasons)
        arrays = [pa.array(numbers, pa.int64()), pa.array(reasons), *cells, pa.array(lines, pa.string())]
        names = ["row", "reason", *self._columns, _TEXT, REASON_DETAIL]
        batch = pa.RecordBatch.from_arrays([*arrays, pa.array(details)], names=names)
        if self._writer is None:
            self._open(batch.schema)
        self._writer.write_batch(batch)  # type: ignore[union-attr]  # _open made it

    def _open(self, schema: pa.Schema) -> None:
        name = Path(self._source.name)
        identity = sha256_json([self._source.fingerprint(), *self._options])[:16]
        self.path = self._directory / f"{name.name.split('.')[0]}-{identity}.parquet"
        self._part = self.path.with_suffix(".part")
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            described = schema.with_metadata({QUARANTINE_KEY: self._about.encode()})
            self._writer = pq.ParquetWriter(self._part, described, compression="zstd")
        except OSError as error:
            raise DataFileError("quarantine.not_writable", path=self.path, reason=error) from error

    def close(self) -> None:
        """Finish the file under its name; further calls do nothing."""
        if self._writer is not None and self.path is not None:
            self._writer.close()
            self._writer = None
            self._part.replace(self.path)


@lru_cache
def _described(violation: int, column: str) -> tuple[str, str]:
    """Return a reason in English, and its code and parameters as JSON; there are few, for any number of rows."""
    message = violation_message(violation, column)
    return str(message), json.dumps(message.as_json(), ensure_ascii=False)


@dataclass(frozen=True)
class QuarantinedRow:
    """A refused row.

    Attributes
    ----------
    file
        Name of the file it came from, without its ending.
    row
        Its number there, from 1.
    reason, detail
        Why it was refused, in English and as a message; files of older versions have no message.
    values
        Its cells as text, for people.
    """

    file: str
    row: int | None
    reason: str
    values: str
    detail: Message | None = None


def quarantined_rows(directory: Path, limit: int) -> list[QuarantinedRow]:
    """Return at most ``limit`` refused rows, those of the newest files first; none if there is no such directory.

    Raises
    ------
    DataFileError
        If a file cannot be read.
    """
    files = sorted(directory.glob("*.parquet"), key=lambda path: -path.stat().st_mtime) if directory.is_dir() else []
    found: list[QuarantinedRow] = []
    for path in files:
        if len(found) >= limit:
            break
        found += _rows_of(path, limit - len(found))
    return found


def _rows_of(path: Path, limit: int) -> list[QuarantinedRow]:
    try:
        batch = next(pq.ParquetFile(path).iter_batches(batch_size=limit), None)
    except OSError as error:
        raise DataFileError("quarantine.not_readable", path=path, reason=error) from error
    return [_row_of(path, row) for row in (batch.to_pylist() if batch is not None else [])]


def _row_of(path: Path, row: dict[str, Any]) -> QuarantinedRow:
    detail = row.pop(REASON_DETAIL, None)
    return QuarantinedRow(
        file=path.stem.rpartition("-")[0],
        row=row.pop("row"),
        reason=row.pop("reason"),
        values=", ".join(f"{name} {value}" for name, value in row.items() if value is not None),
        detail=Message.from_json(json.loads(detail)) if detail else None,
    )
