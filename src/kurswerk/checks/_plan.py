"""The feature library as the checks use it."""

from collections.abc import Sequence

import numpy as np

from kurswerk.checks.ports import FeatureSet, Float
from kurswerk.features import FeaturePlan, LiveEngine
from kurswerk.market import Panel


class PlanFeatures(FeatureSet):
    """Features of a plan, batch through `FeaturePlan` and live through `LiveEngine`.

    Parameters
    ----------
    plan
        A model's features.

    Examples
    --------
    >>> from kurswerk.market import COINS
    >>> PlanFeatures(FeaturePlan(["price_change_5"], COINS)).inputs
    ('price_close',)
    """

    def __init__(self, plan: FeaturePlan) -> None:
        self._plan = plan

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
