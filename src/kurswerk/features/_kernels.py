"""The compiled steps of which every feature is made, and the interpreter that runs a plan of them.

An elementwise step computes ``z[j]`` from the same place ``j`` of its inputs. Batch lets ``j`` run over the rows of one
instrument, live over the instruments of one moment; a lagged input is a shifted view in the one case and a gathered
vector in the other. The compiled code is the same, IEEE 754 order is kept, so the results agree in every bit.

Recursive steps run over consecutive rows of one instrument and carry a small state of float64.

Rules shared by all: NaN in gives NaN out; a division by zero is NaN, never ±inf and never 0; a recursive step answers a
missing or infinite input with NaN and leaves its state as it was. Interpreter and steps share this file because the
disk cache of compiled code notices changes in the file of the outermost function alone.
"""

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.jit import inlined_kernel, kernel

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Ints = NDArray[np.int64]
Output = NDArray[np.floating]
Ints2 = NDArray[np.int64]

# Layout of one operation in the table of integers.
CODE, LANES, STATE, STEP, OUT, IN, WINDOW = 0, 1, 2, 3, 4, 8, 12
INT_FIELDS, FLOAT_FIELDS, BANK = 16, 4, 4
EMA_STATE = 2


@kernel
def add_scaled(z: Vector, x: Vector, y: Vector, p: float) -> None:
    """Step ``x + p y``."""
    for j in range(z.size):
        z[j] = x[j] + y[j] * p


@kernel
def affine(z: Vector, x: Vector, p: float, q: float) -> None:
    """Step ``p x + q``."""
    for j in range(z.size):
        z[j] = x[j] * p + q


@kernel
def product(z: Vector, x: Vector, y: Vector) -> None:
    """Step ``x y``."""
    for j in range(z.size):
        z[j] = x[j] * y[j]


@kernel
def ratio(z: Vector, x: Vector, y: Vector, p: float) -> None:
    """Step ``p x / y``; NaN where y is 0."""
    for j in range(z.size):
        z[j] = x[j] / y[j] * p if y[j] != 0.0 else np.nan


@kernel
def relative_change(z: Vector, x: Vector, y: Vector, p: float) -> None:
    """Step ``p (x - y) / y``; NaN where y is 0."""
    for j in range(z.size):
        z[j] = (x[j] - y[j]) / y[j] * p if y[j] != 0.0 else np.nan


@kernel
def share(z: Vector, x: Vector, y: Vector, p: float) -> None:
    """Step ``p x / (x + y)``; NaN where the sum is 0."""
    for j in range(z.size):
        both = x[j] + y[j]
        z[j] = x[j] / both * p if both != 0.0 else np.nan


@kernel
def contrast(z: Vector, x: Vector, y: Vector, p: float) -> None:
    """Step ``p (x - y) / (x + y)``; NaN where the sum is 0."""
    for j in range(z.size):
        both = x[j] + y[j]
        z[j] = (x[j] - y[j]) / both * p if both != 0.0 else np.nan


@kernel
def position(z: Vector, x: Vector, low: Vector, high: Vector, p: float, q: float) -> None:
    """Step ``p (x - low) / (high - low) + q``; NaN where high equals low."""
    for j in range(z.size):
        width = high[j] - low[j]
        z[j] = (x[j] - low[j]) / width * p + q if width != 0.0 else np.nan


@kernel
def magnitude(z: Vector, x: Vector) -> None:
    """Step ``|x|``."""
    for j in range(z.size):
        z[j] = abs(x[j])


@kernel
def root(z: Vector, x: Vector, p: float) -> None:
    """Step ``sqrt(p x)``."""
    for j in range(z.size):
        z[j] = np.sqrt(x[j] * p)


@kernel
def blend(z: Vector, x: Vector, y: Vector, p: float) -> None:
    """Step ``x + p (y - x)``: the mean of two windows, of which y holds the share p of the rows."""
    for j in range(z.size):
        z[j] = x[j] + (y[j] - x[j]) * p


@kernel
def half_square(z: Vector, x: Vector, y: Vector) -> None:
    """Step ``(x - y)² / 2``: squared deviations of two rows from their mean."""
    for j in range(z.size):
        gap = x[j] - y[j]
        z[j] = gap * gap * 0.5


@kernel
def square_gap(z: Vector, x: Vector, u: Vector, v: Vector, p: float) -> None:
    """Step ``x + p (u - v)²``: squared deviations of a window joined by one row."""
    for j in range(z.size):
        gap = u[j] - v[j]
        z[j] = x[j] + gap * gap * p


@kernel
def join_squares(z: Vector, x: Vector, y: Vector, u: Vector, v: Vector, p: float) -> None:
    """Step ``x + y + p (u - v)²``: squared deviations of two windows joined (Chan, Golub, LeVeque 1983)."""
    for j in range(z.size):
        gap = u[j] - v[j]
        z[j] = x[j] + y[j] + gap * gap * p


@kernel
def larger(z: Vector, x: Vector, y: Vector) -> None:
    """Step ``max(x, y)``; NaN if either is."""
    for j in range(z.size):
        first = (x[j] > y[j]) | np.isnan(x[j])
        z[j] = x[j] if first else y[j]


@kernel
def smaller(z: Vector, x: Vector, y: Vector) -> None:
    """Step ``min(x, y)``; NaN if either is."""
    for j in range(z.size):
        first = (x[j] < y[j]) | np.isnan(x[j])
        z[j] = x[j] if first else y[j]


@kernel
def exceeds(z: Vector, x: Vector, y: Vector, p: float) -> None:
    """Step ``1 if x > p y else 0``; NaN if either is."""
    for j in range(z.size):
        flag = 1.0 if x[j] > y[j] * p else 0.0
        z[j] = np.nan if np.isnan(x[j]) | np.isnan(y[j]) else flag


@kernel
def above(z: Vector, x: Vector, p: float, q: float) -> None:
    """Step ``1 if q x > p else 0``; NaN if x is."""
    for j in range(z.size):
        flag = 1.0 if x[j] * q > p else 0.0
        z[j] = np.nan if np.isnan(x[j]) else flag


@kernel
def flips(z: Vector, x: Vector, y: Vector) -> None:
    """Step ``1 if x and y have opposite signs else 0``; NaN if either is."""
    for j in range(z.size):
        opposite = ((x[j] > 0.0) & (y[j] < 0.0)) | ((x[j] < 0.0) & (y[j] > 0.0))
        flag = 1.0 if opposite else 0.0
        z[j] = np.nan if np.isnan(x[j]) | np.isnan(y[j]) else flag


@kernel
def gain(z: Vector, x: Vector, y: Vector) -> None:
    """Step ``max(x - y, 0)``; NaN if either is."""
    for j in range(z.size):
        step = x[j] - y[j]
        fell = step < 0.0
        z[j] = 0.0 if fell else step


@kernel
def gated(z: Vector, x: Vector, u: Vector, v: Vector) -> None:
    """Step ``x if u > v else 0``; NaN if any is."""
    for j in range(z.size):
        kept = x[j] if u[j] > v[j] else 0.0
        z[j] = np.nan if np.isnan(x[j]) | np.isnan(u[j]) | np.isnan(v[j]) else kept


@kernel
def mean_of_three(z: Vector, x: Vector, y: Vector, u: Vector) -> None:
    """Step ``(x + y + u) / 3``."""
    for j in range(z.size):
        z[j] = (x[j] + y[j] + u[j]) / 3.0


@kernel
def true_range(z: Vector, high: Vector, low: Vector, before: Vector) -> None:
    """Step ``max(high, before) - min(low, before)``; NaN if any is."""
    for j in range(z.size):
        gap_down, gap_up = before[j] > high[j], before[j] < low[j]
        top = before[j] if gap_down else high[j]
        bottom = before[j] if gap_up else low[j]
        missing = np.isnan(high[j]) | np.isnan(low[j]) | np.isnan(before[j])
        z[j] = np.nan if missing else top - bottom


@kernel
def directional(z: Vector, x: Vector, y: Vector, u: Vector, v: Vector) -> None:
    """Step ``x - y`` where it is above 0 and above ``u - v``, else 0; NaN if any is."""
    for j in range(z.size):
        step = x[j] - y[j]
        other = u[j] - v[j]
        kept = step if (step > other) & (step > 0.0) else 0.0
        z[j] = np.nan if np.isnan(step) | np.isnan(other) else kept


@kernel
def mean_deviation(work: Vector, z: Vector, centre: Vector, x: int, lagged: int, step: int, window: int) -> None:
    """Window step: mean of ``|x - centre|`` over the window, oldest row first.

    Lag k ≥ 1 of the input begins at ``work[lagged + k * step]``, lag 0 at ``work[x]``.
    """
    for j in range(z.size):
        z[j] = 0.0
    for k in range(window - 1, -1, -1):
        start = lagged + k * step if k > 0 else x
        row = work[start : start + z.size]
        for j in range(z.size):
            z[j] += abs(row[j] - centre[j])
    for j in range(z.size):
        z[j] /= window


@inlined_kernel
def ema_step(x: float, count: float, value: float, window: float, k: float) -> tuple[float, float, float]:
    """Return (count, value, output) of an exponential mean that starts from the mean of its first ``window`` values."""
    output = np.nan
    if x - x == 0.0:  # finite
        if count < window:
            count += 1.0
            value += (x - value) / count
        else:
            value += (x - value) * k
        if count >= window:
            output = value
    return count, value, output


@kernel
def ema_bank(work: Vector, n: int, op: Ints, rates: Vector, state: Vector) -> None:
    """Recursive step: four exponential means side by side, since one alone waits for its own last result."""
    z0, x0 = work[op[OUT] : op[OUT] + n], work[op[IN] : op[IN] + n]
    z1, x1 = work[op[OUT + 1] : op[OUT + 1] + n], work[op[IN + 1] : op[IN + 1] + n]
    z2, x2 = work[op[OUT + 2] : op[OUT + 2] + n], work[op[IN + 2] : op[IN + 2] + n]
    z3, x3 = work[op[OUT + 3] : op[OUT + 3] + n], work[op[IN + 3] : op[IN + 3] + n]
    w0, w1, w2, w3 = float(op[WINDOW]), float(op[WINDOW + 1]), float(op[WINDOW + 2]), float(op[WINDOW + 3])
    k0, k1, k2, k3 = rates[0], rates[1], rates[2], rates[3]
    c0, v0, c1, v1, c2, v2, c3, v3 = state[0], state[1], state[2], state[3], state[4], state[5], state[6], state[7]
    for j in range(n):
        c0, v0, z0[j] = ema_step(x0[j], c0, v0, w0, k0)
        c1, v1, z1[j] = ema_step(x1[j], c1, v1, w1, k1)
        c2, v2, z2[j] = ema_step(x2[j], c2, v2, w2, k2)
        c3, v3, z3[j] = ema_step(x3[j], c3, v3, w3, k3)
    state[0], state[1], state[2], state[3], state[4], state[5], state[6], state[7] = c0, v0, c1, v1, c2, v2, c3, v3


@kernel
def running_sum(z: Vector, x: Vector, state: Vector) -> None:
    """Recursive step: the sum of all values so far."""
    total = state[0]
    for j in range(z.size):
        finite = x[j] - x[j] == 0.0
        if finite:
            total += x[j]
        z[j] = total if finite else np.nan
    state[0] = total


@kernel
def running_high(z: Vector, x: Vector, state: Vector) -> None:
    """Recursive step: the largest value so far."""
    high = state[1] if state[0] > 0.0 else -np.inf
    for j in range(z.size):
        finite = x[j] - x[j] == 0.0
        rises = finite & (x[j] > high)
        high = x[j] if rises else high
        z[j] = high if finite else np.nan
    state[0], state[1] = 1.0, high


@kernel
def running_high_place(z: Vector, x: Vector, place: Vector, state: Vector) -> None:
    """Recursive step: where (at which ``place``) the largest value so far was first reached."""
    high, where = state[1] if state[0] > 0.0 else -np.inf, state[2]
    for j in range(z.size):
        finite = x[j] - x[j] == 0.0
        rises = finite & (x[j] > high)
        high = x[j] if rises else high
        where = place[j] if rises else where
        z[j] = where if finite else np.nan
    state[0], state[1], state[2] = 1.0, high, where


@kernel
def on_balance(z: Vector, x: Vector, volume: Vector, state: Vector) -> None:
    """Recursive step: volume added where ``x`` rose against its last known value, subtracted where it fell."""
    started, before, total = state[0], state[1], state[2]
    for j in range(z.size):
        finite = (x[j] - x[j] == 0.0) and (volume[j] - volume[j] == 0.0)
        if finite:
            if started > 0.0 and x[j] > before:
                total += volume[j]
            elif started > 0.0 and x[j] < before:
                total -= volume[j]
            started, before = 1.0, x[j]
        z[j] = total if finite else np.nan
    state[0], state[1], state[2] = started, before, total


@kernel
def _arithmetic(code: int, work: Vector, n: int, op: Ints, p: float, q: float) -> None:
    out, a, b, c = op[OUT], op[IN], op[IN + 1], op[IN + 2]
    z, x, y, u = work[out : out + n], work[a : a + n], work[b : b + n], work[c : c + n]
    if code == 0:
        add_scaled(z, x, y, p)
    elif code == 1:
        affine(z, x, p, q)
    elif code == 2:
        product(z, x, y)
    elif code == 3:
        ratio(z, x, y, p)
    elif code == 4:
        relative_change(z, x, y, p)
    elif code == 5:
        share(z, x, y, p)
    elif code == 6:
        contrast(z, x, y, p)
    elif code == 7:
        position(z, x, y, u, p, q)


@kernel
def _windowing(code: int, work: Vector, n: int, op: Ints, p: float) -> None:
    out, a, b, c, d = op[OUT], op[IN], op[IN + 1], op[IN + 2], op[IN + 3]
    z, x, y, u = work[out : out + n], work[a : a + n], work[b : b + n], work[c : c + n]
    v = work[d : d + n]
    if code == 8:
        magnitude(z, x)
    elif code == 9:
        root(z, x, p)
    elif code == 10:
        blend(z, x, y, p)
    elif code == 11:
        half_square(z, x, y)
    elif code == 12:
        square_gap(z, x, y, u, p)
    elif code == 13:
        join_squares(z, x, y, u, v, p)
    elif code == 14:
        larger(z, x, y)
    elif code == 15:
        smaller(z, x, y)


@kernel
def _comparing(code: int, work: Vector, n: int, op: Ints, p: float, q: float) -> None:
    out, a, b, c, d = op[OUT], op[IN], op[IN + 1], op[IN + 2], op[IN + 3]
    z, x, y, u = work[out : out + n], work[a : a + n], work[b : b + n], work[c : c + n]
    v = work[d : d + n]
    if code == 16:
        exceeds(z, x, y, p)
    elif code == 17:
        above(z, x, p, q)
    elif code == 18:
        flips(z, x, y)
    elif code == 19:
        gain(z, x, y)
    elif code == 20:
        gated(z, x, y, u)
    elif code == 21:
        mean_of_three(z, x, y, u)
    elif code == 22:
        true_range(z, x, y, u)
    elif code == 23:
        directional(z, x, y, u, v)


@kernel
def _recursive(work: Vector, n: int, shift: int, op: Ints, rates: Vector, state: Vector) -> None:
    code = op[CODE]
    out, a, b = op[OUT] + shift, op[IN] + shift, op[IN + 1] + shift
    z, x, y = work[out : out + n], work[a : a + n], work[b : b + n]
    if code == 25:
        ema_bank(work[shift:], n, op, rates, state)
    elif code == 26:
        running_sum(z, x, state)
    elif code == 27:
        running_high(z, x, state)
    elif code == 28:
        running_high_place(z, x, y, state)
    elif code == 29:
        on_balance(z, x, y, state)


# The order of the names is the order of the codes above.
STEPS = {
    function.__name__: (code, function)
    for code, function in enumerate((
        add_scaled, affine, product, ratio, relative_change, share, contrast, position,
        magnitude, root, blend, half_square, square_gap, join_squares, larger, smaller,
        exceeds, above, flips, gain, gated, mean_of_three, true_range, directional,
        mean_deviation,
        ema_bank, running_sum, running_high, running_high_place, on_balance,
    ))
}  # fmt: skip
FIRST_RECURSIVE = 25


@kernel
def run_operations(
    work: Vector, n: int, ops: Ints2, numbers: Matrix, states: Matrix, who: Ints, each_own: bool
) -> None:
    """Run a plan's operations over ``n`` places of the work area.

    Parameters
    ----------
    work
        All intermediate vectors; the operations hold their addresses.
    n
        Rows of one instrument, or instruments with one row each.
    ops, numbers
        Integers (n_ops, 16) and floats (n_ops, 4) of the operations, inputs before their users.
    states
        Recursive state, one row per instrument.
    who
        Row of ``states`` for place 0, or for every place if ``each_own``.
    each_own
        Whether every place is another instrument.
    """
    for i in range(ops.shape[0]):
        op = ops[i]
        code, p, q = op[CODE], numbers[i, 0], numbers[i, 1]
        if code < 8:
            _arithmetic(code, work, n, op, p, q)
        elif code < 16:
            _windowing(code, work, n, op, p)
        elif code < 24:
            _comparing(code, work, n, op, p, q)
        elif code < FIRST_RECURSIVE:
            z, centre = work[op[OUT] : op[OUT] + n], work[op[IN + 1] : op[IN + 1] + n]
            mean_deviation(work, z, centre, op[IN], op[IN + 2], op[STEP], op[WINDOW])
        elif each_own:
            for j in range(n):
                _recursive(work, 1, j, op, numbers[i], states[who[j], op[STATE] :])
        else:
            _recursive(work, n, 0, op, numbers[i], states[who[0], op[STATE] :])


@kernel
def run_rows(
    values: Matrix, times: Ints, first: int, last: int, emit_from: int, block: int, sources: Ints, work: Vector,
    slots: Ints2, ops: Ints2, numbers: Matrix, states: Matrix, results: Ints, out: Output, out_from: int,
) -> None:  # fmt: skip
    """Compute rows ``first`` to ``last - 1`` of one instrument and write those from ``emit_from`` on.

    Parameters
    ----------
    values, times
        Columns (n_columns, n_rows) and microseconds (n_rows,) of a panel.
    block
        Rows computed at a time.
    sources
        Column that fills slot k; -1 for the timestamps.
    work
        Work area; slot k keeps ``slots[k, 1]`` past rows before its present block, which begins at ``slots[k, 0]``.
    results
        Address of every output's present block.
    out, out_from
        Output (n_outputs, rows) and the panel row that its first place stands for.
    """
    nobody = np.zeros(1, np.int64)
    for k in range(slots.shape[0]):
        work[slots[k, 0] - slots[k, 1] : slots[k, 0]] = np.nan
    states[0, :] = 0.0
    for start in range(first, last, block):
        n = min(block, last - start)
        for k in range(sources.size):
            base = slots[k, 0]
            if sources[k] >= 0:
                work[base : base + n] = values[sources[k], start : start + n]
            else:
                for j in range(n):
                    work[base + j] = float(times[start + j])
        run_operations(work, n, ops, numbers, states, nobody, False)
        skip = max(0, emit_from - start)
        for f in range(results.size):
            source = work[results[f] + skip : results[f] + n]
            target = out[f, start - out_from + skip : start - out_from + n]
            for j in range(target.size):
                target[j] = np.nan if np.isnan(source[j]) else source[j]
        for k in range(slots.shape[0]):
            base, past = slots[k, 0], slots[k, 1]
            older, newer = work[base - past : base], work[base - past + n : base + n]
            for j in range(older.size):
                older[j] = newer[j]


@kernel
def run_tasks(
    tasks: Ints2, values: Matrix, times: Ints, block: int, sources: Ints, work: Vector, slots: Ints2, ops: Ints2,
    numbers: Matrix, states: Matrix, results: Ints, out: Output, out_from: int,
) -> None:  # fmt: skip
    """Run `run_rows` for every (first, last, emit_from) of ``tasks``."""
    for t in range(tasks.shape[0]):
        run_rows(
            values, times, tasks[t, 0], tasks[t, 1], tasks[t, 2], block, sources, work, slots, ops, numbers, states,
            results, out, out_from,
        )  # fmt: skip


@kernel
def keep_past(work: Vector, slots: Ints2, rings: Ints2, count: int, memory: Vector) -> None:
    """Copy the past rows that `run_rows` left in the work area into an instrument's rings."""
    for r in range(rings.shape[0]):
        slot, offset, mask = rings[r, 0], rings[r, 1], rings[r, 2]
        base, past = slots[slot, 0], slots[slot, 1]
        memory[offset : offset + mask + 1] = np.nan
        for lag in range(1, min(past, mask + 1) + 1):
            memory[offset + ((count - lag) & mask)] = work[base - lag]


@kernel
def run_moment(
    values: Matrix, times: Ints, codes: Ints, work: Vector, sources: Ints, slots: Ints2, lags: Ints2, rings: Ints2,
    ops: Ints2, numbers: Matrix, memory: Matrix, states: Matrix, counts: Ints, results: Ints, out: Matrix,
    places: Ints,
) -> None:  # fmt: skip
    """Compute one row of each of several instruments.

    Parameters
    ----------
    values, times
        All rows' inputs (n_rows, n_inputs) and microseconds (n_rows,).
    codes
        Instrument of each row in ``places``, all different.
    lags
        (offset, mask, lag, address) of every lagged vector to gather.
    rings
        (slot, offset, mask) of every slot that keeps its past.
    memory, states, counts
        Rings, recursive state and number of rows so far, one row per instrument.
    results, out
        Address of every output; outputs (n_rows, n_outputs).
    places
        Rows of ``values`` and ``out`` to compute.
    """
    n = places.size
    for j in range(n):
        row, code = places[j], codes[j]
        count = counts[code]
        for k in range(sources.size):
            work[slots[k, 0] + j] = values[row, sources[k]] if sources[k] >= 0 else float(times[row])
        for g in range(lags.shape[0]):
            work[lags[g, 3] + j] = memory[code, lags[g, 0] + ((count - lags[g, 2]) & lags[g, 1])]
    run_operations(work, n, ops, numbers, states, codes, True)
    for j in range(n):
        row, code = places[j], codes[j]
        for r in range(rings.shape[0]):
            memory[code, rings[r, 1] + (counts[code] & rings[r, 2])] = work[slots[rings[r, 0], 0] + j]
        counts[code] += 1
        for f in range(results.size):
            value = work[results[f] + j]
            out[row, f] = np.nan if np.isnan(value) else value
