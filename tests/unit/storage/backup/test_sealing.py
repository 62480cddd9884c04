"""Compression, encryption and counting of rows, against what shares no code with them."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurswerk.core.errors import BackupError, InvalidInputError
from kurswerk.storage.backup._sealing import Cipher, pack, unpack
from kurswerk.storage.backup._table_copy import rows_in

CIPHER = Cipher.of("the operator's own key", b"salt" * 4)
FIELDS = st.lists(st.none() | st.binary(max_size=20), max_size=5)


def copied(rows: list[list[bytes | None]]) -> bytes:
    """Write rows as PostgreSQL's manual describes binary COPY."""
    data = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
    for fields in rows:
        data += struct.pack("!h", len(fields))
        for value in fields:
            data += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    return data + struct.pack("!h", -1)


@given(st.lists(FIELDS, max_size=20), st.data())
def test_rows_are_counted_and_a_piece_that_ends_early_is_noticed(rows, data):
    whole = copied(rows)
    assert rows_in(whole, "binary") == len(rows)
    assert rows_in(whole + b"\0", "binary") == -1
    assert rows_in(whole[: data.draw(st.integers(0, len(whole) - 1))], "binary") == -1


@given(st.binary(max_size=3000), st.booleans(), st.data())
def test_data_come_back_and_a_change_is_noticed(raw, encrypted, data):
    cipher = CIPHER if encrypted else None
    stored = pack(raw, "id:1", cipher)
    assert unpack(stored, "id:1", cipher, len(raw)) == raw
    if encrypted:
        at = data.draw(st.integers(0, len(stored) - 1))
        changed = stored[:at] + bytes([stored[at] ^ 1]) + stored[at + 1 :]
        for bad, place in ((changed, "id:1"), (stored, "id:2"), (stored[:-1], "id:1"), (stored + b"\0", "id:1")):
            with pytest.raises(ValueError, match="authentic"):
                unpack(bad, place, cipher, len(raw))


def test_each_encryption_is_another_one():
    assert pack(b"same", "p", CIPHER) != pack(b"same", "p", CIPHER)
    assert Cipher.of("the operator's own key").key != CIPHER.key


def test_a_wrong_or_missing_key_is_named():
    for secret, text in ((None, "--key-file"), ("another key, long enough", "not the one")):
        with pytest.raises(BackupError, match=text):
            Cipher.matching(secret, CIPHER.header, "b")
    assert Cipher.matching("the operator's own key", CIPHER.header, "b") == CIPHER
    assert Cipher.matching("any", None, "b") is None
    for header in ({}, {"salt": "xyz"}, {"salt": "00" * 16}):
        with pytest.raises(BackupError):
            Cipher.matching("the operator's own key", header, "b")
    with pytest.raises(InvalidInputError, match="openssl"):
        Cipher.of("fifteen letters")
