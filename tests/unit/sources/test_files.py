"""Files are of their declared format, and give all their rows, or are one clear line."""

import gzip
import struct
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurswerk.core.errors import DataFileError
from kurswerk.ingest import ingest_files
from kurswerk.market import COINS
from kurswerk.sources import TableCandles, _csv_file, _parquet_file, open_candles
from memory_sink import MemorySink

TEXT = "mint,timestamp,close\nA,2024-01-01,1\nB,2024-01-02,2\n"
TABLE = pa.table({"mint": ["A", "B"], "timestamp": ["2024-01-01", "2024-01-02"], "close": ["1", "2"]})


def all_cells(source, columns=None):
    columns = list(columns or source.column_names)
    batches = list(source.rows(columns))
    cells = pa.Table.from_batches([raw.cells for raw in batches]).to_pydict() if batches else {}
    numbers = [int(number) for raw in batches for number in raw.numbers]
    return cells, numbers, [row for raw in batches for row in raw.malformed]


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def ingested(path, **options):
    sink = MemorySink()
    summary = ingest_files([open_candles(path, COINS)], COINS, sink, path.parent / "quarantine", **options)
    return sink.rows, summary.files[0]


@pytest.mark.parametrize(
    "content",
    [
        TEXT,
        "\ufeff" + TEXT,
        TEXT.replace("\n", "\r\n"),
        TEXT.replace(",", ";"),
        TEXT.replace(",", "\t"),
        TEXT.rstrip("\n"),
        TEXT + "\n\n\n",
        "made by somebody\n" + TEXT,
        '"mint","timestamp","close"\n"A","2024-01-01","1"\n"B","2024-01-02","2"\n',
        gzip.compress(TEXT.encode(), mtime=0),
        pa.compress(TEXT.encode(), codec="zstd", asbytes=True),
    ],
)
def test_one_table_in_many_dialects(tmp_path, content):
    source = open_candles(written(tmp_path / "a.csv", content), COINS)
    assert all_cells(source) == (TABLE.to_pydict(), [1, 2], [])


@settings(max_examples=25)
@given(
    rows=st.lists(st.lists(st.text('ab,";\n1 ', max_size=4), min_size=3, max_size=3), max_size=10),
    block=st.sampled_from([64, 1 << 20]),
)
def test_csv_cells_come_back_whatever_the_block(tmp_path_factory, rows, block):
    rows = [[f"x{cell}" for cell in row] for row in rows]
    lines = ["mint,timestamp,close", *(",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows)]
    path = written(tmp_path_factory.mktemp("csv") / "a.csv", "\n".join(lines) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_csv_file, "_BLOCK_BYTES", block)
        cells, numbers, malformed = all_cells(open_candles(path, COINS))
    assert [list(row) for row in zip(*cells.values(), strict=True)] == rows
    assert (numbers, malformed) == (list(range(1, len(rows) + 1)), [])


@settings(max_examples=30)
@given(st.lists(st.sampled_from(["A,2024-01-01,1", "A,1", "A,1,2,3"]), max_size=30), st.sampled_from([48, 1 << 20]))
def test_rows_that_cannot_be_cut_keep_their_numbers(tmp_path_factory, lines, block):
    path = written(tmp_path_factory.mktemp("csv") / "a.csv", "\n".join(["mint,timestamp,close", *lines]) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_csv_file, "_BLOCK_BYTES", block)
        _, numbers, malformed = all_cells(open_candles(path, COINS))
    good = [number for number, line in enumerate(lines, start=1) if line.count(",") == 2]
    assert numbers == good
    assert malformed == [(n, line) for n, line in enumerate(lines, start=1) if n not in good]


def test_rows_that_cannot_be_cut_are_quarantined(tmp_path):
    rows, file = ingested(written(tmp_path / "a.csv", TEXT + "C,2024-01-03\nD,2024-01-04,4\nE\n"))
    assert sorted(mint for mint, _ in rows) == ["A", "B", "D"]
    assert (file.rows_read, file.accepted, file.quarantined) == (5, 3, {"wrong number of cells": 2})
    assert [(row["row"], row["text"]) for row in pq.read_table(file.quarantine).to_pylist()] == [
        (3, "C,2024-01-03"),
        (5, "E"),
    ]


def test_only_rows_that_cannot_be_cut(tmp_path):
    rows, file = ingested(written(tmp_path / "a.csv", "mint,timestamp,close\nA\nB\n"))
    assert (rows, file.rows_read, file.quarantined) == ({}, 2, {"wrong number of cells": 2})


def test_header_alone_is_a_table_without_rows(tmp_path):
    rows, file = ingested(written(tmp_path / "a.csv", "mint,timestamp,close\n"))
    assert (rows, file.rows_read) == ({}, 0)


def test_decimal_comma(tmp_path):
    rows, _ = ingested(written(tmp_path / "a.csv", "mint;date;close\nA;2024-01-01;1,5\n"))
    assert [row["price_close"] for row in rows.values()] == [1.5]


def test_bytes_that_are_no_utf8_cost_their_row(tmp_path):
    rows, file = ingested(written(tmp_path / "a.csv", TEXT.encode() + b"\xe4,2024-01-03,3\nD,2024-01-04,\xff4\n"))
    assert len(rows) == 2
    assert file.quarantined == {"key is no readable text": 1, "price_close is unreadable": 1}


def test_columns_not_read_may_share_a_name(tmp_path):
    rows, file = ingested(written(tmp_path / "a.csv", "x,mint,x,ts,close,,\n0,A,0,2024-01-01,1,,\n"))
    assert len(rows) == 1
    assert file.ignored == ("x", "x", "column_6", "column_7")


def test_a_column_read_must_not_stand_twice(tmp_path):
    with pytest.raises(DataFileError, match="'close' stands twice"):
        ingested(written(tmp_path / "a.csv", "mint,ts,close,close\nA,2024-01-01,1,2\n"))


def test_thousands_of_columns(tmp_path):
    extra = ",".join(f"c{i}" for i in range(5_000))
    rows, file = ingested(written(tmp_path / "a.csv", f"mint,ts,close,{extra}\nA,2024-01-01,1{',' * 5_000}\n"))
    assert (len(rows), len(file.ignored)) == (1, 5_000)


def test_a_million_columns_are_refused_soon(tmp_path):
    names = ",".join(f"c{i}" for i in range(1_000_000))
    path = written(tmp_path / "a.csv", f"mint,ts,close,{names}\n")
    begin = time.perf_counter()
    with pytest.raises(DataFileError, match="1000003 columns, at most 10000"):
        open_candles(path, COINS)
    assert time.perf_counter() - begin < 20


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "the file is empty"),
        ("a.csv", b"\n\n \n", "the file is empty"),
        ("a.csv", b"\xef\xbb\xbf", "the file is empty"),
        ("a.csv", bytes(range(256)) * 8, "binary data, not CSV"),
        ("a.csv", "mint,ts\n".encode("utf-16"), "UTF-16 text; save it as UTF-8"),
        ("a.csv", b"\x1f\x8b" + b"junk" * 9, "cannot be decompressed"),
        ("a.csv", b"PAR1" + b"x" * 20, "a Parquet file, not CSV"),
        ("a.csv", "no candles here\n", "no header"),
        ("a.parquet", b"", "the file is empty"),
        ("a.parquet", TEXT, "does not begin as a Parquet file"),
        ("a.parquet", b"PAR1", "the end of the Parquet file is missing"),
        ("a.parquet", b"PAR1" + b"\x00" * 40, "the end of the Parquet file is missing"),
        ("a.parquet", b"PAR1" + b"\x00" * 40 + struct.pack("<I", 9999) + b"PAR1", "end of the Parquet file is missing"),
        ("a.parquet", b"PAR1" + b"\x07" * 40 + struct.pack("<I", 40) + b"PAR1", "not readable as Parquet"),
    ],
)
def test_a_file_of_another_format_is_one_clear_line(tmp_path, name, content, message):
    path = written(tmp_path / name, content)
    with pytest.raises(DataFileError, match=message) as caught:
        open_candles(path, COINS)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_no_such_file_and_directories(tmp_path):
    with pytest.raises(DataFileError, match="does not exist"):
        open_candles(tmp_path / "none.csv", COINS)
    with pytest.raises(DataFileError, match="is a directory"):
        open_candles(tmp_path, COINS)


def test_a_name_the_system_refuses(tmp_path):
    with pytest.raises(DataFileError, match=r"cannot be read|does not exist"):
        open_candles(tmp_path / ("x" * 5_000), COINS)


def test_an_open_quote_that_never_ends(tmp_path):
    path = written(tmp_path / "a.csv", TEXT + '"C,2024-01-01,1\n' * 3)
    rows, file = ingested(path) if _readable(path) else ({}, None)
    assert file is None or file.rows_read == file.accepted + sum(file.quarantined.values())
    assert len(rows) <= 2


def _readable(path):
    try:
        all_cells(open_candles(path, COINS))
    except DataFileError:
        return False
    return True


def test_a_quote_longer_than_a_block_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setattr(_csv_file, "_BLOCK_BYTES", 64)
    path = written(tmp_path / "a.csv", TEXT + '"' + "x,1,2\n" * 100)
    sink = MemorySink()
    with pytest.raises(DataFileError, match="not readable as CSV after") as caught:
        ingest_files([open_candles(path, COINS)], COINS, sink, tmp_path)
    assert "\n" not in str(caught.value)
    assert sink.rows == {}


def test_a_truncated_gzip_changes_nothing(tmp_path):
    text = TEXT + "".join(f"A,{i},{i}\n" for i in np.random.default_rng(0).integers(10**9, 10**10, 200_000))
    path = written(tmp_path / "a.csv.gz", gzip.compress(text.encode(), 1)[:-2000])
    sink = MemorySink()
    with pytest.raises(DataFileError):
        ingest_files([open_candles(path, COINS)], COINS, sink, tmp_path)
    assert sink.rows == {}


def test_text_without_suffix_and_parquet_without_suffix(tmp_path):
    assert all_cells(open_candles(written(tmp_path / "text", TEXT), COINS))[1] == [1, 2]
    pq.write_table(TABLE, tmp_path / "table")
    assert all_cells(open_candles(tmp_path / "table", COINS))[0] == TABLE.to_pydict()


@settings(max_examples=20)
@given(rows=st.integers(0, 30), group=st.integers(1, 7), batch=st.integers(1, 9))
def test_parquet_comes_back_whatever_its_groups(tmp_path_factory, rows, group, batch):
    path = tmp_path_factory.mktemp("parquet") / "a.parquet"
    table = pa.table({"mint": [f"m{i}" for i in range(rows)], "close": np.arange(rows) / 7})
    pq.write_table(table, path, row_group_size=group)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_parquet_file, "_BATCH_ROWS", batch)
        cells, numbers, _ = all_cells(open_candles(path, COINS))
    assert numbers == list(range(1, rows + 1))
    assert rows == 0 or cells == table.to_pydict()


def test_a_damaged_page_is_one_clear_line_and_changes_nothing(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table({"mint": ["A"] * 5_000, "ts": np.arange(5_000), "close": np.random.default_rng(0).random(5_000)})
    pq.write_table(table, path, compression="zstd", use_dictionary=False, row_group_size=1_000)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3_000] = bytes(3_000)
    path.write_bytes(data)
    sink = MemorySink()
    with pytest.raises(DataFileError, match="damaged after") as caught:
        ingest_files([open_candles(path, COINS)], COINS, sink, tmp_path / "quarantine")
    assert "\n" not in str(caught.value)
    assert sink.rows == {}


def test_too_many_parquet_columns_are_refused_soon(tmp_path, monkeypatch):
    monkeypatch.setattr(_parquet_file, "_MOST_PARTS", 50)
    pq.write_table(pa.table({f"c{i}": [1] for i in range(60)}), tmp_path / "a.parquet")
    with pytest.raises(DataFileError, match=r"more than 50 columns\?"):
        open_candles(tmp_path / "a.parquet", COINS)


def test_fingerprints_are_of_the_content(tmp_path):
    a, b = written(tmp_path / "a.csv", TEXT), written(tmp_path / "b.csv", TEXT)
    assert open_candles(a, COINS).fingerprint() == open_candles(b, COINS).fingerprint()
    pq.write_table(TABLE, tmp_path / "c.parquet")
    assert open_candles(tmp_path / "c.parquet", COINS).fingerprint() != open_candles(a, COINS).fingerprint()
    assert TableCandles(TABLE).fingerprint() == TableCandles(TABLE).fingerprint()
    assert TableCandles(TABLE).fingerprint() != TableCandles(TABLE.slice(1)).fingerprint()
    assert not open_candles(tmp_path / "c.parquet", COINS).decimal_comma
