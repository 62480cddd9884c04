import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kurswerk.core.errors import DataError
from kurswerk.models import as_model_input
from kurswerk.models._matrix import LOWEST, NAN, check_training, count_incomplete, row_blocks, take_rows

LARGEST = np.finfo(np.float32).max


@settings(deadline=None)  # the first of each type compiles
@given(hnp.arrays(st.sampled_from([np.float64, np.float32]), hnp.array_shapes(min_dims=2, max_dims=2, min_side=0)))
def test_model_input_is_float32_finite_or_missing_in_c_order(values):
    for given_order in (values, np.asfortranarray(values)):
        taken = as_model_input(given_order)
        assert taken.dtype == np.float32
        assert taken.flags.c_contiguous
        assert np.array_equal(np.isnan(taken), np.isnan(values))
        present = ~np.isnan(values)
        with np.errstate(over="ignore"):
            rounded = values.astype(np.float32)
        assert np.array_equal(taken[present], np.clip(rounded[present], -LARGEST, LARGEST))
        assert np.array_equal(as_model_input(taken), taken, equal_nan=True)


@pytest.mark.parametrize("dtype", [np.int64, np.float16, np.int8, np.bool_])
def test_other_types_become_float32(dtype):
    assert as_model_input(np.ones((2, 3), dtype)).tolist() == [[1.0] * 3] * 2


def test_infinite_values_are_limited():
    taken = as_model_input(np.array([[np.inf, -np.inf, 1e308, -1e39, np.nan]]))
    assert taken[0, :4].tolist() == [LARGEST, -LARGEST, LARGEST, -LARGEST]
    assert as_model_input(np.array([[np.inf]], np.float16))[0, 0] == LARGEST


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("rows", [None, np.array([5, 0, 5, 2])])
def test_blocks_are_the_rows_in_order(size, rows):
    X = np.asfortranarray(np.arange(21.0).reshape(7, 3))
    joined = np.concatenate([block.copy() for block in row_blocks(X, rows, size)])
    assert np.array_equal(joined, X if rows is None else X[rows])


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros((3, 2)), np.zeros(2, int), "do not match"),
        (np.zeros(3), np.zeros(3, int), "do not match"),
        (np.zeros((0, 2)), np.zeros(0, int), "0 rows"),
        (np.zeros((3, 0)), np.array([0, 1, 0]), "0 features"),
        (np.zeros((3, 2)), np.array([0, 1, -1]), "unknown label"),
        (np.zeros((3, 2)), np.zeros(3, int), "all 3 training rows are negative"),
        (np.zeros((3, 2)), np.ones(3, int), "all 3 training rows are positive"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(X, y, message):
    with pytest.raises(DataError, match=message):
        check_training(X, y, None)


def test_only_the_chosen_rows_must_be_labelled():
    y = np.array([-1, 0, 1, -1])
    assert check_training(np.zeros((4, 1)), y, np.array([1, 2])).tolist() == [0, 1]


@pytest.mark.parametrize("rows", [[-1, 1], [0, 4]])
def test_rows_outside_are_refused(rows):
    with pytest.raises(DataError, match="there are 4 rows"):
        check_training(np.zeros((4, 1)), np.array([0, 1, 0, 1]), np.array(rows))


def test_features_must_be_a_matrix():
    with pytest.raises(DataError, match="need \\(n, f\\)"):
        as_model_input(np.zeros(3))


def test_taking_rows_is_the_same_compiled_and_not():
    X = np.array([[1.0, np.nan], [np.inf, -1e39], [2.0, 3.0]])
    plain, compiled = np.zeros((2, 2, 2), np.float32)
    take_rows.py_func(X, np.array([1, 0]), NAN, plain)
    take_rows(X, np.array([1, 0]), NAN, compiled)
    assert np.array_equal(plain, compiled, equal_nan=True)
    assert plain[0].tolist() == [LARGEST, -LARGEST]


@given(
    st.lists(st.lists(st.sampled_from([0.0, 1.5, np.nan]), min_size=2, max_size=2), min_size=1, max_size=600), st.data()
)
def test_incomplete_rows_are_counted_until_there_are_enough(cells, data):
    X = np.array(cells)
    rows = np.array(data.draw(st.lists(st.integers(0, len(X) - 1), max_size=40)), np.int64)
    real = int(np.isnan(X[rows]).any(axis=1).sum()) if len(rows) else 0
    assert count_incomplete(X, rows, len(rows)) == count_incomplete.py_func(X, rows, len(rows)) == real
    enough = data.draw(st.integers(0, 40))
    assert (count_incomplete(X, rows, enough) > enough) == (real > enough)


def test_the_lowest_value_may_stand_for_a_missing_one():
    X = np.array([[np.nan, 2.0], [-np.inf, np.nan]])
    assert as_model_input(X, LOWEST).tolist() == [[float(LOWEST), 2.0], [float(LOWEST), float(LOWEST)]]
