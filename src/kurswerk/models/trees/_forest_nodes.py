"""Walks through forests: class counts of every node, and what each split gained."""

import numpy as np
from numpy.typing import NDArray

from kurswerk.core.jit import kernel


@kernel
def count_classes(
    roots: NDArray[np.int64],
    feature: NDArray[np.int64],
    threshold: NDArray[np.float32],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    X: NDArray[np.float32],
    y: NDArray[np.int8],
    counts: NDArray[np.int64],
) -> None:
    """Add to ``counts`` (nodes, 2) the rows of both classes that pass each node of the given trees; X has no NaN."""
    for root in roots:
        for row in range(X.shape[0]):
            label = y[row]
            node = root
            counts[node, label] += 1
            while feature[node] >= 0:
                node = left[node] if X[row, feature[node]] <= threshold[node] else right[node]
                counts[node, label] += 1


@kernel
def sum_targets(
    roots: NDArray[np.int64],
    feature: NDArray[np.int64],
    threshold: NDArray[np.float32],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    X: NDArray[np.float32],
    y: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None:
    """Add to ``sums`` (nodes, 3) number, targets and squared targets of the rows that pass each node; X has no NaN."""
    for root in roots:
        for row in range(X.shape[0]):
            target = y[row]
            node = root
            while True:
                sums[node, 0] += 1.0
                sums[node, 1] += target
                sums[node, 2] += target * target
                if feature[node] < 0:
                    break
                node = left[node] if X[row, feature[node]] <= threshold[node] else right[node]


def variance_decrease(
    roots: NDArray[np.int64],
    feature: NDArray[np.int64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    sums: NDArray[np.float64],
    n_features: int,
) -> NDArray[np.float64]:
    """Return each feature's share of the decrease in squared error, as `impurity_decrease` does for Gini impurity."""
    squared_error = sums[:, 2] - sums[:, 1] ** 2 / np.maximum(sums[:, 0], 1.0)
    return _gain_shares(roots, feature, left, right, squared_error, n_features)


def impurity_decrease(
    roots: NDArray[np.int64],
    feature: NDArray[np.int64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    counts: NDArray[np.int64],
    n_features: int,
) -> NDArray[np.float64]:
    """Return each feature's share of the decrease in Gini impurity, averaged over trees.

    Every tree that was split counts the same. Shape (n_features,), sums to 1, or to 0 when no tree was split.

    References
    ----------
    Breiman et al., Classification and Regression Trees, 1984, section 5.3.4; Louppe, Understanding Random
    Forests, 2014.
    """
    total = counts.sum(axis=1).astype(np.float64)
    # Rows times Gini impurity 2 p (1 - p).
    impurity = 2.0 * counts[:, 0] * counts[:, 1] / np.maximum(total, 1.0)
    return _gain_shares(roots, feature, left, right, impurity, n_features)


def _gain_shares(
    roots: NDArray[np.int64],
    feature: NDArray[np.int64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    impurity: NDArray[np.float64],
    n_features: int,
) -> NDArray[np.float64]:
    """Return each feature's share of what its splits take from an impurity; every tree that was split counts alike."""
    inner = np.flatnonzero(feature >= 0)
    gain = np.maximum(impurity[inner] - impurity[left[inner]] - impurity[right[inner]], 0.0)
    tree = np.searchsorted(roots, inner, side="right") - 1
    per_tree = np.zeros((len(roots), n_features))
    np.add.at(per_tree, (tree, feature[inner]), gain)
    sums = per_tree.sum(axis=1, keepdims=True)
    shares: NDArray[np.float64] = np.divide(per_tree, sums, out=np.zeros_like(per_tree), where=sums > 0).sum(axis=0)
    return shares / max(float(shares.sum()), 1.0)
