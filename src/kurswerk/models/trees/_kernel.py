"""Sums of trees for batches of rows, with the bits of ONNX Runtime.

ONNX Runtime follows one path after the other, and a processor that mispredicts every other comparison mostly waits.
Here 16 paths go down side by side without a branch: children lie next to each other, so that a comparison is added to
the index of the first, and a leaf leads to itself. Paths are of 16 rows in one tree or, for the rows that do not fill a
block, of one row in 16 trees. A row's leaves are added in the order of the trees in float32, as ONNX Runtime does.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.jit import inlined_kernel, kernel

LANES = 16
"""Paths that go down side by side."""
FEATURE_BITS, CHILD_BITS = 15, 16
"""Of a node's word: where the flag for missing values stands, and where the step to the children begins."""
_FEATURE = np.uint32((1 << FEATURE_BITS) - 1)
_MISSING = np.uint32(FEATURE_BITS)
_CHILD = np.uint32(CHILD_BITS)
_ONE = np.uint32(1)
_LANES = np.uint32(LANES)
# Leaves are looked for only after so many levels: few paths end before, and looking costs as much as half a level.
_LEVELS_PER_LOOK = 8


@inlined_kernel
def _child(node: Any, word: Any, x: Any, threshold: Any) -> Any:
    """Return where a path goes on; a missing value fails the comparison."""
    return node + (word >> _CHILD) + np.uint32(x <= threshold)


@inlined_kernel
def _child_or_missing(node: Any, word: Any, x: Any, threshold: Any) -> Any:
    """Return where a path goes on, a missing value to the side that its node names."""
    missing = np.uint32(np.isnan(x)) & (word >> _MISSING) & _ONE
    return node + (word >> _CHILD) + (np.uint32(x <= threshold) | missing)


@inlined_kernel
def _transpose(X: Any, start: int, fill: Any, columns: Any) -> bool:
    """Write a block of rows column by column, missing values replaced; return whether there are any."""
    any_missing = False
    for lane in range(LANES):
        for feature in range(X.shape[1]):
            x = X[start + lane, feature]
            if np.isnan(x):
                any_missing = True
                x = fill
            columns[feature * LANES + lane] = x
    return any_missing


@inlined_kernel
def _rows_to_leaves(columns: Any, words: Any, thresholds: Any, at: Any, depth: int, by_node: bool) -> None:
    """Lead 16 rows down one tree."""
    for level in range(depth):
        if by_node:
            for lane in range(LANES):
                node = at[lane]
                x = columns[(words[node] & _FEATURE) * _LANES + np.uint32(lane)]
                at[lane] = _child_or_missing(node, words[node], x, thresholds[node])
        else:
            for lane in range(LANES):
                node = at[lane]
                x = columns[(words[node] & _FEATURE) * _LANES + np.uint32(lane)]
                at[lane] = _child(node, words[node], x, thresholds[node])
        if level % _LEVELS_PER_LOOK == _LEVELS_PER_LOOK - 1:
            steps = np.uint32(0)
            for lane in range(LANES):
                steps |= words[at[lane]] >> _CHILD
            if steps == 0:
                break


@inlined_kernel
def _row_to_leaves(row: Any, words: Any, thresholds: Any, at: Any, lanes: int, depth: int, by_node: bool) -> None:
    """Lead one row down up to 16 trees."""
    for _ in range(depth):
        if by_node:
            for lane in range(lanes):
                node = at[lane]
                at[lane] = _child_or_missing(node, words[node], row[words[node] & _FEATURE], thresholds[node])
        else:
            for lane in range(lanes):
                node = at[lane]
                at[lane] = _child(node, words[node], row[words[node] & _FEATURE], thresholds[node])


@inlined_kernel
def _sum_of_row(
    row: Any, words: Any, thresholds: Any, values: Any, roots: Any, depths: Any, at: Any, by_node: bool
) -> Any:
    """Return one row's sum over all trees."""
    total = np.float32(0)
    for first in range(0, len(roots), LANES):
        lanes = min(LANES, len(roots) - first)
        deepest = 0
        for lane in range(lanes):
            at[lane] = roots[first + lane]
            deepest = max(deepest, depths[first + lane])
        if lanes == LANES:  # a length known when it is compiled makes the loop over lanes twice as fast
            _row_to_leaves(row, words, thresholds, at, LANES, deepest, by_node)
        else:
            _row_to_leaves(row, words, thresholds, at, lanes, deepest, by_node)
        for lane in range(lanes):
            total += values[at[lane]]
    return total


@kernel
def sum_trees(
    X: NDArray[np.float32],
    words: NDArray[np.uint32],
    thresholds: NDArray[np.float32],
    values: NDArray[np.float32],
    roots: NDArray[np.uint32],
    depths: NDArray[np.int32],
    fill: np.float32,
    by_node: bool,
    out: NDArray[np.float32],
) -> None:
    """Write each row's sum over trees.

    Parameters
    ----------
    X
        Rows, shape (n, f) in C order; every feature of ``words`` is below f.
    words, thresholds, values, roots, depths
        Nodes and trees, as in `CompiledTrees`.
    fill
        Takes the place of a missing value.
    by_node
        Whether the nodes differ in where a missing value goes.
    out
        Sums, shape (n,).
    """
    at = np.empty(LANES, np.uint32)
    sums = np.empty(LANES, np.float32)
    columns = np.empty(X.shape[1] * LANES, np.float32)
    full = len(X) - len(X) % LANES
    for start in range(0, full, LANES):
        by_node_here = _transpose(X, start, fill, columns) and by_node
        sums[:] = np.float32(0)
        for tree in range(len(roots)):
            at[:] = roots[tree]
            _rows_to_leaves(columns, words, thresholds, at, depths[tree], by_node_here)
            for lane in range(LANES):
                sums[lane] += values[at[lane]]
        out[start : start + LANES] = sums
    row = columns[: X.shape[1]]
    for at_row in range(full, len(X)):
        any_missing = False
        for feature in range(X.shape[1]):
            x = X[at_row, feature]
            if np.isnan(x):
                any_missing = True
                x = fill
            row[feature] = x
        out[at_row] = _sum_of_row(row, words, thresholds, values, roots, depths, at, any_missing and by_node)
