"""Different things have different hashes, equal things equal ones."""

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.core.digest import sha256_arrays, sha256_bytes, sha256_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=5))
def test_order_of_keys_does_not_matter(value):
    assert sha256_json(value) == sha256_json(dict(reversed(value.items())))


@given(st.lists(st.integers(0, 3), max_size=4), st.lists(st.integers(0, 3), max_size=4))
def test_lists_hash_alike_exactly_when_equal(a, b):
    assert (sha256_json(a) == sha256_json(b)) == (a == b)


@given(st.binary(max_size=40))
def test_bytes_are_plain_sha256(data):
    assert sha256_bytes(data) == hashlib.sha256(data).hexdigest()


def test_type_shape_place_and_text_of_arrays_count():
    zeros = np.zeros(4)
    digests = [
        sha256_arrays([zeros]),
        sha256_arrays([zeros.astype(np.float32)]),
        sha256_arrays([zeros.view(np.int64)]),
        sha256_arrays([zeros.reshape(2, 2)]),
        sha256_arrays([zeros[:2], zeros[2:]]),
        sha256_arrays([zeros], "text"),
        sha256_arrays([zeros, zeros]),
        sha256_arrays([]),
    ]
    assert len(set(digests)) == len(digests)


@given(st.lists(st.floats(), min_size=4, max_size=8))
def test_layout_in_memory_does_not_matter(values):
    array = np.array(values)
    assert sha256_arrays([array[::2]]) == sha256_arrays([array[::2].copy()])
