import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpreted import interpreted
from kurswerk.storage.markets import _load as loading

KEYS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), max_size=30)


def order_of(keys: list[tuple[int, int]]) -> list[int]:
    codes = np.array([code for code, _ in keys], dtype=np.int32)
    times = np.array([time for _, time in keys], dtype=np.int64)
    return loading.arrange(codes, times, 5).tolist()


@given(keys=KEYS)
def test_rows_are_put_in_the_order_of_coin_and_time(keys: list[tuple[int, int]]):
    order = order_of(keys)
    # Python's sort is stable too: rows with one key stay in the order they came.
    assert order == sorted(range(len(keys)), key=lambda i: keys[i])
    with interpreted(loading):
        assert order_of(keys) == order


@given(hashes=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=8, unique=True), data=st.data())
def test_hashes_become_codes(hashes: list[int], data: st.DataObject):
    known = np.array(sorted(hashes), dtype=np.int64)
    codes = np.array(data.draw(st.permutations(range(len(hashes)))), dtype=np.int64)
    rows = data.draw(st.lists(st.sampled_from(hashes), max_size=20))
    expected = [int(codes[known.tolist().index(value)]) for value in rows]
    for encode in (loading.encode, loading.encode.py_func):  # type: ignore[attr-defined]
        out = np.empty(len(rows), dtype=np.int32)
        encode(np.array(rows, dtype=np.int64), known, codes, out)
        assert out.tolist() == expected


@pytest.mark.parametrize(
    ("values", "text"),
    [([], "{}"), (["a"], '{"a"}'), (["a,b", "{}", 'q"\\'], '{"a,b","{}","q\\"\\\\"}'), (["nul\0", "x"], '{"x"}')],
)
def test_arrays_are_written_as_postgresql_reads_them(values: list[str], text: str):
    assert loading.array_text(values) == text
