"""Every row of a file ends in exactly one place."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpreted import interpreted
from kurswerk.core.errors import DataFileError
from kurswerk.ingest import RawRows, UpsertCount, _duplicates, _keys, _moments, ingest_files
from kurswerk.market import COINS, Column, MarketSchema, Role
from kurswerk.sources import TableCandles, open_candles
from memory_sink import MemorySink

DATA = Path("../shared/data")
HOUR_US = 3_600_000_000

CELL = st.sampled_from(["", "1", "2", "3", "-1", "nan", "inf", "x", "2.5"])
ROW = st.fixed_dictionaries(
    {
        "symbol": st.sampled_from(["A", "B", " A ", "", None, "x" * 65, "a\x00b"]),
        "ts": st.sampled_from(["2024-01-01", "1704067200", "2024-01-01T01:00:00Z", "", None, "soon", "3000-01-01"]),
        "high": CELL,
        "low": CELL,
        "close": CELL,
        "num_buys": CELL,
    }
)


# Rows that only another with their key can condemn.
NEARLY = st.fixed_dictionaries(
    {
        "symbol": st.sampled_from(["A", " A "]),
        "ts": st.sampled_from(["2024-01-01", "1704067200", "2024-01-01T01:00:00Z"]),
        "high": st.just("3"),
        "low": st.sampled_from(["1", "1.0"]),
        "close": st.sampled_from(["2", "2", "2", "2", "2", "2", ""]),
        "num_buys": st.just(""),
    }
)
ROWS = st.one_of(st.lists(st.one_of(ROW, NEARLY), max_size=25), st.lists(NEARLY, max_size=9))


def table_of(rows):
    return pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in ROW_NAMES})


ROW_NAMES = ("symbol", "ts", "high", "low", "close", "num_buys")
TIMES = {"2024-01-01": 0, "1704067200": 0, "2024-01-01T01:00:00Z": HOUR_US}


def valid(row):
    """Decide in plain Python whether a row keeps all rules but the one about duplicates; return its key and values."""
    key = (row["symbol"] or "").strip()
    if not key or len(key) > 64 or "\x00" in key or row["ts"] not in TIMES:
        return None
    values = {}
    for name in ROW_NAMES[2:]:
        text = row[name]
        if text == "x":
            return None
        values[name] = float(text) if text else None
        if text and (not math.isfinite(values[name]) or values[name] < 0):
            return None
    if values["num_buys"] == 2.5:
        return None
    low = values["low"] if values["low"] is not None else -math.inf
    high = values["high"] if values["high"] is not None else math.inf
    close = values["close"] if values["close"] is not None else max(low, 0.0)
    return ((key, TIMES[row["ts"]]), tuple(values.values())) if low <= high and low <= close <= high else None


def expected(rows):
    """Return (accepted, duplicates, quarantined) numbers of rows, from 1."""
    valid_rows = [valid(row) for row in rows]
    values = {}
    for found in valid_rows:
        if found:
            values.setdefault(found[0], set()).add(found[1])
    accepted, duplicates, quarantined, seen = [], [], [], set()
    for number, found in enumerate(valid_rows, start=1):
        if found is None or len(values[found[0]]) > 1:
            quarantined.append(number)
        elif found[0] in seen:
            duplicates.append(number)
        else:
            seen.add(found[0])
            accepted.append(number)
    return accepted, duplicates, quarantined


@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_every_row_is_accepted_or_quarantined_or_a_duplicate(tmp_path_factory, rows):
    sink, directory = MemorySink(), tmp_path_factory.mktemp("quarantine")
    file = ingest_files([TableCandles(table_of(rows))], COINS, sink, directory).files[0]
    accepted, duplicates, quarantined = expected(rows)
    assert (file.rows_read, file.accepted, file.duplicates) == (len(rows), len(accepted), len(duplicates))
    assert sum(file.quarantined.values()) == len(quarantined)
    assert len(sink.rows) == len(accepted)
    assert file.stored == UpsertCount(len(accepted), 0, 0)
    if quarantined:
        kept = pq.read_table(file.quarantine).to_pylist()
        assert [row["row"] for row in kept] == quarantined
        assert Counter(row["reason"] for row in kept) == file.quarantined
        for row in kept:
            assert {name: row[name] for name in ROW_NAMES} == rows[row["row"] - 1]
    else:
        assert file.quarantine is None
        assert list(directory.iterdir()) == []


@settings(max_examples=15, deadline=None)
@given(rows=ROWS)
def test_interpreted_kernels_sort_rows_alike(tmp_path_factory, rows):
    directory = tmp_path_factory.mktemp("quarantine")
    valid_row = {"symbol": "A", "ts": "2024-01-01", "high": "2", "low": "1", "close": "1", "num_buys": ""}
    twice = [{**valid_row, "symbol": "B", "ts": "1704067200", "low": ""}] * 2
    source = TableCandles(table_of([*rows, valid_row, valid_row, {**valid_row, "close": ""}, *twice, *rows]))
    compiled, plain = MemorySink(), MemorySink()
    first = ingest_files([source], COINS, compiled, directory)
    with interpreted(_duplicates, _keys, _moments):
        assert ingest_files([source], COINS, plain, directory) == first
    assert compiled.rows == plain.rows


@settings(max_examples=20, deadline=None)
@given(rows=ROWS)
def test_the_same_file_twice_changes_nothing(tmp_path_factory, rows):
    sink, directory = MemorySink(), tmp_path_factory.mktemp("quarantine")
    first = ingest_files([TableCandles(table_of(rows))], COINS, sink, directory)
    before, files = dict(sink.rows), {path.name: path.read_bytes() for path in directory.iterdir()}
    second = ingest_files([TableCandles(table_of(rows))], COINS, sink, directory)
    assert sink.rows == before
    assert second.stored == UpsertCount(0, 0, first.accepted)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == files


@settings(max_examples=20, deadline=None)
@given(rows=ROWS, size=st.integers(1, 5))
def test_batches_of_the_source_do_not_matter(tmp_path_factory, rows, size):
    directory = tmp_path_factory.mktemp("quarantine")
    whole, parts = MemorySink(), MemorySink()
    table = table_of(rows)
    chunked = pa.Table.from_batches(table.to_batches(max_chunksize=size), schema=table.schema)
    a = ingest_files([TableCandles(table)], COINS, whole, directory).files[0]
    b = ingest_files([TableCandles(chunked)], COINS, parts, directory).files[0]
    assert whole.rows == parts.rows
    assert (a.rows_read, a.quarantined, a.duplicates) == (b.rows_read, b.quarantined, b.duplicates)


def candles(**columns):
    base = {"mint": ["A", "B"], "timestamp": [1_704_067_200, 1_704_067_260], "close": [1.0, 2.0]}
    return TableCandles(pa.table({**base, **columns}), "candles")


def test_kinds_of_columns_and_missing_values(tmp_path):
    sink = MemorySink()
    source = candles(
        num_buys=pa.array([3.0, None]), is_koth=["yes", None], volume=pa.array([None, 5], pa.int32()), remark=["", ""]
    )
    summary = ingest_files([source], COINS, sink, tmp_path)
    assert sink.rows == {
        ("A", 1_704_067_200_000_000): {"price_close": 1.0, "num_buys": 3, "is_koth": True, "volume_sol": None},
        ("B", 1_704_067_260_000_000): {"price_close": 2.0, "num_buys": None, "is_koth": None, "volume_sol": 5.0},
    }
    assert summary.files[0].ignored == ("remark",)
    assert summary.files[0].mapped["volume"] == "volume_sol"


def test_a_flag_that_is_no_flag_is_unreadable(tmp_path):
    summary = ingest_files([candles(is_koth=[2, 1])], COINS, MemorySink(), tmp_path)
    assert summary.files[0].quarantined == {"is_koth is unreadable": 1}


def test_numbers_that_are_not_finite_are_not_missing(tmp_path):
    source = candles(close=pa.array([np.nan, None], from_pandas=False))
    summary = ingest_files([source], COINS, MemorySink(), tmp_path)
    assert (summary.accepted, summary.quarantined) == (1, 1)
    assert summary.files[0].quarantined == {"price_close is not finite": 1}


def test_a_given_mint_names_all_rows(tmp_path):
    table = pa.table({"date": ["2024-01-01", "2024-01-02"], "close": [1.0, 2.0]})
    sink = MemorySink()
    ingest_files([TableCandles(table)], COINS, sink, tmp_path, instrument=" BTC ")
    assert {mint for mint, _ in sink.rows} == {"BTC"}
    summary = ingest_files([TableCandles(table)], COINS, MemorySink(), tmp_path, instrument="x" * 65)
    assert summary.files[0].quarantined == {"key is longer than 64 characters": 2}


@pytest.mark.parametrize(
    ("table", "mint", "message"),
    [
        ({"date": ["x"], "close": [1]}, None, "name it with --mint"),
        ({"mint": ["A"], "date": ["x"], "close": [1]}, "B", "leave --mint 'B' away"),
        ({"mint": ["A"], "close": [1]}, None, "no column for the time"),
        ({"mint": ["A"], "date": ["x"], "remark": [1]}, None, "no column of the market 'coins'"),
        ({f"c{i}": [1] for i in range(10_001)}, None, "10001 columns, at most 10000"),
        ({f"c{i}": [1] for i in range(30)}, None, "c11, …"),
        ({"mint": ["A"], "date": [[1]], "close": [1]}, None, "'date' holds list<"),
        ({"mint": ["A"], "date": ["2024-01-01"], "close": [[1]]}, None, "'close' holds list<"),
    ],
)
def test_unusable_files_are_one_clear_line(tmp_path, table, mint, message):
    sink = MemorySink()
    with pytest.raises(DataFileError, match=message) as caught:
        ingest_files([TableCandles(pa.table(table))], COINS, sink, tmp_path, instrument=mint)
    assert "\n" not in str(caught.value)
    assert sink.rows == {}
    assert list(tmp_path.iterdir()) == []


def test_a_column_that_stands_twice_is_refused(tmp_path):
    table = pa.Table.from_arrays([pa.array(["A"]), pa.array([1]), pa.array([1.0]), pa.array([2.0])], names=list("mtcc"))
    table = table.rename_columns(["mint", "ts", "close", "close"])
    with pytest.raises(DataFileError, match="column 'close' stands twice"):
        ingest_files([TableCandles(table)], COINS, MemorySink(), tmp_path)


@pytest.mark.parametrize(
    ("closes", "stored", "duplicates", "conflicts"),
    [
        ([1.0, 1.0, 1.0], [1.0], 2, 0),
        ([1.0, 2.0], [], 0, 2),
        ([1.0, 2.0, 1.0], [], 0, 3),
        ([1.0, None], [], 0, 2),
        ([None, None], [None], 1, 0),
        ([0.0, -0.0], [0.0], 1, 0),
        ([1.0, -1.0], [1.0], 0, 0),
    ],
)
def test_rows_of_one_key(tmp_path, closes, stored, duplicates, conflicts):
    """The first of equal rows stays; of rows that differ none; a row that breaks a rule differs from nothing."""
    sink = MemorySink()
    table = pa.table({"mint": ["A"] * len(closes), "ts": [1] * len(closes), "close": pa.array(closes, pa.float64())})
    other = pa.table({"mint": ["A", "B"], "ts": [2, 1], "close": [7.0, 8.0]})
    file = ingest_files([TableCandles(pa.concat_tables([other, table]))], COINS, sink, tmp_path).files[0]
    assert [row["price_close"] for key, row in sink.rows.items() if key == ("A", 1_000_000)] == stored
    assert file.duplicates == duplicates
    assert file.quarantined.get("key and timestamp stand twice with different values", 0) == conflicts
    assert sink.rows.keys() >= {("A", 2_000_000), ("B", 1_000_000)}


class BreaksAfter(TableCandles):
    """Fails when its rows are read for the given time, or then has fewer of them."""

    def __init__(self, table, at, *, shorter=False):
        super().__init__(table)
        self.at, self.shorter, self.reads = at, shorter, 0

    def rows(self, columns):
        self.reads += 1
        for raw in super().rows(columns):
            if self.reads == self.at and self.shorter:
                yield RawRows(raw.cells.slice(1), raw.numbers[1:])
            else:
                yield raw
        if self.reads == self.at and not self.shorter:
            raise DataFileError("broken")


def some_rows():
    return pa.table({"mint": ["A", "", "B"], "ts": [1, 2, 3], "close": [1.0, 2.0, 3.0]})


@pytest.mark.parametrize("at", [1, 2])
def test_a_file_that_breaks_leaves_nothing_behind(tmp_path, at):
    sink = MemorySink()
    with pytest.raises(DataFileError, match="broken"):
        ingest_files([BreaksAfter(some_rows(), at)], COINS, sink, tmp_path)
    assert sink.rows == {}
    assert list(tmp_path.iterdir()) == []


def test_all_files_are_looked_at_before_the_first_is_stored(tmp_path):
    sink = MemorySink()
    with pytest.raises(DataFileError, match="broken"):
        ingest_files([TableCandles(some_rows()), BreaksAfter(some_rows(), 1)], COINS, sink, tmp_path)
    assert sink.calls == 0


def test_a_file_that_changes_meanwhile_is_refused(tmp_path):
    sink = MemorySink()
    with pytest.raises(DataFileError, match=r"changed while it was read \(3 rows, then 2\)"):
        ingest_files([BreaksAfter(some_rows(), 2, shorter=True)], COINS, sink, tmp_path)
    assert sink.rows == {}


def test_a_quarantine_that_cannot_be_written_stops_the_file(tmp_path):
    (tmp_path / "file").write_text("")
    sink = MemorySink()
    with pytest.raises(DataFileError, match=r"quarantine .* cannot be written"):
        ingest_files([TableCandles(some_rows())], COINS, sink, tmp_path / "file")
    assert sink.rows == {}


def test_summary_adds_up_over_files(tmp_path):
    sink, steps = MemorySink(), []
    first = TableCandles(some_rows(), "first")
    second = TableCandles(pa.table({"mint": ["A", "A", "C"], "ts": [1, 1, 1], "close": [1.5, 1.5, 3.0]}), "second")
    summary = ingest_files([first, second], COINS, sink, tmp_path, progress=steps.append)
    assert (summary.rows_read, summary.accepted, summary.duplicates, summary.quarantined) == (6, 4, 1, 1)
    assert summary.stored == UpsertCount(3, 1, 0)
    assert [(step.file, step.step) for step in steps] == [
        ("first", "look"),
        ("second", "look"),
        ("first", "store"),
        ("second", "store"),
    ]
    assert steps[-1].fraction == 1.0


def test_no_rows_at_all(tmp_path):
    summary = ingest_files([TableCandles(some_rows().slice(0, 0))], COINS, MemorySink(), tmp_path)
    assert (summary.rows_read, summary.accepted) == (0, 0)


def test_a_corrected_quarantine_can_be_ingested(tmp_path):
    sink = MemorySink()
    path = ingest_files([TableCandles(some_rows())], COINS, sink, tmp_path).files[0].quarantine
    table = pq.read_table(path)
    corrected = table.set_column(table.column_names.index("mint"), "mint", pa.array(["M"]))
    pq.write_table(corrected, path)
    assert ingest_files([open_candles(path, COINS)], COINS, sink, tmp_path).accepted == 1
    assert sink.rows[("M", 2_000_000)] == {"price_close": 2.0}


@pytest.mark.skipif(not DATA.exists(), reason="../shared/data is absent")
def test_real_bars_are_accepted_whole(tmp_path):
    class Counting:
        def upsert(self, batches):
            return UpsertCount(sum(batch.num_rows for batch in batches))

    source = open_candles(DATA / "crypto_5m_16_pairs_2024.parquet", COINS)
    summary = ingest_files([source], COINS, Counting(), tmp_path)
    assert (summary.rows_read, summary.accepted, summary.quarantined) == (923_030, 923_030, 0)


@pytest.mark.skipif(not DATA.exists(), reason="../shared/data is absent")
@pytest.mark.parametrize(
    ("name", "options", "accepted", "quarantined"),
    [
        ("quotes.csv", {}, 502, 0),
        ("quotes_bad.csv", {}, 0, 502),
        ("quotes_bad.csv", {"date_format": "%m/%d/%Y"}, 439, 63),
        ("quotes_zeros.csv", {"date_format": "%m/%d/%y"}, 200, 0),
    ],
)
def test_hostile_quotes_lose_no_row(tmp_path, name, options, accepted, quarantined):
    summary = ingest_files(
        [open_candles(DATA / "indicators" / name, COINS)], COINS, MemorySink(), tmp_path, instrument="Q", **options
    )
    assert (summary.accepted, summary.quarantined) == (accepted, quarantined)


@pytest.mark.skipif(not DATA.exists(), reason="../shared/data is absent")
def test_violations_in_daily_stocks_are_found(tmp_path):
    table = pq.read_table(DATA / "stocks_daily_505_2013_2018.parquet")
    low, high, close, opened = (table[name].to_numpy() for name in ("low", "high", "close", "open"))
    broken = (low > high) | (close < low) | (close > high) | (opened < low) | (opened > high)
    table = table.filter(pa.array(broken | (np.arange(len(broken)) % 50 == 0)))
    summary = ingest_files([TableCandles(table)], COINS, MemorySink(), tmp_path)
    assert summary.quarantined == int(broken.sum()) == 12


BARS = MarketSchema(
    name="bars",
    table="bars",
    key="symbol",
    timestamp="time",
    columns={
        **dict.fromkeys(("high", "low", "close"), Column()),
        "change": Column(signed=True),
        "share": Column(maximum=1),
    },
    roles={Role.HIGH: "high", Role.LOW: "low", Role.CLOSE: "close"},
)


def test_a_market_declares_its_columns_and_its_rules(tmp_path):
    table = pa.table(
        {
            "Ticker": ["A", "A", "A", "A"],
            "Date": ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"],
            "High": [2.0, 2.0, 1.0, 2.0],
            "Low": [1.0, 1.0, 2.0, 1.0],
            "Close": [1.5, 3.0, 1.0, 1.5],
            "Change": [-1.0, 0.0, 0.0, 0.0],
            "Share": [1.0, 1.0, 1.0, 1.5],
        }
    )
    sink = MemorySink()
    file = ingest_files([TableCandles(table)], BARS, sink, tmp_path).files[0]
    assert file.mapped == {"Ticker": "symbol", "Date": "time"} | {name.title(): name for name in BARS.columns}
    assert file.accepted == 1
    assert file.quarantined == {"close is outside low to high": 1, "high is below low": 1, "share is out of range": 1}
