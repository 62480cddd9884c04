"""The compiled steps that compare the instruments of one moment, and those that regress an instrument on its market.

A *section* is the values of one feature at one moment, of its members in the order of their names. Sums run in that
order, so that no bit depends on the order in which rows arrived. A missing or infinite value is not counted. Batch runs
over many sections, live over one; the code is the same.
"""

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.jit import inlined_kernel, kernel

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Ints = NDArray[np.int64]
Ints2 = NDArray[np.int64]
Words = NDArray[np.uint64]
Flags = NDArray[np.bool_]
Output = NDArray[np.floating]

# What an operator gives of a row; `OPERATORS` of `_cross` names them.
RANK, ZSCORE, MEAN, DISPERSION, BREADTH = range(5)
# Layout of one operation: what to give, of which column, within which grouping (-1: the whole section), and where to.
CODE, COLUMN, GROUPING, TARGET = range(4)
# So few keys are sorted by insertion at once.
_FEW = 48
_SIGN = np.uint64(1 << 63)
_MOVES_PER_VALUE = 8


@inlined_kernel
def is_counted(x: float) -> bool:
    """Return whether a value counts: it is neither missing nor infinite."""
    return bool(np.isfinite(x))


@inlined_kernel
def share_below(below: float, equal: float, count: float) -> float:
    """Return the rank as the share of members below, those of the same value counted half; in [0, 1]."""
    return (below + 0.5 * equal) / count if count > 0 else np.nan


@inlined_kernel
def standardised(x: float, mean: float, deviation: float) -> float:
    """Return the distance from the mean in sample deviations; NaN where there is none, or it is 0."""
    return (x - mean) / deviation if deviation > 0.0 else np.nan


@kernel
def section_sums(v: Vector) -> tuple[float, float, float, float]:
    """Return what `group_sums` writes where all values are of one group, by the same operations in the same order."""
    count, total, above, squares = 0.0, 0.0, 0.0, 0.0
    for i in range(v.size):
        if is_counted(v[i]):
            count += 1.0
            total += v[i]
            above += 1.0 if v[i] > 0.0 else 0.0
    if count == 0.0:
        return 0.0, np.nan, np.nan, 0.0
    mean = total / count
    for i in range(v.size):
        if is_counted(v[i]):
            gap = v[i] - mean
            squares += gap * gap
    return count, mean, float(np.sqrt(squares / (count - 1.0))) if count > 1.0 else np.nan, above


@kernel
def group_sums(v: Vector, g: Ints, counts: Vector, means: Vector, deviations: Vector, positive: Vector) -> None:
    """Write count, mean, sample deviation (n - 1) and number of values above 0 of each group; two passes in order.

    A group without two values has no deviation, one without any no mean; NaN then. A place of no group has -1.
    """
    counts[:], means[:], deviations[:], positive[:] = 0.0, 0.0, 0.0, 0.0
    if counts.size == 1 and (v.size == 0 or g.min() >= 0):
        counts[0], means[0], deviations[0], positive[0] = section_sums(v)
        return
    for i in range(v.size):
        k = g[i]
        if k >= 0 and is_counted(v[i]):
            counts[k] += 1.0
            means[k] += v[i]
            if v[i] > 0.0:
                positive[k] += 1.0
    for k in range(counts.size):
        means[k] = means[k] / counts[k] if counts[k] > 0 else np.nan
    for i in range(v.size):
        k = g[i]
        if k >= 0 and is_counted(v[i]):
            gap = v[i] - means[k]
            deviations[k] += gap * gap
    for k in range(counts.size):
        deviations[k] = np.sqrt(deviations[k] / (counts[k] - 1.0)) if counts[k] > 1 else np.nan


@inlined_kernel
def sort_key(bits: np.uint64) -> np.uint64:
    """Return the bits of a float as a number of the same order."""
    return ~bits if bits & _SIGN else bits | _SIGN


@kernel
def digit_pass(keys: Words, order: Ints, new_keys: Words, new_order: Ints, n: int, shift: int) -> bool:
    """Deal keys out by eight of their bits, keeping the order of equal ones; return whether that moved anything."""
    starts = np.zeros(257, dtype=np.int64)
    low = np.uint64(shift)
    for i in range(n):
        starts[((keys[i] >> low) & np.uint64(255)) + np.uint64(1)] += 1
    for d in range(1, 257):
        if starts[d] == n:
            return False
        starts[d] += starts[d - 1]
    for i in range(n):
        d = (keys[i] >> low) & np.uint64(255)
        new_keys[starts[d]], new_order[starts[d]] = keys[i], order[i]
        starts[d] += 1
    return True


@kernel
def insert_in_order(x: Vector, order: Ints, n: int, most: int) -> bool:
    """Sort values with their places by insertion; give up and return False after ``most`` moves."""
    moves = 0
    for i in range(1, n):
        value, place, j = x[i], order[i], i
        while j > 0 and x[j - 1] > value:
            x[j], order[j] = x[j - 1], order[j - 1]
            j -= 1
        x[j], order[j] = value, place
        moves += i - j
        if moves > most:
            return False
    return True


@kernel
def insert_keys_in_order(keys: Words, order: Ints, n: int, most: int) -> bool:
    """Sort keys with their places by insertion; give up and return False after ``most`` moves."""
    moves = 0
    for i in range(1, n):
        key, place, j = keys[i], order[i], i
        while j > 0 and keys[j - 1] > key:
            keys[j], order[j] = keys[j - 1], order[j - 1]
            j -= 1
        keys[j], order[j] = key, place
        moves += i - j
        if moves > most:
            return False
    return True


@kernel
def sort_by_digits(x: Vector, order: Ints, keys: Words, spare_keys: Words, spare_order: Ints, n: int) -> None:
    """Sort values with their places whatever they are: the upper half of their bits by digits, the rest by insertion.

    At worst all by digits.
    """
    plus_zero = x[:n] + 0.0  # -0.0 and 0.0 are one value
    bits = plus_zero.view(np.uint64)
    values = x[:n].copy()
    for i in range(n):
        keys[i], spare_order[i] = sort_key(bits[i]), order[i]
        order[i] = i
    places = spare_order[:n].copy()
    for lowest in (32, 0):
        for shift in range(lowest, 64, 8):
            if digit_pass(keys, order, spare_keys, spare_order, n, shift):
                keys[:n], order[:n] = spare_keys[:n], spare_order[:n]
        if insert_keys_in_order(keys, order, n, _MOVES_PER_VALUE * n):
            break
    for i in range(n):
        x[i], order[i] = values[order[i]], places[order[i]]


@kernel
def sort_values(
    x: Vector, order: Ints, spare: Vector, spare_order: Ints, starts: Ints, n: int
) -> bool:  # fmt: skip
    """Sort values with their places: dealt into buckets of equal width, then by insertion; False if that is no use.

    ``starts`` has room for one more than a power of two of buckets, of which two or more fall on each value.
    """
    if n <= _FEW:
        return insert_in_order(x, order, n, n * n)
    low, high = x[0], x[0]
    for i in range(n):
        low, high = min(low, x[i]), max(high, x[i])
    buckets = starts.size - 1
    scale = (buckets - 1) / (high - low) if high > low else 0.0
    if not (0.0 < scale < np.inf and high - low < np.inf):
        return False
    starts[:] = 0
    for i in range(n):
        starts[int((x[i] - low) * scale) + 1] += 1
    for d in range(1, buckets):
        starts[d] += starts[d - 1]
    for i in range(n):
        d = int((x[i] - low) * scale)
        spare[starts[d]], spare_order[starts[d]] = x[i], order[i]
        starts[d] += 1
    x[:n], order[:n] = spare[:n], spare_order[:n]
    return insert_in_order(x, order, n, _MOVES_PER_VALUE * n)


@kernel
def group_ranks(v: Vector, g: Ints, counts: Vector, out: Vector) -> None:
    """Write the rank of each value within its group; NaN where it is not counted or has no group."""
    x, order = np.empty(v.size), np.empty(v.size, dtype=np.int64)
    spare, spare_order = np.empty(v.size), np.empty(v.size, dtype=np.int64)
    n = 0
    for i in range(v.size):
        out[i] = np.nan
        if g[i] >= 0 and is_counted(v[i]):
            x[n], order[n] = v[i], i
            n += 1
    buckets = 2
    while buckets < 2 * n:
        buckets *= 2
    if not sort_values(x, order, spare, spare_order, np.empty(buckets + 1, dtype=np.int64), n):
        keys = np.empty(n, dtype=np.uint64)
        sort_by_digits(x, order, keys, np.empty_like(keys), spare_order, n)
    if counts.size == 1:
        rank_runs(x, order, n, out)
    else:
        rank_groups(x, order, n, g, counts, out)


@kernel
def rank_runs(x: Vector, order: Ints, n: int, out: Vector) -> None:
    """Write the ranks of ascending values that are all of one group."""
    first = 0
    while first < n:
        last = first + 1
        while last < n and x[last] == x[first]:
            last += 1
        share = share_below(float(first), float(last - first), float(n))
        for j in range(first, last):
            out[order[j]] = share
        first = last


@kernel
def rank_groups(x: Vector, order: Ints, n: int, g: Ints, counts: Vector, out: Vector) -> None:
    """Write the ranks of ascending values within their groups."""
    below, equal = np.zeros(counts.size), np.zeros(counts.size)
    first = 0
    while first < n:
        last = first
        while last < n and x[last] == x[first]:
            equal[g[order[last]]] += 1.0
            last += 1
        for j in range(first, last):
            k = g[order[j]]
            out[order[j]] = share_below(below[k], equal[k], counts[k])
        for j in range(first, last):
            k = g[order[j]]
            below[k] += 1.0
            equal[k] = 0.0
        first = last


@kernel
def rank_among(x: float, group: int, v: Vector, g: Ints) -> float:
    """Return the rank of a value that is no member among a group's members."""
    if group < 0 or not is_counted(x):
        return np.nan
    below, equal, count = 0.0, 0.0, 0.0
    for i in range(v.size):
        if g[i] == group and is_counted(v[i]):
            count += 1.0
            if v[i] < x:
                below += 1.0
            elif v[i] == x:
                equal += 1.0
    return share_below(below, equal, count)


@inlined_kernel
def of_group(code: int, x: float, count: float, mean: float, deviation: float, above: float) -> float:
    """Return what an operator other than the rank gives of a value in a group with these sums."""
    if code == MEAN:
        return mean
    if code == DISPERSION:
        return deviation
    if code == BREADTH:
        return above / count if count > 0 else np.nan
    return standardised(x, mean, deviation) if is_counted(x) else np.nan


@kernel
def fill_section(
    code: int, v: Vector, g: Ints, counts: Vector, means: Vector, deviations: Vector, positive: Vector, out: Vector
) -> None:
    """Write what an operator other than the rank gives of the members; NaN where one has no group."""
    for i in range(v.size):
        k = g[i]
        out[i] = of_group(code, v[i], counts[k], means[k], deviations[k], positive[k]) if k >= 0 else np.nan


@kernel
def gather(column: Vector, rows: Ints, places: Ints, base: int, v: Vector) -> None:
    """Write the value of each place."""
    for j in range(rows.size):
        v[places[j] - base] = column[rows[j]]


@kernel
def gather_groups(numbers: Ints, rows: Ints, places: Ints, base: int, g: Ints) -> None:
    """Write the group of each place; ``numbers`` is empty where all are of one group."""
    for j in range(rows.size):
        g[places[j] - base] = numbers[rows[j]] if numbers.size else 0


@kernel
def scatter(result: Vector, rows: Ints, places: Ints, base: int, own: Flags, start: int, out: Output) -> None:
    """Write the results of members that read their own section to their rows, as far as ``out`` has them."""
    for j in range(rows.size):
        if own[j] and start <= rows[j] < start + out.size:
            out[rows[j] - start] = result[places[j] - base]


@kernel
def read_section(
    code: int, column: Vector, numbers: Ints, v: Vector, g: Ints, counts: Vector, means: Vector, deviations: Vector,
    positive: Vector, readers: Ints, start: int, out: Output,
) -> None:  # fmt: skip
    """Compute the rows that read a section without being members, as far as ``out`` has them."""
    for row in readers:
        if start <= row < start + out.size:
            k = numbers[row] if numbers.size else 0
            if code == RANK:
                out[row - start] = rank_among(column[row], k, v, g)
            elif k >= 0:
                out[row - start] = of_group(code, column[row], counts[k], means[k], deviations[k], positive[k])


@kernel
def run_sections(
    wide: Matrix, groupings: Ints2, n_groups: Ints, ops: Ints2, first: int, last: int, offsets: Ints,
    rows: Ints, places: Ints, own: Flags, other_offsets: Ints, other_rows: Ints, start: int, out: Output,
) -> None:  # fmt: skip
    """Compute operations of the rows that read sections ``first`` to ``last``.

    Parameters
    ----------
    wide
        Values, shape (n_columns, n_rows).
    groupings, n_groups
        Number of each row's group, -1 for none, shape (n_groupings, n_rows); how many groups there are.
    ops
        Shape (n_ops, 4): CODE, COLUMN, GROUPING, TARGET.
    offsets
        Section s has the places ``offsets[s]:offsets[s + 1]``.
    rows, places
        For the places of these sections: a row and the place it has, ascending by row, so that columns are read in
        their order; only ``offsets[first]:offsets[last]`` is looked at.
    own
        Whether the member of each of these rows reads the section itself.
    other_offsets, other_rows
        Rows that read a section without being members, section after section.
    start
        Row that ``out`` begins with.
    out
        Shape (n_targets, n_rows_out); rows outside of it are not written.
    """
    base, stop = offsets[first], offsets[last]
    rows, places = rows[base:stop], places[base:stop]
    own = own[base:stop]
    v, result, g = np.empty(stop - base), np.empty(stop - base), np.zeros(stop - base, dtype=np.int64)
    grouped = -1
    for o in range(ops.shape[0]):
        code, column, target = ops[o, CODE], wide[ops[o, COLUMN]], out[ops[o, TARGET]]
        grouping = ops[o, GROUPING]
        numbers = groupings[grouping] if grouping >= 0 else groupings[:0].reshape(-1)
        groups = n_groups[grouping] if grouping >= 0 else 1
        counts, means = np.empty(groups), np.empty(groups)
        deviations, positive = np.empty(groups), np.empty(groups)
        if grouping != grouped:
            gather_groups(numbers, rows, places, base, g)
            grouped = grouping
        gather(column, rows, places, base, v)
        for s in range(first, last):
            lo, hi = offsets[s] - base, offsets[s + 1] - base
            section, members = v[lo:hi], g[lo:hi]
            group_sums(section, members, counts, means, deviations, positive)
            if code == RANK:
                group_ranks(section, members, counts, result[lo:hi])
            else:
                fill_section(code, section, members, counts, means, deviations, positive, result[lo:hi])
            readers = other_rows[other_offsets[s] : other_offsets[s + 1]]
            if readers.size:
                read_section(
                    code, column, numbers, section, members, counts, means, deviations, positive, readers, start, target
                )
        scatter(result, rows, places, base, own, start, target)


@kernel
def rolling_beta(own: Vector, market: Vector, offsets: Ints, window: int, beta: Vector, residual: Vector) -> None:
    """Regress each instrument's values on the market's over its last ``window`` rows, by two passes in their order.

    ``beta`` is the slope, ``residual`` the row's own value less beta times the market's. Both are NaN until the window
    is full, where a value in it is missing or infinite, and where the market's do not vary.
    """
    for k in range(offsets.size - 1):
        for i in range(offsets[k], offsets[k + 1]):
            beta[i], residual[i] = np.nan, np.nan
            low = i - window + 1
            if low < offsets[k]:
                continue
            x_mean, y_mean = 0.0, 0.0
            for j in range(low, i + 1):
                x_mean += market[j]
                y_mean += own[j]
            x_mean /= window
            y_mean /= window
            both, square = 0.0, 0.0
            for j in range(low, i + 1):
                gap = market[j] - x_mean
                both += gap * (own[j] - y_mean)
                square += gap * gap
            slope = both / square if square > 0.0 else np.nan
            if is_counted(slope):
                beta[i] = slope
                residual[i] = own[i] - slope * market[i]
