"""Rows as PostgreSQL's binary COPY wants them, many at a time.

Format: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kurswerk.core.errors import DataError
from kurswerk.core.jit import kernel

Int = NDArray[np.int64]
Bytes = NDArray[np.uint8]

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
# Microseconds from 1970 to 2000, from where PostgreSQL counts.
_EPOCH_US = 946_684_800_000_000
# Types that a value can be written as without the server's help, and their bytes.
WIDTHS = {"float8": 8, "int8": 8, "int4": 4, "bool": 1}
KEY_KINDS = frozenset({"varchar", "text"})


def encode_rows(batch: pa.RecordBatch, kinds: Sequence[str], constants: Sequence[str] = ()) -> memoryview:
    """Write a batch as the rows of a binary COPY, without header and trailer.

    Parameters
    ----------
    batch
        Key (string), timestamp (microseconds UTC), then float64, int64 or bool columns, in the order of COPY's
        column list. NULL and NaN become NULL.
    kinds
        Type of each column after the second in the table, keys of `WIDTHS`.
    constants
        Texts that every row has between its timestamp and its first column of values.

    Raises
    ------
    DataError
        If a key is NULL or a whole number does not fit its column.
    """
    keys, moments = batch.column(0), batch.column(1)
    for name, column in zip(batch.schema.names, (keys, moments), strict=False):
        if column.null_count:
            raise DataError("database.rows_without_key", count=column.null_count, column=name)
    offsets, text = _text(keys)
    times = moments.cast(pa.timestamp("us", "UTC")).view(pa.int64()).to_numpy() - _EPOCH_US
    words = np.empty((len(kinds), batch.num_rows), dtype=np.int64)
    nulls = np.empty((len(kinds), batch.num_rows), dtype=np.bool_)
    for j, kind in enumerate(kinds):
        _fill(batch.column(j + 2), kind, batch.schema.names[j + 2], words[j], nulls[j])
    widths = np.array([WIDTHS[kind] for kind in kinds], dtype=np.int64)
    texts = [constant.encode() for constant in constants]
    middle = np.frombuffer(b"".join(len(one).to_bytes(4, "big") + one for one in texts), dtype=np.uint8)
    fixed = 2 + 4 + 12 + len(middle) + len(kinds) * 4 + int(widths.sum())
    out = np.empty(batch.num_rows * fixed + int(offsets[-1] - offsets[0]), dtype=np.uint8)
    used = write_rows(text, offsets, times, len(texts), middle, words, nulls, widths, out)
    return out[:used].data


def _text(column: "pa.Array[Any]") -> tuple[Int, Bytes]:
    """Return the bounds of each text in the bytes of all."""
    whole: Any = column.cast(pa.large_string())
    _, bounds, data = whole.buffers()
    offsets = np.frombuffer(bounds, dtype=np.int64)[whole.offset : whole.offset + len(whole) + 1]
    return offsets, np.frombuffer(data or b"", dtype=np.uint8)


def _fill(column: "pa.Array[Any]", kind: str, name: str, words: Int, nulls: NDArray[np.bool_]) -> None:
    nulls[:] = column.is_null().to_numpy(zero_copy_only=False) if column.null_count else False
    if kind == "float8":
        values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        words[:] = values.view(np.int64)
        nulls |= np.isnan(values)
        return
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    words[:] = column.fill_null(0).to_numpy(zero_copy_only=False)
    if kind == "int4" and len(words) and (words.max() > 2**31 - 1 or words.min() < -(2**31)):
        worst = int(words[np.argmax(np.abs(words))])
        raise DataError("database.integer_too_large", column=name, value=worst)


@kernel
def put(value: int, width: int, out: Bytes, at: int) -> int:
    """Write the low ``width`` bytes of a number, highest first; return the place behind."""
    for i in range(width):
        out[at + i] = (value >> (8 * (width - 1 - i))) & 0xFF
    return at + width


@kernel
def write_rows(
    text: Bytes,
    offsets: Int,
    times: Int,
    n_constants: int,
    constants: Bytes,
    words: Int,
    nulls: NDArray[np.bool_],
    widths: Int,
    out: Bytes,
) -> int:
    """Write rows of text, timestamp, encoded constants and fixed-width fields; return the number of bytes written."""
    at = 0
    n_columns = len(widths)
    for i in range(len(times)):
        at = put(n_columns + 2 + n_constants, 2, out, at)
        length = offsets[i + 1] - offsets[i]
        at = put(length, 4, out, at)
        for k in range(offsets[i], offsets[i + 1]):
            out[at] = text[k]
            at += 1
        at = put(8, 4, out, at)
        at = put(times[i], 8, out, at)
        for k in range(len(constants)):
            out[at] = constants[k]
            at += 1
        for j in range(n_columns):
            if nulls[j, i]:
                at = put(-1, 4, out, at)
            else:
                at = put(widths[j], 4, out, at)
                at = put(words[j, i], widths[j], out, at)
    return at
