"""Compiled loops behind the labels; each is O(n) and never leaves an instrument's rows."""

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.jit import kernel

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Int8 = NDArray[np.int8]


@kernel
def horizon_rows(offsets: Int, timestamps: Int, end_us: Int) -> Int:
    """Return per row the last row in (t, end] if rows reach its end, else -1; ends ascend within an instrument."""
    exits = np.full(len(timestamps), -1, dtype=np.int64)
    for k in range(len(offsets) - 1):
        end = offsets[k + 1]
        ahead = offsets[k]  # first row at or after the end
        for i in range(offsets[k], end):
            limit = end_us[i]
            while ahead < end and timestamps[ahead] < limit:
                ahead += 1
            if ahead == end:
                break
            last = ahead if timestamps[ahead] == limit else ahead - 1
            if last > i:
                exits[i] = last
    return exits


@kernel
def next_rows(offsets: Int) -> Int:
    """Return per row the next row of its instrument, -1 for the last."""
    exits = np.full(offsets[-1], -1, dtype=np.int64)
    for k in range(len(offsets) - 1):
        for i in range(offsets[k], offsets[k + 1] - 1):
            exits[i] = i + 1
    return exits


@kernel
def change_at(values: Float, exits: Int, percent: float, sign: float) -> Int8:
    """Return 1 where the value at the exit row differs by ``percent`` in direction ``sign``, else 0; -1 unknown."""
    labels = np.full(len(values), -1, dtype=np.int8)
    for i in range(len(values)):
        if exits[i] < 0:
            continue
        base, value = values[i], values[exits[i]]
        if np.isfinite(base) and base > 0 and np.isfinite(value):
            labels[i] = sign * (value - base) / base * 100.0 >= percent
    return labels


@kernel
def returns_at(values: Float, exits: Int) -> Float:
    """Return the change up to the exit row in percent; NaN where it is unknown or no finite number."""
    returns = np.full(len(values), np.nan)
    for i in range(len(values)):
        if exits[i] < 0:
            continue
        base, value = values[i], values[exits[i]]
        if np.isfinite(base) and base > 0 and np.isfinite(value):
            change = (value - base) / base * 100.0
            if np.isfinite(change):
                returns[i] = change
    return returns


@kernel
def change_within(offsets: Int, values: Float, exits: Int, percent: float, sign: float) -> Int8:
    """Return 1 where any row after i up to its exit row reaches the change, else 0; -1 unknown.

    A deque holds candidates for the extreme of the window: rows ascending, ``sign * value`` descending.
    """
    n = len(values)
    labels = np.full(n, -1, dtype=np.int8)
    queue = np.empty(n, dtype=np.int64)
    for k in range(len(offsets) - 1):
        head, tail = 0, 0
        pushed = offsets[k]  # last row taken into the queue
        gap = np.int64(-1)  # last row taken that has no finite value
        for i in range(offsets[k], offsets[k + 1]):
            if exits[i] < 0:
                continue
            for row in range(max(pushed, i) + 1, exits[i] + 1):
                if not np.isfinite(values[row]):
                    gap = np.int64(row)
                    continue
                while tail > head and sign * values[queue[tail - 1]] <= sign * values[row]:
                    tail -= 1
                queue[tail] = row
                tail += 1
            pushed = max(pushed, exits[i])
            while head < tail and queue[head] <= i:
                head += 1
            base = values[i]
            if np.isfinite(base) and base > 0 and gap <= i and head < tail:
                labels[i] = sign * (values[queue[head]] - base) / base * 100.0 >= percent
    return labels


@kernel
def meets_target(values: Float, code: int, target: float) -> Int8:
    """Return 1 where ``value operator target`` holds, 0 where not, -1 where the value is not finite.

    ``code`` counts through ``> < >= <= =``.
    """
    found = np.full(len(values), -1, dtype=np.int8)
    for i in range(len(values)):
        value = values[i]
        if not np.isfinite(value):
            continue
        if code == 0:
            found[i] = value > target
        elif code == 1:
            found[i] = value < target
        elif code == 2:
            found[i] = value >= target
        elif code == 3:
            found[i] = value <= target
        else:
            found[i] = value == target
    return found


@kernel
def hit_at(found: Int8, exits: Int) -> Int8:
    """Return the hit of the exit row; -1 where it, or the row's own value, is unknown."""
    labels = np.full(len(found), -1, dtype=np.int8)
    for i in range(len(found)):
        if exits[i] >= 0 and found[i] >= 0:
            labels[i] = found[exits[i]]
    return labels


@kernel
def hit_within(found: Int8, exits: Int) -> Int8:
    """Return 1 where any row after i up to its exit row is a hit, else 0; -1 if one of them or i is unknown."""
    n = len(found)
    labels = np.full(n, -1, dtype=np.int8)
    hit_counts = np.zeros(n + 1, dtype=np.int64)
    gap_counts = np.zeros(n + 1, dtype=np.int64)
    for i in range(n):
        hit_counts[i + 1] = hit_counts[i] + (found[i] == 1)
        gap_counts[i + 1] = gap_counts[i] + (found[i] < 0)
    for i in range(n):
        stop = exits[i] + 1
        if stop > 0 and found[i] >= 0 and gap_counts[stop] == gap_counts[i + 1]:
            labels[i] = hit_counts[stop] > hit_counts[i + 1]
    return labels


@kernel
def changes(values: Float, exits: Int) -> Float:
    """Return the relative change up to the exit row; NaN where it is unknown or has no positive base."""
    found = np.full(len(values), np.nan)
    for i in range(len(values)):
        if exits[i] >= 0 and np.isfinite(values[i]) and values[i] > 0 and np.isfinite(values[exits[i]]):
            found[i] = (values[exits[i]] - values[i]) / values[i]
    return found


@kernel
def quantile_of(ordered: Float, share: float) -> float:
    """Return the quantile of ascending values, between two of them by linear interpolation; NaN of fewer than two."""
    if len(ordered) < 2:
        return np.nan
    place = (len(ordered) - 1) * share
    low = min(int(place), len(ordered) - 2)
    return float(ordered[low] + (place - low) * (ordered[low + 1] - ordered[low]))


@kernel
def in_quantile(
    change: Float, end_us: Int, groups: Int, count: int, offsets: Int, members: Int, reader_offsets: Int, readers: Int,
    share: float, sign: float, labels: Int8, ends: Int,
) -> None:  # fmt: skip
    """Write 1 where a row's change lies beyond the quantile of its section and group, in direction ``sign``, else 0.

    ``ends`` becomes the latest end of a section's members and the row itself. Rows without a change, and those of no
    group or of one with fewer than two changes, stay as they are.
    """
    for s in range(len(offsets) - 1):
        rows = members[offsets[s] : offsets[s + 1]]
        bounds = np.zeros(count + 1, dtype=np.int64)
        latest = np.int64(-(2**62))
        for row in rows:
            latest = max(latest, end_us[row])
            if groups[row] >= 0 and np.isfinite(change[row]):
                bounds[groups[row] + 1] += 1
        bounds = np.cumsum(bounds)
        place, values, limits = bounds.copy(), np.empty(bounds[-1]), np.empty(count)
        for row in rows:
            if groups[row] >= 0 and np.isfinite(change[row]):
                values[place[groups[row]]] = change[row]
                place[groups[row]] += 1
        for k in range(count):
            limits[k] = quantile_of(np.sort(values[bounds[k] : bounds[k + 1]]), share)
        for row in readers[reader_offsets[s] : reader_offsets[s + 1]]:
            ends[row] = max(ends[row], latest)
            if groups[row] >= 0 and np.isfinite(change[row]) and np.isfinite(limits[groups[row]]):
                labels[row] = sign * (change[row] - limits[groups[row]]) > 0.0
