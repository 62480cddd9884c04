"""Random forest, grown by oneDAL through scikit-learn-intelex."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearnex.ensemble import RandomForestClassifier
from typing_extensions import override

from kurswerk.models._estimator import HeldOut
from kurswerk.models._matrix import LOWEST, Matrix, Rows, row_blocks
from kurswerk.models.trees._classifier import TreeClassifier
from kurswerk.models.trees._ensemble import TreeEnsemble, round_down
from kurswerk.models.trees._forest_nodes import count_classes, impurity_decrease
from kurswerk.models.trees._graph import Link

# A float32 holds 24 binary digits and a sign. Leaves that lie in [-1/2, 1/2] on a grid of 2^-(25 - log2(trees)) add up
# without rounding, in any order.
_EXACT_DIGITS = 25
_SHARED_PARAMS = ("n_estimators", "max_depth", "min_samples_split", "min_samples_leaf", "max_features", "random_state")


class RandomForest(TreeClassifier):
    """Breiman's forest: trees on bootstrap samples with a random choice of features at every split, Gini impurity.

    Missing values are the smallest value of all while growing, so they go left at every split and splits can single
    them out; nothing is imputed. Probabilities are the mean over trees of the positive share among *all* training rows
    in a leaf, kept in binary fixed point (18 digits for 100 trees) so that the sum over trees is exact: the same bits
    in any order of summation, and p >= 0.5 exactly where that sum reaches one half.

    ``feature_importance_`` is the mean decrease of impurity.

    References
    ----------
    Breiman, Random Forests, Machine Learning 45, 2001.
    """

    model_type: ClassVar[str] = "random_forest"
    link: ClassVar[Link] = "mean"

    @override
    def _grow(
        self, X: NDArray[np.floating], y: NDArray[np.int8], rows: Rows | None, held_out: HeldOut | None
    ) -> tuple[TreeEnsemble, NDArray[np.float64]]:
        del held_out  # every tree is grown whatever the others are worth
        filled = filled_rows(X, rows, len(y))
        grown = RandomForestClassifier(**library_params(self.params), n_jobs=self.threads)
        with np.errstate(over="ignore", invalid="ignore"):  # the library looks for NaN by a sum, which may overflow
            grown.fit(filled, y)
        structure = structure_of([tree.tree_ for tree in grown.estimators_])
        counts = self._count(structure, filled, y)
        trees = _with_leaves(structure, _positive_share(structure, counts))
        return trees, impurity_decrease(trees.roots, trees.feature, trees.left, trees.right, counts, X.shape[1])

    @classmethod
    def from_scikit_learn(cls, forest: Any, threads: int | None = None) -> Self:
        """Take over a fitted binary forest of scikit-learn; see :func:`kurswerk.models.trees.from_scikit_learn`."""
        grown = [tree.tree_ for tree in forest.estimators_]
        structure = structure_of(grown)
        missing_left = np.concatenate([tree.missing_go_to_left for tree in grown]).astype(np.bool_)
        weights = np.concatenate([tree.value[:, 0, :] for tree in grown])
        model = cls({name: getattr(forest, name) for name in _SHARED_PARAMS}, threads)
        model.n_features_ = int(forest.n_features_in_)
        model.feature_importance_ = np.asarray(forest.feature_importances_, np.float64)
        share = weights[:, 1] / weights.sum(axis=1)
        model.trees_ = replace(_with_leaves(structure, share), missing_left=missing_left & (structure.feature >= 0))
        return model

    def _count(self, trees: TreeEnsemble, filled: Matrix, y: NDArray[np.int8]) -> NDArray[np.int64]:
        """Count both classes in every node; each thread walks some of the trees."""
        counts = np.zeros((len(trees.feature), 2), np.int64)

        def walk(roots: NDArray[np.int64]) -> None:
            count_classes(roots, trees.feature, trees.threshold, trees.left, trees.right, filled, y, counts)

        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(walk, np.array_split(trees.roots, min(self.threads, trees.n_trees))))
        return counts


def filled_rows(X: NDArray[np.floating], rows: Rows | None, count: int) -> Matrix:
    """Return the chosen rows with the lowest value for every missing one."""
    filled = np.empty((count, X.shape[1]), np.float32)
    at = 0
    for block in row_blocks(X, rows, missing=LOWEST):
        filled[at : at + len(block)] = block
        at += len(block)
    return filled


def library_params(params: dict[str, object]) -> dict[str, object]:
    """Return hyper-parameters as scikit-learn takes them."""
    own = dict(params)
    if not own["bootstrap"]:
        own["max_samples"] = None  # scikit-learn refuses a sample size without bootstrap
    return own


def structure_of(grown: list[object]) -> TreeEnsemble:
    """Return the trees of a library without what their leaves hold."""
    sizes = [tree.node_count for tree in grown]  # type: ignore[attr-defined]  # scikit-learn has no type information
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    at_root = np.repeat(roots, sizes)

    def column(name: str) -> NDArray[np.float64]:
        return np.concatenate([getattr(tree, name) for tree in grown])

    left, right = column("children_left").astype(np.int64), column("children_right").astype(np.int64)
    leaf = left < 0
    return TreeEnsemble(
        roots=roots,
        feature=np.where(leaf, -1, column("feature").astype(np.int64)),
        threshold=np.where(leaf, np.float32(0), round_down(column("threshold"))),
        left=np.where(leaf, 0, left + at_root),
        right=np.where(leaf, 0, right + at_root),
        missing_left=~leaf,
        value=np.zeros(len(leaf), np.float32),
        strict=False,
    )


def _with_leaves(trees: TreeEnsemble, share: NDArray[np.float64]) -> TreeEnsemble:
    digits = _EXACT_DIGITS - (trees.n_trees - 1).bit_length()
    fixed = np.ldexp(np.rint(np.ldexp(share - 0.5, digits)), -digits).astype(np.float32)
    return replace(trees, value=np.where(trees.feature < 0, fixed, np.float32(0)))


def _positive_share(trees: TreeEnsemble, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the positive share of every node; a node that no row reaches takes its parent's.

    oneDAL splits by bins and rounds their borders to thresholds afterwards; a row at the border may then fall on the
    other side than it did while growing, and a side of one row be left without any.
    """
    total = counts.sum(axis=1)
    share: NDArray[np.float64] = counts[:, 1] / np.maximum(total, 1)
    inner = np.flatnonzero(trees.feature >= 0)
    parent = np.zeros(len(total), np.int64)
    parent[trees.left[inner]] = parent[trees.right[inner]] = inner
    for node in np.flatnonzero(total == 0):  # parents stand before their children
        share[node] = share[parent[node]]
    return share
