"""Rows of one file that share instrument and moment, found in bounded memory.

Three looks at most, since a row can be validated only when all others are known:

1. Instrument and moment of all rows, hashed to 64 bits (8 bytes a row) and sorted: which hashes stand twice? In most
   files none, and that was all.
2. Of the valid rows with such a hash: instrument, moment and a hash over all values (32 bytes a row). Where the values
   agree the first row is kept and the others are duplicates; where they do not, nobody can know which is right,
   and all of them go to quarantine.
3. The rows themselves, each with its verdict.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.jit import kernel
from kurswerk.ingest._keys import mix
from kurswerk.ingest._normalise import Normaliser, ValidatedRows
from kurswerk.ingest.ports import RawRows
from kurswerk.market.validation import Violation

Hashes = NDArray[np.uint64]
Int = NDArray[np.int64]

KEEP, DUPLICATE, CONFLICT = 0, 1, 2

Number = TypeVar("Number", np.int64, np.uint64)


class RepeatedKeys:
    """First look: collects the keys of all rows and finds which may stand twice."""

    def __init__(self) -> None:
        self._hashes: list[Hashes] = []
        self.rows = 0

    def add(self, normaliser: Normaliser, raw: RawRows) -> None:
        """Take some rows; rows without a valid key repeat nothing."""
        keys, moments, violations = normaliser.keys_of(raw)
        self.rows += len(moments)
        self._hashes.append(_hash_keys(keys.hashes(), moments)[violations == Violation.NONE])

    def repeated(self) -> Hashes:
        """Return the hashes that stand more than once, ascending; forgets the rest."""
        if not self._hashes:
            return np.empty(0, dtype=np.uint64)
        hashes = np.concatenate(self._hashes)
        self._hashes.clear()
        hashes.sort()
        return np.unique(hashes[1:][hashes[1:] == hashes[:-1]])


class Verdicts:
    """Second look: judges rows whose key may stand twice; ``repeated`` comes from the first."""

    def __init__(self, repeated: Hashes) -> None:
        self._repeated = repeated
        self._coins: list[Hashes] = []
        self._moments: list[Int] = []
        self._values: list[Hashes] = []
        self._places: list[Int] = []
        self._ordinals: Int = np.empty(0, dtype=np.int64)
        self._verdicts: NDArray[np.uint8] = np.empty(0, dtype=np.uint8)

    def add(self, validated: ValidatedRows, first: int) -> None:
        """Take rows, the first of which is row ``first`` of the file."""
        coins = validated.keys.hashes()
        hashes = _hash_keys(coins, validated.moments)
        place = np.minimum(np.searchsorted(self._repeated, hashes), len(self._repeated) - 1)
        rows = np.flatnonzero((validated.violations == Violation.NONE) & (self._repeated[place] == hashes))
        self._coins.append(coins[rows])
        self._moments.append(validated.moments[rows])
        self._values.append(_hash_values(validated.values, validated.cells, rows))
        self._places.append(first + rows)

    def decide(self) -> None:
        """Judge all rows taken."""
        coins, moments = _joined(self._coins), _joined(self._moments)
        # Stable: rows of one key stay in the order of the file.
        order = np.lexsort((moments, coins))
        verdicts = _decide(order, coins, moments, _joined(self._values))
        validated = np.flatnonzero(verdicts != KEEP)
        self._ordinals, self._verdicts = _joined(self._places)[validated], verdicts[validated]

    def of(self, first: int, count: int) -> NDArray[np.uint8]:
        """Return KEEP, DUPLICATE or CONFLICT of rows ``first`` to ``first + count``, shape (count,)."""
        verdicts = np.full(count, KEEP, dtype=np.uint8)
        start, stop = np.searchsorted(self._ordinals, [first, first + count])
        verdicts[self._ordinals[start:stop] - first] = self._verdicts[start:stop]
        return verdicts


@kernel
def _hash_keys(coins: Hashes, moments: Int) -> Hashes:
    hashes = np.empty(len(coins), dtype=np.uint64)
    for i in range(len(coins)):
        hashes[i] = mix(coins[i] ^ mix(np.uint64(moments[i]) + np.uint64(0x9E3779B97F4A7C15)))
    return hashes


@kernel
def _hash_values(values: NDArray[np.float64], cells: NDArray[np.uint8], rows: Int) -> Hashes:
    hashes = np.empty(len(rows), dtype=np.uint64)
    one = np.empty(1)
    bits = one.view(np.uint64)
    for k in range(len(rows)):
        i = rows[k]
        value = np.uint64(0)
        for c in range(values.shape[0]):
            one[0] = values[c, i] + 0.0  # one zero only
            word = np.uint64(0x7FF8DEADBEEF0000) if cells[c, i] == 1 else bits[0]
            value = mix(value ^ (word + np.uint64(c) * np.uint64(0x9E3779B97F4A7C15)))
        hashes[k] = value
    return hashes


def _joined(parts: list[NDArray[Number]]) -> NDArray[Number]:
    """Join arrays and forget them, so that they are not held twice for longer than this takes."""
    whole = np.concatenate(parts)
    parts.clear()
    return whole


@kernel
def _decide(order: Int, coins: Hashes, moments: Int, values: Hashes) -> NDArray[np.uint8]:
    """Judge rows, of which ``order`` names those of one key one after the other."""
    verdicts = np.zeros(len(order), dtype=np.uint8)
    start = 0
    while start < len(order):
        head = order[start]
        stop = start + 1
        agree = True
        while stop < len(order) and coins[order[stop]] == coins[head] and moments[order[stop]] == moments[head]:
            agree = agree and values[order[stop]] == values[head]
            stop += 1
        for k in range(start, stop):
            if not agree:
                verdicts[order[k]] = 2
            elif k > start:
                verdicts[order[k]] = 1
        start = stop
    return verdicts
