"""Logistic regression on standardised features, the standardisation inside the ONNX graph."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper
from typing_extensions import override

from kurswerk.models._artifact import (
    INPUT,
    LOGISTIC_CONSTANTS,
    LOGISTIC_OPERATORS,
    Graph,
    logistic_nodes,
    operators,
)
from kurswerk.models._estimator import Estimator, HeldOut
from kurswerk.models._family import ModelFamily
from kurswerk.models._hyper_parameters import HyperParameters, Integer, Number, parameter, random_state
from kurswerk.models._matrix import Matrix, Rows, row_blocks

# The bounds of a column come from an even sample; 65 values lie beyond each of them there.
_SAMPLE_ROWS = 1 << 16
_BEYOND = 0.001

Float64 = NDArray[np.float64]


class LogisticRegressionParams(HyperParameters):
    """Hyper-parameters of logistic regression with an L2 penalty."""

    C: Number = parameter(
        1.0, "Inverse penalty", "Smaller values pull coefficients towards 0.", basic=True, gt=0, le=1e9
    )
    max_iter: Integer = parameter(
        100, "Most iterations", "Newton's method mostly needs fewer than 20.", basic=True, ge=1, le=10_000
    )
    tol: Number = parameter(1e-6, "Tolerance", "Ends when no gradient is larger.", gt=0, le=1)
    random_state: Integer = random_state()


@dataclass(frozen=True, eq=False)
class Standardisation:
    """What turns a feature into units of its standard deviation, one number per column.

    A value beyond ``low`` or ``high``, the 0.1 % and 99.9 % quantiles of the rows trained on, counts as that bound, so
    that a few huge values neither set the scale nor decide a prediction. A missing value counts as ``mean``, which is
    kept in float32 so that it becomes exactly 0. ``scale`` is the standard deviation, 1 where it is 0.
    """

    low: Matrix
    high: Matrix
    mean: Matrix
    scale: Float64


class LogisticRegression(Estimator):
    """p = 1 / (1 + exp(-(intercept + sum of coefficient × standardised feature))), coefficients with an L2 penalty.

    ``feature_importance_`` is the share of each coefficient's magnitude: features are in units of their standard
    deviation, so the magnitudes compare. ``coefficients_`` (f,) and ``intercept_`` are float64. A column without two
    different values has the coefficient 0.

    References
    ----------
    Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2009, section 4.4.
    """

    model_type: ClassVar[str] = "logistic_regression"

    standardisation_: Standardisation
    coefficients_: Float64
    intercept_: float
    iterations_: int

    @override
    @property
    def facts_(self) -> Mapping[str, int]:
        return {"iterations": self.iterations_}

    @override
    def _train(
        self, X: NDArray[np.floating], y: NDArray[np.int8], rows: Rows | None, held_out: HeldOut | None
    ) -> Float64:
        del held_out  # Newton's method ends by its gradient
        values = _clipped(X, rows, len(y))
        self.standardisation_ = _standardise(values.low, values.high, values.design)
        varying = np.flatnonzero(np.any(values.design != 0, axis=0))
        self.coefficients_ = np.zeros(X.shape[1])
        self.intercept_, self.iterations_ = float(np.log(y.mean() / (1 - y.mean()))), 0
        if varying.size:
            self._solve(values.design[:, varying], y, varying)
        magnitude = np.abs(self.coefficients_)
        total = magnitude.sum()
        importance: Float64 = magnitude / total if total > 0 else magnitude
        return importance

    def _solve(self, design: Float64, y: NDArray[np.int8], varying: NDArray[np.int64]) -> None:
        # These take a second to import, and a server that only predicts never fits.
        from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 - slow to import
        from sklearn.linear_model import LogisticRegression as Solver  # noqa: PLC0415 - slow to import
        from threadpoolctl import threadpool_limits  # noqa: PLC0415 - slow to import

        settings = {name: self.params[name] for name in ("C", "max_iter", "tol")}
        solver = Solver(solver="newton-cholesky", **settings)
        # One thread: BLAS cuts its sums by threads, so that another number of them would give other bits.
        with threadpool_limits(limits=1, user_api="blas"), warnings.catch_warnings():
            # Where max_iter ends it, the model is the last step's; iterations_ shows that.
            warnings.simplefilter("ignore", ConvergenceWarning)
            solver.fit(design, y)
        self.coefficients_[varying] = solver.coef_[0]
        self.intercept_, self.iterations_ = float(solver.intercept_[0]), int(solver.n_iter_[0])

    @override
    def _graph(self) -> Graph:
        width = self.n_features_
        padded = 1 << (width - 1).bit_length()
        nodes = [*_standardising_nodes(), *_sum_nodes("terms", padded), *_margin_nodes()]
        found = self.standardisation_
        constants: dict[str, NDArray[Any]] = {
            "mean": found.mean,
            "low": found.low,
            "high": found.high,
            "wide_mean": found.mean.astype(np.float64),
            "scale": found.scale,
            "coefficients": self.coefficients_,
            "padding": np.array([0, 0, 0, padded - width], np.int64),
            "intercept": np.array(self.intercept_, np.float64),
        }
        return Graph(nodes, {**constants, **LOGISTIC_CONSTANTS})


@dataclass(frozen=True, eq=False)
class _Clipped:
    design: Float64
    low: Matrix
    high: Matrix


def _clipped(X: NDArray[np.floating], rows: Rows | None, count: int) -> _Clipped:
    """Return the chosen rows in float64, limited to their columns' bounds, NaN where a value is missing."""
    low, high = _bounds(X, rows, count)
    design = np.empty((count, X.shape[1]))
    at = 0
    for block in row_blocks(X, rows):
        design[at : at + len(block)] = np.clip(block, low, high)
        at += len(block)
    return _Clipped(design, low, high)


def _bounds(X: NDArray[np.floating], rows: Rows | None, count: int) -> tuple[Matrix, Matrix]:
    """Return the quantiles of each column over an even sample of the rows; 0 and 0 where all values are missing."""
    sample = np.linspace(0, count - 1, min(count, _SAMPLE_ROWS)).astype(np.int64)
    chosen = sample if rows is None else rows[sample]
    columns = np.sort(np.concatenate([block.copy() for block in row_blocks(X, chosen)]), axis=0)  # NaN come last
    last = np.maximum(np.count_nonzero(~np.isnan(columns), axis=0) - 1, 0)
    places = [np.rint(share * last).astype(np.int64)[np.newaxis] for share in (_BEYOND, 1 - _BEYOND)]
    low, high = (np.nan_to_num(np.take_along_axis(columns, place, axis=0)[0]) for place in places)
    return low, high


def _standardise(low: Matrix, high: Matrix, design: Float64) -> Standardisation:
    """Standardise a design matrix in place; what is missing becomes 0."""
    missing = np.isnan(design)
    present = np.maximum(len(design) - np.count_nonzero(missing, axis=0), 1)
    design[missing] = 0.0
    mean = (design.sum(axis=0) / present).astype(np.float32)
    design -= mean
    design[missing] = 0.0
    deviation = np.sqrt(np.square(design).sum(axis=0) / present)
    scale = np.where(deviation > 0, deviation, 1.0)
    design /= scale
    return Standardisation(low, high, mean, scale)


def _standardising_nodes() -> list[NodeProto]:
    """Return coefficient × standardised feature of every value, float64 (n, f).

    All are element-wise, and each result is the exactly rounded one of IEEE 754, whatever stands beside it.
    """
    return [
        helper.make_node("IsNaN", [INPUT], ["missing"], name="missing"),
        helper.make_node("Where", ["missing", "mean", INPUT], ["filled"], name="filled"),
        helper.make_node("Max", ["filled", "low"], ["not_below"], name="not_below"),
        helper.make_node("Min", ["not_below", "high"], ["limited"], name="limited"),
        helper.make_node("Cast", ["limited"], ["wide"], name="wide", to=TensorProto.DOUBLE),
        helper.make_node("Sub", ["wide", "wide_mean"], ["centred"], name="centred"),
        helper.make_node("Div", ["centred", "scale"], ["standardised"], name="standardised"),
        helper.make_node("Mul", ["standardised", "coefficients"], ["terms"], name="terms"),
    ]


def _sum_nodes(terms: str, padded: int) -> list[NodeProto]:
    """Return the sum over columns as ``sum`` (n, 1): halves are added until one column is left.

    MatMul and ReduceSum add in an order that depends on how many rows there are and where a row lies in memory, so that
    a row alone would have other bits than in a batch. An element-wise Add has one order.
    """
    nodes = [helper.make_node("Pad", [terms, "padding"], [f"sum_{padded}"], name="padded")]
    width = padded
    while width > 1:
        halves = [f"left_{width // 2}", f"right_{width // 2}"]
        nodes.append(helper.make_node("Split", [f"sum_{width}"], halves, name=f"halves_{width}", axis=1, num_outputs=2))
        width //= 2
        nodes.append(helper.make_node("Add", halves, [f"sum_{width}"], name=f"sum_{width}"))
    return nodes


def _margin_nodes() -> list[NodeProto]:
    return [
        helper.make_node("Add", ["sum_1", "intercept"], ["wide_margin"], name="wide_margin"),
        helper.make_node("Cast", ["wide_margin"], ["margin"], name="margin", to=TensorProto.FLOAT),
        *logistic_nodes("margin"),
    ]


LOGISTIC_REGRESSION = ModelFamily(
    name="logistic_regression",
    title="Logistic regression",
    description="The simplest, a yardstick for the others.",
    hyper_parameters=LogisticRegressionParams,
    operators=LOGISTIC_OPERATORS | operators("IsNaN", "Where", "Max", "Min", "Cast", "Sub", "Mul", "Pad", "Split"),
    estimator=lambda: LogisticRegression,
    facts={"iterations": "Iterations"},
)
