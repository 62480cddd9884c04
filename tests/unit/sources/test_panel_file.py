"""Parquet files as panels: any order in, the same order out; what is no such file is refused in one line."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.core.errors import DataError, DataFileError
from kurswerk.market import COINS
from kurswerk.sources.panel_file import read_panel, write_features


def write(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


def moments(*values):
    return pa.array(values, pa.timestamp("us", "UTC"))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 50)), min_size=1, max_size=40, unique=True), st.data())
def test_features_come_back_in_the_order_of_the_file(tmp_path_factory, keys, data):
    folder = tmp_path_factory.mktemp("panel")
    values = data.draw(st.lists(st.floats(-1e9, 1e9), min_size=len(keys), max_size=len(keys)))
    path = write(
        folder / "in.parquet",
        symbol=[key for key, _ in keys],
        ts=moments(*(moment for _, moment in keys)),
        close=values,
    )
    file = read_panel(path, COINS)
    assert list(file.panel.timestamps[: file.panel.offsets[1]]) == sorted(
        moment for key, moment in keys if key == file.panel.instruments[0]
    )
    write_features(folder / "out.parquet", file, ["copy"], file.panel.column("price_close")[:, None])
    back = pq.read_table(folder / "out.parquet")
    assert back.column_names == ["symbol", "ts", "copy"]
    assert back.column("copy").to_pylist() == values
    assert back.column("symbol").to_pylist() == [key for key, _ in keys]


def test_missing_numbers_are_nan_and_integers_and_booleans_are_numbers(tmp_path):
    path = write(
        tmp_path / "in.parquet",
        mint=["a", "a"],
        timestamp=moments(1, 2),
        close=[1.5, None],
        num_buys=[1, None],
        is_koth=[True, False],
    )
    panel = read_panel(path, COINS).panel
    np.testing.assert_array_equal(panel.column("price_close"), [1.5, np.nan])
    np.testing.assert_array_equal(panel.column("num_buys"), [1, np.nan])
    np.testing.assert_array_equal(panel.column("is_koth"), [1, 0])


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"timestamp": moments(1)}, DataFileError, "no column mint or symbol"),
        ({"mint": ["a"]}, DataFileError, "no column timestamp or date"),
        ({"mint": ["a"], "timestamp": ["2024"]}, DataError, "write it as a timestamp"),
        ({"mint": [None], "timestamp": moments(1)}, DataError, "1 empty cell;"),
        ({"mint": ["a"], "timestamp": moments(None)}, DataError, "1 row has no time"),
        ({"mint": ["a"], "timestamp": moments(1), "close": ["x"]}, DataError, "needs numbers"),
        ({"mint": ["a", "a"], "timestamp": moments(1, 1)}, DataError, "1 row stands twice"),
    ],
)
def test_what_makes_no_panel_is_refused(tmp_path, columns, error, message):
    path = write(tmp_path / "in.parquet", **columns)
    with pytest.raises(error, match=message):
        read_panel(path, COINS)


def test_what_is_no_parquet_is_refused(tmp_path):
    junk = tmp_path / "junk.parquet"
    junk.write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(DataFileError, match="no readable Parquet"):
        read_panel(junk, COINS)
    with pytest.raises(DataFileError, match="does not exist"):
        read_panel(tmp_path / "absent.parquet", COINS)
    wide = write(tmp_path / "wide.parquet", **{f"c{i}": [1.0] for i in range(10_001)})
    with pytest.raises(DataFileError, match="10,001 columns"):
        read_panel(wide, COINS)


def test_an_empty_file_is_an_empty_panel(tmp_path):
    path = write(tmp_path / "in.parquet", mint=pa.array([], pa.string()), timestamp=moments(), close=pa.array([], "f8"))
    assert len(read_panel(path, COINS).panel) == 0
