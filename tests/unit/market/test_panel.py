"""A panel holds exactly the rows it was given, sorted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.core.errors import DataError, UnknownNameError
from kurswerk.market import Panel

KEYS = st.sampled_from(["b", "a", "Z", "ä", "aa", ""])
ROWS = st.lists(
    st.tuples(KEYS, st.integers(-5, 40), st.floats(width=64)), max_size=40, unique_by=lambda row: (row[0], row[1])
)


def panel_of(rows):
    keys = [key for key, _, _ in rows]
    times = np.array([time for _, time, _ in rows], dtype=np.int64)
    return Panel.from_columns(keys, times, {"x": np.array([x for _, _, x in rows], dtype=np.float64)})


def rows_in(panel):
    names = [panel.instruments[code] for code in panel.codes]
    return list(zip(names, panel.timestamps.tolist(), panel.column("x").tolist(), strict=True))


def bits(rows):
    return [(key, time, np.float64(x).tobytes() if x == x else b"nan") for key, time, x in rows]


@given(ROWS)
def test_holds_the_rows_sorted(rows):
    panel = panel_of(rows)
    assert bits(rows_in(panel)) == bits(sorted(rows, key=lambda row: row[:2]))
    assert len(panel) == len(rows)
    assert panel.offsets[0] == 0
    assert panel.offsets[-1] == len(rows)
    assert (np.diff(panel.offsets) > 0).all()
    assert panel.values.flags.c_contiguous


@given(ROWS, st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert panel_of(shuffled).fingerprint() == panel_of(rows).fingerprint()


@given(ROWS)
def test_rows_by_codes_and_by_names_make_the_same_panel(rows):
    names = ["ä", "Z", "b", "a", "unused", "aa", ""]
    codes = np.array([names.index(key) for key, _, _ in rows], dtype=np.int64)
    times = np.array([time for _, time, _ in rows], dtype=np.int64)
    panel = Panel.from_codes(names, codes, times, {"x": np.array([x for _, _, x in rows], dtype=np.float64)})
    assert panel.fingerprint() == panel_of(rows).fingerprint()


@given(ROWS, st.data())
def test_where_keeps_exactly_the_masked_rows(rows, data):
    panel = panel_of(rows)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))), dtype=np.bool_)
    kept = panel.where(mask)
    assert bits(rows_in(kept)) == bits([row for row, keep in zip(rows_in(panel), mask, strict=True) if keep])
    assert kept.fingerprint() == panel_of(rows_in(kept)).fingerprint()


@given(ROWS, st.integers(-6, 41))
def test_until_is_inclusive(rows, end):
    assert bits(rows_in(panel_of(rows).until(end))) == bits(
        sorted(row for row in rows_in(panel_of(rows)) if row[1] <= end)
    )


@given(ROWS.filter(len))
def test_rows_of_finds_each_instrument(rows):
    panel = panel_of(rows)
    for name in panel.instruments:
        where = panel.rows_of(name)
        assert {panel.instruments[code] for code in panel.codes[where]} == {name}
        assert where.stop - where.start == sum(key == name for key, _, _ in rows)


@given(ROWS.filter(len), st.data())
def test_any_change_changes_the_fingerprint(rows, data):
    place = data.draw(st.integers(0, len(rows) - 1))
    key, time, x = rows[place]
    changed = [*rows[:place], (key, time, 0.5 if x != 0.5 else 0.25), *rows[place + 1 :]]
    assert panel_of(changed).fingerprint() != panel_of(rows).fingerprint()


def test_column_is_a_view():
    panel = panel_of([("a", 1, 1.0), ("a", 2, 2.0)])
    assert np.shares_memory(panel.column("x"), panel.values)


def test_refuses_a_key_that_stands_twice():
    with pytest.raises(DataError, match=r"1 row stands twice: 'a' at 1970-01-01T00:00:00.000001Z"):
        panel_of([("b", 1, 0.0), ("a", 1, 0.0), ("a", 1, 1.0)])


def test_same_time_in_two_instruments_is_no_duplicate():
    assert len(panel_of([("a", 1, 0.0), ("b", 1, 0.0)])) == 2


def test_refuses_lengths_that_differ():
    with pytest.raises(DataError, match="'x' has 1 rows where the timestamps have 2"):
        Panel.from_columns(["a", "a"], np.array([1, 2]), {"x": np.array([1.0])})


@pytest.mark.parametrize("columns", [{}, {"x": np.array([1.0])}])
def test_refuses_keys_of_another_length(columns):
    with pytest.raises(DataError, match="2 keys where the timestamps have 1"):
        Panel.from_columns(["a", "a"], np.array([1]), columns)


def test_refuses_an_instrument_named_twice():
    with pytest.raises(DataError, match="2 names, of which 1 differ"):
        Panel.from_codes(["a", "a"], np.array([0, 1]), np.array([1, 1]), {})


def test_unknown_names_are_named():
    panel = panel_of([("a", 1, 0.0)])
    with pytest.raises(UnknownNameError, match="unknown column 'y'"):
        panel.column("y")
    with pytest.raises(UnknownNameError, match="unknown coin 'c'"):
        panel.rows_of("c")
