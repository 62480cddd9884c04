"""Trees that forecast a number: XGBoost with squared errors, and a random forest."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto
from typing_extensions import override

from kurswerk.models._artifact import Graph
from kurswerk.models._estimator import HeldOut
from kurswerk.models._matrix import Matrix, Rows
from kurswerk.models._regressor import Regressor
from kurswerk.models._session import BlockFunction
from kurswerk.models.trees._boosting import Learnt, Loss, boosted, booster_trees, gain_shares
from kurswerk.models.trees._compiled import compile_prediction
from kurswerk.models.trees._ensemble import TreeEnsemble
from kurswerk.models.trees._forest import filled_rows, library_params, structure_of
from kurswerk.models.trees._forest_nodes import sum_targets, variance_decrease
from kurswerk.models.trees._graph import forecast_graph

# Digits of a float32; sums of leaves on a grid of so many digits below the largest possible sum are exact.
_EXACT_DIGITS = 24


class TreeRegressor(Regressor):
    """A regressor whose model is a :class:`TreeEnsemble`: the sum of its leaves, or with ``mean`` their mean."""

    mean: ClassVar[bool]

    trees_: TreeEnsemble

    @override
    @property
    def facts_(self) -> Mapping[str, int]:
        return {"trees": self.trees_.n_trees}

    @override
    def _train(
        self, X: NDArray[np.floating], y: NDArray[np.float64], rows: Rows | None, held_out: HeldOut | None
    ) -> NDArray[np.float64]:
        self.trees_, importance = self._grow(X, y, rows, held_out)
        return importance

    @abstractmethod
    def _grow(
        self, X: NDArray[np.floating], y: NDArray[np.float64], rows: Rows | None, held_out: HeldOut | None
    ) -> tuple[TreeEnsemble, NDArray[np.float64]]:
        """Return trees and importance; ``y`` holds the chosen rows' targets, ``X`` all rows."""

    @override
    def _compile_graph(self) -> Callable[[ModelProto], BlockFunction | None]:
        return compile_prediction

    @override
    def _graph(self) -> Graph:
        return forecast_graph(self.trees_, mean=self.mean)


class BoostingRegressor(TreeRegressor):
    """XGBoost's histogram trees with squared errors; see `GradientBoosting` for missing values and its end.

    ``booster_`` is XGBoost's own model.
    """

    model_type: ClassVar[str] = "xgboost_regressor"
    mean: ClassVar[bool] = False
    booster_: Any

    @override
    @property
    def stops_early(self) -> bool:
        return bool(self.params["early_stopping_rounds"])

    @override
    def _grow(
        self, X: NDArray[np.floating], y: NDArray[np.float64], rows: Rows | None, held_out: HeldOut | None
    ) -> tuple[TreeEnsemble, NDArray[np.float64]]:
        loss = Loss("reg:squarederror", "rmse")
        self.booster_ = boosted(self.params, self.threads, loss, Learnt(X, y, rows), held_out)
        return booster_trees(self.booster_), gain_shares(self.booster_, X.shape[1])


class ForestRegressor(TreeRegressor):
    """Breiman's forest for a number: each leaf holds the mean of all training rows that reach it.

    Missing values are the smallest value of all, as in `RandomForest`. Leaves lie on a binary grid so fine that the sum
    over trees is exact, whatever its order; the grid is a 2^24th of the largest sum that the trees could give.

    ``feature_importance_`` is the mean decrease of the squared error.

    References
    ----------
    Breiman, Random Forests, Machine Learning 45, 2001.
    """

    model_type: ClassVar[str] = "random_forest_regressor"
    mean: ClassVar[bool] = True

    @override
    def _grow(
        self, X: NDArray[np.floating], y: NDArray[np.float64], rows: Rows | None, held_out: HeldOut | None
    ) -> tuple[TreeEnsemble, NDArray[np.float64]]:
        del held_out  # every tree is grown whatever the others are worth
        from sklearnex.ensemble import RandomForestRegressor  # noqa: PLC0415 - beside what is imported with _forest

        filled = filled_rows(X, rows, len(y))
        grown = RandomForestRegressor(**library_params(self.params), n_jobs=self.threads)
        with np.errstate(over="ignore", invalid="ignore"):  # the library looks for NaN by a sum, which may overflow
            grown.fit(filled, y)
        trees = structure_of([tree.tree_ for tree in grown.estimators_])
        sums = self._sums(trees, filled, y)
        importance = variance_decrease(trees.roots, trees.feature, trees.left, trees.right, sums, X.shape[1])
        return _with_means(trees, sums), importance

    def _sums(self, trees: TreeEnsemble, filled: Matrix, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up targets in every node; each thread walks some of the trees, each tree in the order of its rows."""
        sums = np.zeros((len(trees.feature), 3))

        def walk(roots: NDArray[np.int64]) -> None:
            sum_targets(roots, trees.feature, trees.threshold, trees.left, trees.right, filled, y, sums)

        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(walk, np.array_split(trees.roots, min(self.threads, trees.n_trees))))
        return sums


def _with_means(trees: TreeEnsemble, sums: NDArray[np.float64]) -> TreeEnsemble:
    """Put the mean of each leaf's rows into it; a leaf that no row reaches takes its parent's."""
    mean = sums[:, 1] / np.maximum(sums[:, 0], 1.0)
    inner = np.flatnonzero(trees.feature >= 0)
    parent = np.zeros(len(mean), np.int64)
    parent[trees.left[inner]] = parent[trees.right[inner]] = inner
    for node in np.flatnonzero(sums[:, 0] == 0):  # parents stand before their children
        mean[node] = mean[parent[node]]
    leaf = trees.feature < 0
    largest = float(np.abs(mean[leaf]).max()) * trees.n_trees
    step = np.ldexp(1.0, int(np.frexp(largest)[1]) - _EXACT_DIGITS) if largest > 0 else 1.0
    exact = (np.rint(mean / step) * step).astype(np.float32)
    return replace(trees, value=np.where(leaf, exact, np.float32(0)))
