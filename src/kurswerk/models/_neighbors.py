"""Nearest neighbours in units of given scales."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors


class ScaledNeighbors(NearestNeighbors):  # type: ignore[misc]  # scikit-learn has no type information
    """Brute-force Euclidean neighbours after every column has been divided by its scale, in float32.

    Parameters
    ----------
    n_neighbors
        How many, the row itself included when it is asked about.
    scale
        Positive, one per column.
    """

    def __init__(self, n_neighbors: int, scale: NDArray[np.float64]) -> None:
        super().__init__(n_neighbors=n_neighbors, algorithm="brute")
        self.scale = scale

    def fit(self, X: NDArray[np.float64], y: Any = None) -> Self:
        """Remember the rows."""
        self.center_ = X.mean(axis=0)
        super().fit(self._scaled(X), y)
        return self

    def kneighbors(self, X: NDArray[np.float64], n_neighbors: int | None = None, return_distance: bool = True) -> Any:
        """Return distances, if asked for, and indexes of the nearest rows of the fit."""
        return super().kneighbors(self._scaled(X), n_neighbors, return_distance)

    def _scaled(self, X: NDArray[np.float64]) -> NDArray[np.float32]:
        scaled: NDArray[np.float32] = ((X - self.center_) / self.scale).astype(np.float32)
        return scaled
