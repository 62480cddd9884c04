"""How a text file is written is recognised from its beginning."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.core.errors import DataFileError
from kurswerk.market import COINS
from kurswerk.sources._dialect import read_dialect

HEADER = ["symbol", "date", "open", "close", "remark"]


@given(
    st.permutations(HEADER),
    st.sampled_from([",", ";", "\t", "|"]),
    st.integers(0, 4),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_separator_header_and_quotes_are_found(names, separator, above, quoting):
    out = io.StringIO("https://example.org, where; this|comes from\n" * above)
    out.seek(0, io.SEEK_END)
    csv.writer(out, delimiter=separator, quoting=quoting).writerow(names)
    dialect = read_dialect("a.csv", out.getvalue().replace("\r\n", "\n"), COINS)
    assert (dialect.separator, dialect.header_line, list(dialect.column_names)) == (separator, above, names)
    assert not dialect.decimal_comma


@pytest.mark.parametrize(
    ("rows", "comma"),
    [("2024-01-01;1,5\n", True), ("2024-01-01;1.5\n", False), ("2024-01-01;15\n", False), ("2024-01-01;1,5", False)],
)
def test_decimal_comma_is_found_in_whole_lines(rows, comma):
    assert read_dialect("a.csv", "date;close\n" + rows, COINS).decimal_comma is comma


def test_a_comma_that_separates_is_no_decimal_comma():
    assert not read_dialect("a.csv", 'date,close\n2024-01-01,"1,5"\n', COINS).decimal_comma


def test_nameless_columns_are_named_after_their_place():
    assert read_dialect("a.csv", ",date,close\n", COINS).column_names == ("column_1", "date", "close")


@pytest.mark.parametrize("head", ["1,2,3\n4,5,6\n", "just text\n", "date\n2024\n", "open,close\n"])
def test_no_header_is_one_clear_line(head):
    with pytest.raises(DataFileError, match=r"a.csv: no header with a column for the time .* found: '"):
        read_dialect("a.csv", head, COINS)


def test_a_million_columns_are_refused():
    with pytest.raises(DataFileError, match="1000000 columns, at most 10000"):
        read_dialect("a.csv", ",".join(["c"] * 1_000_000) + "\n", COINS)


def test_a_cell_no_reader_takes_is_no_header():
    with pytest.raises(DataFileError, match="no header"):
        read_dialect("a.csv", "date,close" + "x" * 200_000 + ",y\n", COINS)
