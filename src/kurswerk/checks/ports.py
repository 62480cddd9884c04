"""What checks and probes need of features, labels, folds and fitted steps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kurswerk.features import FeaturePlan
from kurswerk.market import MarketSchema, Panel

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Labels8 = NDArray[np.int8]


class LiveFeatures(Protocol):
    """Computes rows as they arrive; `kurswerk.features.LiveEngine` is one.

    A row that is not newer than its coin's last is refused with a DataError before any state changes.
    """

    def update(self, keys: Sequence[str], timestamps: Int, values: Float) -> Float:
        """Take n rows, ``values`` of shape (n, n_inputs), and return their features, shape (n, n_features)."""
        ...

    def rebuild(self, history: Panel) -> Any:
        """Forget the coins of ``history`` and replay its rows."""
        ...

    def snapshot(self, key: str) -> bytes:
        """Return the state of a coin."""
        ...

    def restore(self, key: str, blob: bytes) -> Any:
        """Take over the state of a coin."""
        ...


class FeatureSet(Protocol):
    """A vector of features; `PlanFeatures` makes one of a `kurswerk.features.FeaturePlan`."""

    @property
    def names(self) -> Sequence[str]:
        """Names, in the order of the matrix's columns."""
        ...

    @property
    def lookbacks(self) -> Sequence[int | None]:
        """Rows each feature looks at, its own included; None = recursive."""
        ...

    @property
    def inputs(self) -> Sequence[str]:
        """Columns of the panel that the live path takes, in order."""
        ...

    def batch(self, panel: Panel) -> Float:
        """Return all features of all rows, float64 of shape (n_rows, n_features)."""
        ...

    def live(self) -> LiveFeatures:
        """Return a live path that has seen no row."""
        ...


class LabelRows(Protocol):
    """Labels of all rows of a panel; `kurswerk.labels.Labels` is one."""

    @property
    def values(self) -> Labels8:
        """1, 0, or -1 where the label is unknown; shape (n_rows,)."""
        ...

    @property
    def end_us(self) -> Int:
        """Moment up to and including which each label looks; shape (n_rows,)."""
        ...


LabelFunction = Callable[[Panel], LabelRows]
DeadlineFunction = Callable[[Panel], Int | None]
"""Panel → moment up to which each row's label may look, microseconds, shape (n_rows,); None: up to the next row."""


class FoldRows(Protocol):
    """One fold; `kurswerk.evaluation.Fold` is one."""

    @property
    def train(self) -> Int:
        """Row numbers of the training part."""
        ...

    @property
    def test(self) -> Int:
        """Row numbers of the test part."""
        ...

    @property
    def test_start_us(self) -> int:
        """Moment the test part begins."""
        ...


SplitFunction = Callable[[Int, Int, Int], Sequence[FoldRows]]
"""(timestamps, label_end_us, embargo_us) → folds."""


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """The rows a model is trained from, before any fold is cut and any step is fitted.

    Attributes
    ----------
    X
        Features as the model takes them, float32 or float64, shape (n, n_features).
    y
        int8 labels, 0 or 1; shape (n,).
    timestamps, label_end_us, embargo_us
        Moment of each row, moment up to which its label looks, and gap that must lie between that and the start of the
        test part; microseconds, shape (n,).
    codes
        Number of each row's instrument in the panel; shape (n,).
    panel_rows
        Number of each row in the panel, each at most once; shape (n,).
    returns
        What a forecast model learns instead of the labels, float64 (n,); None for others.
    """

    X: NDArray[Any]
    y: Labels8
    timestamps: Int
    label_end_us: Int
    embargo_us: Int
    codes: Int
    panel_rows: Int
    returns: Float | None = None

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: Int) -> "TrainingRows":
        """Return some of the rows, in the order given."""
        return TrainingRows(
            self.X[rows],
            self.y[rows],
            self.timestamps[rows],
            self.label_end_us[rows],
            self.embargo_us[rows],
            self.codes[rows],
            self.panel_rows[rows],
            None if self.returns is None else self.returns[rows],
        )


class FittedFold(Protocol):
    """Every step fitted on a fold's training part: resampler, scaler, selection, threshold, model."""

    def predict_proba(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return the probability of class 1 of rows as in ``TrainingRows.X``, shape (n,)."""
        ...

    def state(self) -> Mapping[str, Any]:
        """Return all that was fitted, by name: arrays, bytes, numbers or text (e.g. the ONNX bytes, the threshold)."""
        ...


@dataclass(frozen=True)
class Comparisons:
    """What of a pipeline compares the instruments of a moment.

    Attributes
    ----------
    plan
        The features, where some do; None where none does.
    label_market
        The market at whose moments labels do; None where they do not.
    """

    plan: FeaturePlan | None = None
    label_market: MarketSchema | None = None

    @property
    def market(self) -> MarketSchema | None:
        """The market whose moments must stay whole; None where nothing compares."""
        return self.label_market if self.plan is None else self.plan.market


class Pipeline(Protocol):
    """From a panel to fitted folds, as a model is really trained; the subject of the probes."""

    @property
    def features(self) -> FeatureSet:
        """The model's feature vector."""
        ...

    @property
    def comparisons(self) -> Comparisons:
        """What of the pipeline compares instruments."""
        ...

    def deadlines(self, panel: Panel) -> Int | None:
        """Return up to which moment each row's label may look; None where it looks at the next row."""
        ...

    def labels(self, panel: Panel) -> LabelRows:
        """Return the labels of all rows of a panel."""
        ...

    def training_rows(self, panel: Panel) -> TrainingRows:
        """Return the rows that training begins with."""
        ...

    def folds(self, rows: TrainingRows) -> Sequence[FoldRows]:
        """Cut folds; their row numbers count within ``rows``."""
        ...

    def fit_fold(self, rows: TrainingRows, fold: FoldRows) -> FittedFold:
        """Fit every step for one fold. All rows are handed over; only ``fold.train`` may matter."""
        ...


class Fittable(Protocol):
    """A model that can be fitted and exported; `kurswerk.models.Estimator` is one."""

    def fit(self, X: NDArray[np.float32], y: Labels8) -> Any:
        """Learn from rows, shape (n, n_features), and labels 0 or 1."""
        ...

    def predict_proba(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of class 1, shape (n,)."""
        ...

    @property
    def feature_importance_(self) -> NDArray[Any]:
        """Share of each feature, shape (n_features,)."""
        ...

    def to_onnx(self, feature_names: Sequence[str], metadata: Mapping[str, str]) -> bytes:
        """Return the artifact."""
        ...


class Served(Protocol):
    """A loaded artifact; `kurswerk.models.OnnxModel` is one."""

    @property
    def feature_names(self) -> Sequence[str]:
        """Names the artifact was written with."""
        ...

    @property
    def metadata(self) -> Mapping[str, str]:
        """Texts the artifact was written with."""
        ...

    def predict_proba(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of class 1, shape (n,)."""
        ...


ResampleFunction = Callable[[NDArray[np.float32], Labels8, int], tuple[NDArray[np.float32], Labels8]]
"""(X, y, random_state) → (X, y)."""
