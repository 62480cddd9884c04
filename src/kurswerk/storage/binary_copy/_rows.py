"""Rows of PostgreSQL's binary COPY, read and written many at a time.

Format: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.errors import StorageError
from kurswerk.core.jit import kernel
from kurswerk.storage.binary_copy._encode import put

Int = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

# Microseconds from 1970 to 2000, from where PostgreSQL counts.
EPOCH_US = 946_684_800_000_000
_HEADER_SIZE = 19
_FORECAST_WIDTHS = (("id", 8), ("time", 8), ("model", 8), ("forecast", 4), ("low", 4), ("high", 4))
_FORECAST_ROW = np.dtype(
    [("fields", ">i2")]
    + [
        (part, kind)
        for name, width in _FORECAST_WIDTHS
        for part, kind in ((f"{name}_length", ">i4"), (name, ">i8" if width == 8 else ">f4"))
    ]
)
_NAN_BITS = np.array([np.nan]).view(np.int64)[0]


@dataclass(frozen=True, eq=False)
class RowBlock:
    """Decoded rows: one text, then fields of eight bytes.

    Attributes
    ----------
    keys
        The first field of each row.
    words
        The other fields as their 64 bits, shape (n_fields, n_rows); NULL has the bits of NaN.
    """

    keys: list[str]
    words: Int

    def __len__(self) -> int:
        return len(self.keys)

    def moments(self, field: int) -> Int:
        """Return a timestamptz field as microseconds since 1970."""
        moments: Int = self.words[field] + EPOCH_US
        return moments

    def numbers(self, first: int) -> Float:
        """Return the double precision fields from ``first`` on, shape (n_rows, k), rows contiguous."""
        return np.ascontiguousarray(self.words[first:].view(np.float64).T)


def decode_rows(data: bytes, fields: int) -> RowBlock:
    """Decode what ``COPY (SELECT text, 8 bytes, 8 bytes, …) TO STDOUT (FORMAT binary)`` sent.

    Parameters
    ----------
    data
        All of it, with header and trailer.
    fields
        How many fields of eight bytes follow the text.

    Raises
    ------
    StorageError
        If a row has other fields.
    """
    raw = np.frombuffer(data, dtype=np.uint8)
    rows = count_rows(raw, fields)
    if rows < 0:
        raise StorageError("database.unexpected_rows", numbers=fields)
    words = np.empty((fields, rows), dtype=np.int64)
    bounds = np.empty((rows, 2), dtype=np.int64)
    read_rows(raw, words, bounds, _NAN_BITS)
    return RowBlock([data[start:end].decode() for start, end in bounds.tolist()], words)


@cache
def compile_now() -> None:
    """Compile what reads and writes rows, so that the first ones need not wait for it."""
    none = np.empty((0, 1))
    decode_rows(bytes(_HEADER_SIZE) + b"\xff\xff", 1)
    empty, given = np.empty(0, dtype=np.int64), none.astype(np.bool_)
    encode_predictions(
        empty, [], empty, np.zeros(1, dtype=np.int64), none.astype(np.float32), given, none.astype(np.int64)
    )


@kernel
def number_at(raw: Bytes, at: int, width: int) -> int:
    """Read a signed number of ``width`` bytes, highest first."""
    value = int(raw[at])
    if value > 127:
        value -= 256
    for i in range(1, width):
        value = (value << 8) | int(raw[at + i])
    return value


@kernel
def count_rows(raw: Bytes, fields: int) -> int:
    """Return how many rows there are; -1 if one has other fields."""
    at, rows = 19, 0
    while at + 2 <= len(raw):
        found = number_at(raw, at, 2)
        if found == -1:
            return rows
        if found != fields + 1:
            return -1
        at += 2
        length = number_at(raw, at, 4)
        if length < 0:
            return -1
        at += 4 + length
        for _ in range(fields):
            length = number_at(raw, at, 4)
            if length not in {8, -1}:
                return -1
            at += 4 + max(length, 0)
        rows += 1
    return -1


@kernel
def read_rows(raw: Bytes, words: Int, bounds: Int, null: int) -> None:
    """Fill ``words`` and where each text begins and ends; `count_rows` has seen that all is well."""
    at = 19
    for row in range(words.shape[1]):
        at += 2
        length = number_at(raw, at, 4)
        bounds[row, 0], bounds[row, 1] = at + 4, at + 4 + length
        at += 4 + length
        for field in range(words.shape[0]):
            length = number_at(raw, at, 4)
            at += 4
            words[field, row] = null
            if length == 8:
                words[field, row] = number_at(raw, at, 8)
                at += 8


def encode_predictions(
    ids: Int,
    coins: Sequence[str],
    timestamps: Int,
    models: Int,
    scores: NDArray[np.float32],
    given: Bool,
    digests: Int,
    features: Sequence[bytes | None] | None = None,
    in_scope: Bool | None = None,
) -> memoryview:
    """Write predictions as rows of a binary COPY, without header and trailer.

    The columns: id, coin_id, timestamp, model_id, prediction, probability, score, features_digest, features, in_scope.

    Parameters
    ----------
    ids
        One per prediction that is given, in the order of rows, then models.
    coins, timestamps
        Per row; microseconds since 1970.
    models
        Ids, shape (m,).
    scores, given, digests
        Shape (n, m): float32 probability, whether the model gave one, and the digest of its features.
    features
        JSON text per given prediction, or None for NULL; None for no features at all.
    in_scope
        Shape (n, m), or None where every prediction is.
    """
    texts = [coin.encode() for coin in coins]
    offsets = np.concatenate(([0], np.cumsum([len(text) for text in texts]))).astype(np.int64)
    text = np.frombuffer(b"".join(texts), dtype=np.uint8)
    blobs = [None] * len(ids) if features is None else features
    lengths = np.array([-1 if blob is None else len(blob) for blob in blobs], dtype=np.int64)
    blob_bytes = np.frombuffer(b"".join(blob for blob in blobs if blob is not None), dtype=np.uint8)
    size = len(ids) * (2 + 10 * 4 + 5 * 8 + 4 + 12 + 2) + int(np.diff(offsets) @ given.sum(axis=1)) + len(blob_bytes)
    out = np.empty(size, dtype=np.uint8)
    used = write_predictions(
        ids, text, offsets, timestamps - EPOCH_US, models, scores, scores.view(np.int32), given, digests, lengths,
        blob_bytes, given if in_scope is None else in_scope, out,
    )  # fmt: skip
    return out[:used].data


def encode_forecasts(ids: Int, timestamps: Int, models: Int, given: Bool, forecasts: NDArray[np.float32]) -> bytes:
    """Write the forecasts among predictions as rows of a binary COPY, without header and trailer.

    The columns: prediction_id, timestamp, model_id, forecast, low, high.

    Parameters
    ----------
    ids, timestamps, models, given
        As in `encode_predictions`.
    forecasts
        Shape (n, m, 3); a prediction whose forecast is NaN has none.
    """
    chosen = given & ~np.isnan(forecasts[:, :, 0])
    id_of = np.full(given.shape, -1, dtype=np.int64)
    id_of[given] = ids
    rows, columns = np.nonzero(chosen)
    words = np.zeros(len(rows), dtype=_FORECAST_ROW)
    words["fields"] = 6
    for name, width in _FORECAST_WIDTHS:
        words[f"{name}_length"] = width
    words["id"], words["time"], words["model"] = id_of[chosen], timestamps[rows] - EPOCH_US, models[columns]
    for k, name in enumerate(("forecast", "low", "high")):
        words[name] = forecasts[rows, columns, k]
    return words.tobytes()


@kernel
def put_ratio(value: float, out: Bytes, at: int) -> int:
    """Write a number in [0, 1] as numeric with four decimals, length first.

    Layout: number of base-10000 digits, weight of the first, sign, decimals shown, digits.
    """
    scaled = int(np.rint(value * 10000.0))
    whole = scaled >= 10000
    digits = 1 if scaled else 0
    at = put(8 + 2 * digits, 4, out, at)
    at = put(digits, 2, out, at)
    at = put(0 if whole or not scaled else -1, 2, out, at)
    at = put(0, 2, out, at)
    at = put(4, 2, out, at)
    if digits:
        at = put(1 if whole else scaled, 2, out, at)
    return at


@kernel
def write_predictions(
    ids: Int,
    text: Bytes,
    offsets: Int,
    times: Int,
    models: Int,
    scores: NDArray[np.float32],
    score_bits: NDArray[np.int32],
    given: Bool,
    digests: Int,
    lengths: Int,
    blobs: Bytes,
    in_scope: Bool,
    out: Bytes,
) -> int:
    """Write rows of ten fields; return the number of bytes written."""
    at = 0
    k = 0
    blob = 0
    for i in range(len(times)):
        for j in range(len(models)):
            if not given[i, j]:
                continue
            at = put(10, 2, out, at)
            at = put(8, 4, out, at)
            at = put(ids[k], 8, out, at)
            at = put(offsets[i + 1] - offsets[i], 4, out, at)
            for place in range(offsets[i], offsets[i + 1]):
                out[at] = text[place]
                at += 1
            at = put(8, 4, out, at)
            at = put(times[i], 8, out, at)
            at = put(8, 4, out, at)
            at = put(models[j], 8, out, at)
            at = put(4, 4, out, at)
            at = put(1 if scores[i, j] >= 0.5 else 0, 4, out, at)
            at = put_ratio(scores[i, j], out, at)
            at = put(4, 4, out, at)
            at = put(score_bits[i, j], 4, out, at)
            at = put(8, 4, out, at)
            at = put(digests[i, j], 8, out, at)
            if lengths[k] < 0:
                at = put(-1, 4, out, at)
            else:  # jsonb as text, after the number of its format
                at = put(lengths[k] + 1, 4, out, at)
                at = put(1, 1, out, at)
                for place in range(blob, blob + lengths[k]):
                    out[at] = blobs[place]
                    at += 1
                blob += lengths[k]
            at = put(1, 4, out, at)
            at = put(1 if in_scope[i, j] else 0, 1, out, at)
            k += 1
    return at
