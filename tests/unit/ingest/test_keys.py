"""Names of coins, trimmed and validated; equal names have equal hashes."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.ingest._keys import hash_names, one_key, read_keys
from kurswerk.market.validation import Violation

NAMES = st.lists(st.one_of(st.none(), st.text(max_size=70), st.sampled_from(["A", " A", "", " "])), max_size=12)


def expected_violation(name):
    stripped = (name or "").strip()
    if not stripped:
        return Violation.KEY_MISSING
    if len(stripped) > 64:
        return Violation.KEY_TOO_LONG
    return Violation.KEY_UNREADABLE if set(stripped) & set("\x00\x1f\n\x7f\ufffd") else Violation.NONE


@given(st.lists(st.one_of(st.none(), st.text("aäß€😀 \x00\n\x1f\x7f\ufffd", max_size=70)), max_size=12))
def test_each_name_is_judged(names):
    array = pa.array(names, pa.string())
    for cells in (array, array.dictionary_encode()):
        keys = read_keys(cells)
        assert keys.violations.tolist() == [expected_violation(name) for name in names]
        assert keys.text(None).to_pylist() == [(name or "").strip() for name in names]


@given(NAMES)
def test_hashes_are_equal_exactly_where_names_are(names):
    keys = read_keys(pa.array(names, pa.string()))
    hashes, texts = keys.hashes().tolist(), keys.text(None).to_pylist()
    assert len(set(hashes)) == len(set(texts))
    assert len(set(zip(hashes, texts, strict=True))) == len(set(texts))


@given(st.lists(st.text(max_size=8), min_size=1, max_size=8))
def test_hash_of_a_slice_is_a_slice_of_hashes(names):
    array = pa.array(names, pa.string())
    assert hash_names(array.slice(1)).tolist() == hash_names(array).tolist()[1:]


def test_hashes_never_change():
    assert hash_names(pa.array(["", "BTC"])).tolist() == HASHES


def test_numbers_are_names_too():
    assert read_keys(pa.array([7, None])).text(None).to_pylist() == ["7", ""]


def test_one_key_for_all_rows():
    keys = one_key(" BTC ", 3)
    assert keys.text(None).to_pylist() == ["BTC"] * 3
    assert keys.violations.tolist() == [0, 0, 0]


# FNV-1a of "" and "BTC" through the finaliser of SplitMix64, by exact integer arithmetic.
def _by_hand(text):
    value = 0xCBF29CE484222325
    for octet in text.encode():
        value = (value ^ octet) * 0x100000001B3 % 2**64
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB % 2**64
    return value ^ (value >> 31)


HASHES = [_by_hand(""), _by_hand("BTC")]
