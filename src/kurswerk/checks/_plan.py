"""The feature library as the laws look at it."""

from collections.abc import Sequence

import numpy as np

from kurswerk.checks.ports import FeatureSet, Float
from kurswerk.features import FeaturePlan, LiveEngine
from kurswerk.market import Panel


class PlanFeatures(FeatureSet):
    """Named features, batch through `FeaturePlan` and live through `LiveEngine`.

    Parameters
    ----------
    names
        As in a model's feature list.

    Raises
    ------
    UnknownNameError
        If a name means no feature.

    Examples
    --------
    >>> PlanFeatures(["price_change_5"]).inputs
    ('price_close',)
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._plan = FeaturePlan(names)

    @property
    def names(self) -> Sequence[str]:
        """Names, in the order of the matrix's columns."""
        return self._plan.names

    @property
    def lookbacks(self) -> Sequence[int | None]:
        """Rows each feature looks at, its own included; None = recursive."""
        return tuple(feature.lookback for feature in self._plan.features)

    @property
    def ranges(self) -> Sequence[tuple[float, float]]:
        """Lowest and highest value that each feature declares."""
        return tuple(feature.range for feature in self._plan.features)

    @property
    def inputs(self) -> Sequence[str]:
        """Columns of the panel that the live path takes, in order."""
        return self._plan.inputs

    def batch(self, panel: Panel) -> Float:
        """Return all features of all rows, float64 of shape (n_rows, n_features)."""
        return np.asarray(self._plan.compute(panel), dtype=np.float64)

    def live(self) -> LiveEngine:
        """Return an engine that has seen no row."""
        return LiveEngine(self._plan)
