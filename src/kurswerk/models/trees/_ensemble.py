"""A tree ensemble as flat arrays: the form between any library and the ONNX graph."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class TreeEnsemble:
    """Binary trees, all nodes of all trees one behind the other.

    Attributes
    ----------
    roots
        Index of each tree's root, int64 (trees,); a tree's nodes lie between its root and the next one.
    feature
        Column a node asks about, int64; -1 marks a leaf.
    threshold
        float32; the left child is taken when ``x <= threshold``, or ``x < threshold`` if ``strict``.
    left, right
        Children as indexes into the same arrays, int64; 0 at leaves.
    missing_left
        Where NaN goes, bool.
    value
        float32, what a leaf adds to the sum.
    strict
        Which comparison the library trained with.
    """

    roots: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float32]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    missing_left: NDArray[np.bool_]
    value: NDArray[np.float32]
    strict: bool

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return len(self.roots)


def round_down(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round float64 thresholds to the largest float32 not above them.

    ``x <= t`` has the same answer for every float32 ``x`` then: no float32 lies between the two.

    Examples
    --------
    >>> bool(round_down(np.array([0.1]))[0] <= 0.1)
    True
    """
    with np.errstate(over="ignore"):  # beyond the largest float32 lies inf, and that is meant
        nearest = threshold.astype(np.float32)
        below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest.astype(np.float64) > threshold, below, nearest)
