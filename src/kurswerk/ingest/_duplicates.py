"""Rows of one file that share coin and moment, found in bounded memory.

Three looks at most, since a row can be judged only when all others are known:

1. Coin and moment of all rows, hashed to 64 bits (8 bytes a row) and sorted: which hashes stand twice? In most files
   none, and that was all.
2. Of the lawful rows with such a hash: coin, moment and a hash over all values (32 bytes a row). Where the values agree
   the first row is kept and the others are duplicates; where they do not, nobody can tell which is right, and
   all of them go to quarantine.
3. The rows themselves, each with its verdict.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.jit import kernel
from kurswerk.ingest._keys import mix
from kurswerk.ingest._normalise import Judged, Normaliser
from kurswerk.ingest.ports import RawRows
from kurswerk.market.validation import Law

Hashes = NDArray[np.uint64]
Int = NDArray[np.int64]

KEEP, DUPLICATE, CONFLICT = 0, 1, 2
_CANDIDATE = np.dtype([("coin", np.uint64), ("moment", np.int64), ("values", np.uint64), ("ordinal", np.int64)])


class RepeatedKeys:
    """First look: collects the keys of all rows and tells which may stand twice."""

    def __init__(self) -> None:
        self._hashes: list[Hashes] = []
        self.rows = 0

    def add(self, normaliser: Normaliser, raw: RawRows) -> None:
        """Take some rows; rows without a lawful key repeat nothing."""
        keys, moments, laws = normaliser.keys_of(raw)
        self.rows += len(moments)
        self._hashes.append(_hash_keys(keys.hashes(), moments)[laws == Law.OBEYED])

    def repeated(self) -> Hashes:
        """Return the hashes that stand more than once, ascending; forgets the rest."""
        if not self._hashes:
            return np.empty(0, dtype=np.uint64)
        hashes = np.concatenate(self._hashes)
        self._hashes.clear()
        hashes.sort()
        return np.unique(hashes[1:][hashes[1:] == hashes[:-1]])


@dataclass
class Verdicts:
    """Second look: judges rows whose key may stand twice; ``repeated`` comes from the first."""

    repeated: Hashes
    _found: list[NDArray[np.void]] = field(default_factory=list)
    _ordinals: Int = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    _verdicts: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, dtype=np.uint8))

    def add(self, judged: Judged, first: int) -> None:
        """Take rows, the first of which is row ``first`` of the file."""
        coins = judged.keys.hashes()
        hashes = _hash_keys(coins, judged.moments)
        place = np.minimum(np.searchsorted(self.repeated, hashes), len(self.repeated) - 1)
        rows = np.flatnonzero((judged.laws == Law.OBEYED) & (self.repeated[place] == hashes))
        candidates = np.empty(len(rows), dtype=_CANDIDATE)
        candidates["coin"], candidates["moment"] = coins[rows], judged.moments[rows]
        candidates["values"] = _hash_values(judged.values, judged.cells, rows)
        candidates["ordinal"] = first + rows
        self._found.append(candidates)

    def decide(self) -> None:
        """Judge all rows taken."""
        found = np.concatenate(self._found)
        self._found.clear()
        order = np.lexsort((found["ordinal"], found["moment"], found["coin"]))
        verdicts = _decide(found["coin"][order], found["moment"][order], found["values"][order])
        ordinals = found["ordinal"][order]
        judged = np.flatnonzero(verdicts != KEEP)
        ascending = judged[np.argsort(ordinals[judged])]
        self._ordinals, self._verdicts = ordinals[ascending], verdicts[ascending]

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


@kernel
def _decide(coins: Hashes, moments: Int, values: Hashes) -> NDArray[np.uint8]:
    """Judge rows that are sorted by coin, moment and place in the file."""
    verdicts = np.zeros(len(coins), dtype=np.uint8)
    start = 0
    while start < len(coins):
        stop = start + 1
        agree = True
        while stop < len(coins) and coins[stop] == coins[start] and moments[stop] == moments[start]:
            agree = agree and values[stop] == values[start]
            stop += 1
        for i in range(start, stop):
            if not agree:
                verdicts[i] = 2
            elif i > start:
                verdicts[i] = 1
        start = stop
    return verdicts
