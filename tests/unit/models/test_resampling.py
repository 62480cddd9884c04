import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.over_sampling import SMOTE

from kurswerk.core.errors import DataError, SpecError
from kurswerk.models import resample


def fold(n=400, positive=20, f=4, patterns=3, seed=0):
    rng = np.random.default_rng(seed)
    X = (rng.standard_normal((n, f)) * 10.0 ** np.arange(f)).astype(np.float32)
    y = np.zeros(n, np.int8)
    y[rng.choice(n, positive, replace=False)] = 1
    missing = rng.integers(0, patterns, n)
    for pattern in range(1, patterns):
        X[missing == pattern, pattern % f] = np.nan
    return X, y


def keys(X):
    return [row.tobytes() for row in np.ascontiguousarray(X)]


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(10, 150),
    share=st.floats(0.01, 0.29),
    flip=st.booleans(),
    patterns=st.integers(1, 8),
    seed=st.integers(0, 999),
)
def test_property_of_resampling(n, share, flip, patterns, seed):
    positive = max(1, int(n * share))
    X, y = fold(n, positive, 8, patterns, seed)
    y = (1 - y).astype(np.int8) if flip else y
    minority = int(not flip)
    made_X, made_y = resample(X, y, seed)
    wanted = max(int(0.5 * (n - positive)), positive)
    synthetic = made_X[len(made_X) - (wanted - positive) :]
    kept = made_X[: len(made_X) - len(synthetic)]
    # The ratios.
    assert np.bincount(made_y, minlength=2)[minority] == wanted
    assert np.bincount(made_y, minlength=2)[1 - minority] == int(wanted / 0.8)
    assert (made_y[len(kept) :] == minority).all()
    # What is kept are rows of the input, in their order, the whole minority among them.
    place = {key: index for index, key in enumerate(keys(X))}
    order = [place[key] for key in keys(kept)]
    assert order == sorted(set(order))
    assert np.array_equal(y[order], made_y[: len(kept)])
    assert set(np.flatnonzero(y == minority)) <= set(order)
    # What is made has missing values as minority rows have, and lies between two of them.
    source = X[y == minority]
    known = {pattern.tobytes() for pattern in np.isnan(source)}
    for row in synthetic:
        assert np.isnan(row).tobytes() in known
        alike = source[(np.isnan(source) == np.isnan(row)).all(axis=1)][:, ~np.isnan(row)]
        value = row[~np.isnan(row)]
        assert (value >= alike.min(axis=0)).all()
        assert (value <= alike.max(axis=0)).all()
        assert on_a_segment(value, alike)


def on_a_segment(value, rows):
    """Return whether a point lies on the line between two of the rows (or on one of them)."""
    rows = rows.astype(np.float64)
    scale = np.maximum(np.abs(rows).max(axis=0), 1e-30)
    for start in rows:
        steps = rows - start
        along = np.einsum("ij,j->i", steps / scale, (value - start) / scale)
        length = np.einsum("ij,ij->i", steps / scale, steps / scale)
        part = np.clip(along / np.where(length > 0, length, 1), 0, 1)
        miss = np.abs(start + part[:, np.newaxis] * steps - value) / scale
        if (miss.max(axis=1) < 1e-5).any():
            return True
    return False


def test_without_missing_values_it_is_smote_on_scaled_columns():
    X, y = fold(patterns=1)
    scale = X[y == 1].astype(np.float64).std(axis=0)
    made_X, made_y = resample(X, y, 3)
    oracle, _ = SMOTE(sampling_strategy=0.5, k_neighbors=5, random_state=3).fit_resample(X / scale, y)
    assert np.allclose(made_X[-170:], oracle[400:] * scale, rtol=1e-4, atol=1e-4)
    assert np.bincount(made_y).tolist() == [237, 190]


def test_a_large_unit_does_not_choose_the_neighbours_alone():
    rng = np.random.default_rng(0)
    X = np.zeros((400, 2), np.float32)
    X[:, 0] = np.repeat([0, 1], 200)  # two groups far apart in a small unit
    X[:, 1] = rng.standard_normal(400) * 1e6
    y = np.zeros(400, np.int8)
    y[190:210] = 1
    synthetic = resample(X, y, 0)[0][-170:]
    assert np.isin(synthetic[:, 0], [0, 1]).mean() > 0.5


def test_a_fold_with_enough_of_both_classes_stays_as_it_is():
    X, y = fold(100, 30)
    made_X, made_y = resample(X, y, 1)
    assert np.array_equal(made_X, X, equal_nan=True)
    assert np.array_equal(made_y, y)
    assert made_y is not y
    assert len(resample(*fold(100, 29), 1)[1]) != 100


def test_the_same_seed_gives_the_same_rows_and_a_subset_is_that_subset():
    X, y = fold()
    first, again, other = resample(X, y, 5), resample(np.asfortranarray(X), y, 5), resample(X, y, 6)
    assert keys(first[0]) == keys(again[0])
    assert keys(first[0]) != keys(other[0])
    rows = np.arange(0, 400, 2)
    part, chosen = resample(X, y, 5, rows), resample(X[rows], y[rows], 5)
    assert keys(part[0]) == keys(chosen[0])
    assert np.array_equal(part[1], chosen[1])


def test_the_input_is_not_changed():
    X, y = fold()
    before = X.copy(), y.copy()
    resample(X, y, 0)
    assert np.array_equal(X, before[0], equal_nan=True)
    assert np.array_equal(y, before[1])


@pytest.mark.parametrize("alone", [1, 3])
def test_rows_without_a_like_are_repeated_and_not_invented(alone):
    X, y = np.arange(80, dtype=np.float32).reshape(20, 4), np.zeros(20, np.int8)
    y[:alone] = 1
    for row in range(alone):
        X[row, row] = np.nan
    synthetic = resample(X, y, 0)[0][-((20 - alone) // 2 - alone) :]
    assert set(keys(synthetic)) <= set(keys(X[:alone]))


def test_wholly_missing_and_huge_rows_are_no_trouble():
    X, y = fold(60, 8)
    X[y == 1] = np.nan
    X[np.flatnonzero(y == 1)[:4]] = [[np.inf, -np.inf, 1, 2]]
    made_X, _ = resample(X, y, 0)
    largest = np.finfo(np.float32).max
    assert set(keys(made_X[-18:])) == set(keys(np.array([[np.nan] * 4, [largest, -largest, 1, 2]], np.float32)))


def test_what_cannot_be_resampled_is_refused():
    X, y = fold()
    with pytest.raises(DataError, match="both classes"):
        resample(X, np.zeros_like(y), 0)
    with pytest.raises(SpecError, match="random_state is -1"):
        resample(X, y, -1)


def test_a_minority_already_at_half_the_majority_gets_no_synthetic_row():
    X, y = np.arange(4, dtype=np.float32).reshape(4, 1), np.array([0, 1, 0, 0])
    made_X, made_y = resample(X, y, 0)
    assert made_y.tolist().count(1) == made_y.tolist().count(0) == 1
    assert made_X[made_y == 1].tolist() == [[1.0]]
