"""Cells of any type to names of instruments, and names to 64-bit hashes."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kurswerk.core.jit import kernel
from kurswerk.ingest._cells import as_text
from kurswerk.market import KEY_LENGTH
from kurswerk.market.validation import Violation


@dataclass(frozen=True)
class Keys:
    """Names of the rows' instruments, dictionary-encoded.

    Attributes
    ----------
    names
        Distinct names without surrounding blanks; ``codes`` point into it, shape (n_rows,).
    violations
        `Violation` of the key, for each row, shape (n_rows,).
    """

    names: pa.Array
    codes: NDArray[np.int64]
    violations: NDArray[np.uint8]

    def text(self, rows: NDArray[np.int64] | None) -> pa.Array:
        """Return the name of each of these rows, or of all."""
        codes = self.codes if rows is None else self.codes[rows]
        return self.names.take(pa.array(codes))

    def hashes(self) -> NDArray[np.uint64]:
        """Return the 64-bit hash of each row's name, shape (n_rows,)."""
        return hash_names(self.names)[self.codes]


def read_keys(cells: pa.Array) -> Keys:
    """Read cells of any type as names of instruments."""
    if not pa.types.is_dictionary(cells.type):
        cells = as_text(cells).dictionary_encode()
    codes = cells.indices.cast(pa.int64())
    names = pc.utf8_trim_whitespace(as_text(cells.dictionary).fill_null(""))
    lengths = pc.utf8_length(names).to_numpy(zero_copy_only=False)
    # Control characters (NUL is none for PostgreSQL, a line end comes from a quote left open) and U+FFFD, as which
    # undecodable bytes were read.
    broken = pc.match_substring_regex(names, "[\\x00-\\x1f\\x7f\ufffd]")
    violations = np.zeros(len(names) + 1, dtype=np.uint8)
    violations[:-1][broken.to_numpy(zero_copy_only=False)] = Violation.KEY_UNREADABLE
    violations[:-1][lengths > KEY_LENGTH] = Violation.KEY_TOO_LONG
    violations[:-1][lengths == 0] = Violation.KEY_MISSING
    violations[-1] = Violation.KEY_MISSING
    if codes.null_count:
        names = pa.concat_arrays([names, pa.array([""])])
        codes = codes.fill_null(len(names) - 1)
    rows = codes.to_numpy(zero_copy_only=False)
    return Keys(names, rows, violations[rows])


def one_key(name: str, rows: int) -> Keys:
    """Return the keys of rows that all belong to one instrument."""
    keys = read_keys(pa.array([name]))
    return Keys(keys.names, np.zeros(rows, dtype=np.int64), np.full(rows, keys.violations[0], dtype=np.uint8))


def hash_names(names: pa.Array) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each name, shape (n_names,); the same on every machine.

    References
    ----------
    FNV-1a (G. Fowler, L. C. Noll, K.-P. Vo) over the UTF-8 bytes, finished by the mixer of SplitMix64 (S. Vigna).
    """
    names = names.cast(pa.string())
    _, offsets, data = names.buffers()
    starts = np.frombuffer(offsets, dtype=np.int32)[names.offset : names.offset + len(names) + 1]
    octets = np.frombuffer(data, dtype=np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)
    return _hash_slices(starts, octets)


@kernel
def _hash_slices(starts: NDArray[np.int32], octets: NDArray[np.uint8]) -> NDArray[np.uint64]:
    hashes = np.empty(len(starts) - 1, dtype=np.uint64)
    for i in range(len(starts) - 1):
        value = np.uint64(0xCBF29CE484222325)
        for k in range(starts[i], starts[i + 1]):
            value = (value ^ np.uint64(octets[k])) * np.uint64(0x100000001B3)
        hashes[i] = mix(value)
    return hashes


@kernel
def mix(value: np.uint64) -> np.uint64:
    """Spread the bits of a 64-bit number over all of it (finaliser of SplitMix64)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
