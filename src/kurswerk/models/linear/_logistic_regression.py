"""Logistic regression on standardised features, the standardisation inside the ONNX graph."""

import warnings
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper
from typing_extensions import override

from kurswerk.models._artifact import LOGISTIC_CONSTANTS, LOGISTIC_OPERATORS, Graph, logistic_nodes
from kurswerk.models._estimator import Estimator, HeldOut
from kurswerk.models._family import ModelFamily
from kurswerk.models._hyper_parameters import HyperParameters, Integer, Number, parameter, random_state
from kurswerk.models._matrix import Rows
from kurswerk.models.linear._standardisation import (
    SUM_OPERATORS,
    Standardisation,
    magnitude_shares,
    standardise,
    weighted_sum,
)

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
        self.standardisation_, design = standardise(X, rows, len(y))
        varying = np.flatnonzero(np.any(design != 0, axis=0))
        self.coefficients_ = np.zeros(X.shape[1])
        self.intercept_, self.iterations_ = float(np.log(y.mean() / (1 - y.mean()))), 0
        if varying.size:
            self._solve(design[:, varying], y, varying)
        return magnitude_shares(self.coefficients_)

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
        nodes, constants = weighted_sum(self.standardisation_, self.coefficients_, self.intercept_)
        return Graph([*nodes, *_margin_nodes()], {**constants, **LOGISTIC_CONSTANTS})


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
    operators=LOGISTIC_OPERATORS | SUM_OPERATORS,
    estimator=lambda: LogisticRegression,
    facts={"iterations": "Iterations"},
)
