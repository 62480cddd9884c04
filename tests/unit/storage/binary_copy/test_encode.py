"""The binary COPY against a reader of the format that shares no code with the writer."""

import math
import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpreted import interpreted
from kurswerk.core.errors import DataError
from kurswerk.ingest import arrow_schema
from kurswerk.market import COINS
from kurswerk.storage.binary_copy import _encode as coin_copy

COLUMNS = ("price_close", "num_buys", "is_koth", "phase_id_at_time")
KINDS = ("float8", "int8", "bool", "int4")
FORMATS = (">d", ">q", ">?", ">i")
POSTGRES_EPOCH_US = 946684800 * 10**6

ROWS = st.lists(
    st.tuples(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        st.integers(-(2**55), 2**55),
        st.one_of(st.none(), st.floats()),
        st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
        st.one_of(st.none(), st.booleans()),
        st.one_of(st.none(), st.integers(-(2**31), 2**31 - 1)),
    ),
    max_size=20,
)


def batch(rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    schema = arrow_schema(COLUMNS, COINS)
    columns = list(zip(*rows, strict=True)) if rows else [[] for _ in schema]
    return pa.record_batch(
        [pa.array(list(values), field.type) for values, field in zip(columns, schema, strict=True)], schema=schema
    )


def read(data: bytes) -> list[tuple[Any, ...]]:
    rows, at = [], 0
    while at < len(data):
        (count,) = struct.unpack_from(">h", data, at)
        at += 2
        fields: list[bytes | None] = []
        for _ in range(count):
            (length,) = struct.unpack_from(">i", data, at)
            at += 4
            fields.append(None if length < 0 else data[at : at + length])
            at += max(length, 0)
        assert fields[0] is not None
        assert fields[1] is not None
        values = [None if f is None else struct.unpack(form, f)[0] for f, form in zip(fields[2:], FORMATS, strict=True)]
        rows.append((fields[0].decode(), struct.unpack(">q", fields[1])[0] + POSTGRES_EPOCH_US, *values))
    return rows


def as_stored(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(None if isinstance(value, float) and math.isnan(value) else value for value in row)


@given(rows=ROWS, start=st.integers(0, 3))
def test_what_is_written_is_read(rows: list[tuple[Any, ...]], start: int):
    encoded = coin_copy.encode_rows(batch(rows).slice(start), KINDS)
    assert read(bytes(encoded)) == [as_stored(row) for row in rows[start:]]


def test_the_kernel_is_its_text():
    rows = [("aß", 5, 1.5, None, True, -7), ("", -1, None, 2**40, None, 3)]
    compiled = bytes(coin_copy.encode_rows(batch(rows), KINDS))
    with interpreted(coin_copy):
        assert bytes(coin_copy.encode_rows(batch(rows), KINDS)) == compiled


def test_keys_are_needed():
    for row, name in (((None, 1), "mint"), (("a", None), "timestamp")):
        arrays = [pa.array([row[0]], pa.string()), pa.array([row[1]], pa.timestamp("us", "UTC"))]
        with pytest.raises(DataError, match=f"no {name}"):
            coin_copy.encode_rows(pa.record_batch(arrays, names=["mint", "timestamp"]), [])


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1])
def test_numbers_that_do_not_fit_are_refused(value: int):
    rows = [("a", 1, None, None, None, 5)]
    data = batch(rows).set_column(5, "phase_id_at_time", pa.array([value], pa.int64()))
    with pytest.raises(DataError, match=str(value)):
        coin_copy.encode_rows(data, KINDS)


def test_dates_of_other_resolution_are_taken():
    arrays = [pa.array(["a"]), pa.array(np.array([7], "datetime64[s]"))]
    with_zone = pa.record_batch([arrays[0], arrays[1].cast(pa.timestamp("s", "UTC"))], names=["mint", "timestamp"])
    assert bytes(coin_copy.encode_rows(with_zone, []))[-8:] == struct.pack(">q", 7_000_000 - POSTGRES_EPOCH_US)
