"""The sections of a panel: which rows are members of which moment, and which rows read it."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.jit import kernel
from kurswerk.market.moments import panel_moments
from kurswerk.market.panel import Panel
from kurswerk.market.schema import MarketSchema

Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

# So many members are worked on at a time: their values stay in the cache.
BLOCK_MEMBERS = 32_768


@dataclass(frozen=True, eq=False)
class Sections:
    """Members and readers of the moments of some rows.

    Attributes
    ----------
    moments
        Microseconds UTC, ascending; shape (n_sections,).
    offsets
        Section s has the places ``offsets[s]:offsets[s + 1]``; shape (n_sections + 1,).
    members
        Row of each place; those of a section are in the order of its instruments' names. Shape (n_members,).
    reader_offsets, readers
        The rows that read a section, members or not, section after section.
    blocks
        Bounds of runs of sections that are worked on together; shape (n_blocks + 1,).
    rows, places
        Within each block, the members' rows ascending, and the place of each; shape (n_members,).
    own
        Whether each of these rows reads the section that it is a member of; shape (n_members,).
    other_offsets, other_rows
        Rows that read a section and are no members of it, section after section.
    """

    moments: Int
    offsets: Int
    members: Int
    reader_offsets: Int
    readers: Int
    blocks: Int
    rows: Int
    places: Int
    own: Bool
    other_offsets: Int
    other_rows: Int

    @classmethod
    def of(cls, panel: Panel, market: MarketSchema) -> Self:
        """Return the sections of a panel.

        Of several rows of an instrument that join a moment the last is its member. Rows that `Panel.outsiders` marks
        join nothing; they read their moment as all others do, if it has members.
        """
        joined, read = panel_moments(panel, market)
        last = np.ones(len(panel), dtype=np.bool_)
        last[:-1] = joined[1:] != joined[:-1]
        last[panel.offsets[1:] - 1] = True
        if panel.outsiders is not None:
            last = last_insiders(panel.offsets, joined, panel.outsiders)
        moments = np.unique(joined[last])
        section = np.searchsorted(moments, joined)
        member_of = np.where(last, section, -1)
        reads = section if read is joined else np.searchsorted(moments, read)
        reads = np.where(moments[np.minimum(reads, len(moments) - 1)] == read, reads, -1) if len(moments) else reads - 1
        return cls.arranged(moments, member_of, reads)

    @classmethod
    def arranged(cls, moments: Int, member_of: Int, reads: Int) -> Self:
        """Return the sections of rows in the order of their instruments' names.

        Parameters
        ----------
        moments
            One for each section.
        member_of, reads
            Section that each row is a member of, and that it reads; -1 for none. Shape (n_rows,).
        """
        count = len(moments)
        offsets, by_place = dealt(member_of, count)
        reader_offsets, readers = dealt(reads, count)
        other_offsets, other_rows = dealt(np.where(reads == member_of, -1, reads), count)
        blocks = _blocks(offsets)
        rows, places = in_row_order(np.ascontiguousarray(member_of), offsets, blocks)
        own = reads[rows] == member_of[rows]
        return cls(
            moments, offsets, by_place, reader_offsets, readers, blocks, rows, places, own, other_offsets, other_rows
        )


def _blocks(offsets: Int) -> Int:
    """Return the bounds of runs of sections of at most `BLOCK_MEMBERS` members, or of one section."""
    bounds = [0]
    while bounds[-1] < len(offsets) - 1:
        fitting = int(np.searchsorted(offsets, offsets[bounds[-1]] + BLOCK_MEMBERS, side="right")) - 1
        bounds.append(max(fitting, bounds[-1] + 1))
    return np.array(bounds, dtype=np.int64)


def dealt(numbers: Int, count: int) -> tuple[Int, Int]:
    """Return rows by their number, 0 to ``count`` - 1: where those of each begin, and the rows, ascending in each."""
    offsets = np.zeros(count + 1, dtype=np.int64)
    offsets[1:] = np.cumsum(np.bincount(numbers[numbers >= 0], minlength=count))
    rows = np.empty(int(offsets[-1]), dtype=np.int64)
    deal_rows(np.ascontiguousarray(numbers), offsets[:-1].copy(), rows)
    return offsets, rows


def numbered(column: NDArray[np.float64]) -> tuple[Int, int]:
    """Return the number of each value among those there are, -1 where it is missing; and how many there are."""
    known = np.isfinite(column)
    found, numbers = np.unique(column[known], return_inverse=True)
    codes = np.full(len(column), -1, dtype=np.int64)
    codes[known] = numbers
    return codes, len(found)


@kernel
def deal_rows(numbers: Int, place: Int, rows: Int) -> None:
    """Write each row to the next place of its number."""
    for i in range(numbers.size):
        k = numbers[i]
        if k >= 0:
            rows[place[k]] = i
            place[k] += 1


@kernel
def in_row_order(member_of: Int, offsets: Int, blocks: Int) -> tuple[Int, Int]:
    """Return the members' rows, ascending within each block, and the place of each.

    Consecutive sections hold consecutive rows of each instrument: read in this order, columns are read in theirs.
    """
    rows, places = np.empty(offsets[-1], dtype=np.int64), np.empty(offsets[-1], dtype=np.int64)
    block_of, place = np.empty(offsets.size, dtype=np.int64), offsets.copy()
    following = offsets[blocks]
    for b in range(blocks.size - 1):
        block_of[blocks[b] : blocks[b + 1]] = b
    for i in range(member_of.size):
        s = member_of[i]
        if s >= 0:
            j = following[block_of[s]]
            rows[j], places[j] = i, place[s]
            place[s] += 1
            following[block_of[s]] += 1
    return rows, places


@kernel
def last_insiders(offsets: Int, joined: Int, outsiders: Bool) -> Bool:
    """Return the last row of each instrument and moment that may be a member."""
    last = np.zeros(joined.size, dtype=np.bool_)
    for k in range(offsets.size - 1):
        newest = np.int64(-1)
        for i in range(offsets[k], offsets[k + 1]):
            if newest >= 0 and joined[i] != joined[newest]:
                last[newest] = True
                newest = np.int64(-1)
            if not outsiders[i]:
                newest = np.int64(i)
        if newest >= 0:
            last[newest] = True
    return last
