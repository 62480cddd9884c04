"""Linear regression with an L2 penalty on standardised features, the standardisation inside the ONNX graph."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper
from typing_extensions import override

from kurswerk.models._artifact import FORECAST, Graph, as_output, operators
from kurswerk.models._conformal import INTERVAL_OPERATORS
from kurswerk.models._estimator import HeldOut
from kurswerk.models._family import ModelFamily
from kurswerk.models._hyper_parameters import HyperParameters, Integer, Number, parameter, random_state
from kurswerk.models._matrix import Rows
from kurswerk.models._regressor import Regressor, point_graph
from kurswerk.models.linear._standardisation import (
    SUM_OPERATORS,
    Standardisation,
    magnitude_shares,
    standardise,
    weighted_sum,
)

Float64 = NDArray[np.float64]

# Not ``low`` and ``high``, which are outputs of a forecast.
_LIMITS = ("lower_limit", "upper_limit")


class RidgeParams(HyperParameters):
    """Hyper-parameters of linear regression with an L2 penalty."""

    alpha: Number = parameter(1.0, "Penalty", "Larger values pull coefficients towards 0.", basic=True, gt=0, le=1e12)
    random_state: Integer = random_state()


class Ridge(Regressor):
    """f = intercept + sum of coefficient × standardised feature, squared errors plus ``alpha`` × squared coefficients.

    ``feature_importance_`` is the share of each coefficient's magnitude. ``coefficients_`` (f,) and ``intercept_`` are
    float64. A column without two different values has the coefficient 0.

    References
    ----------
    Hoerl and Kennard, Ridge Regression, Technometrics 12, 1970.
    """

    model_type: ClassVar[str] = "ridge"

    standardisation_: Standardisation
    coefficients_: Float64
    intercept_: float

    @override
    @property
    def facts_(self) -> Mapping[str, int]:
        return {"coefficients": int(np.count_nonzero(self.coefficients_))}

    @override
    def _train(
        self, X: NDArray[np.floating], y: NDArray[np.float64], rows: Rows | None, held_out: HeldOut | None
    ) -> Float64:
        del held_out  # solved at once
        from threadpoolctl import threadpool_limits  # noqa: PLC0415 - servers never fit

        self.standardisation_, design = standardise(X, rows, len(y))
        varying = np.flatnonzero(np.any(design != 0, axis=0))
        self.coefficients_, self.intercept_ = np.zeros(X.shape[1]), float(y.mean())
        if varying.size:
            # One thread: BLAS cuts its sums by threads, so that another number of them would give other bits.
            with threadpool_limits(limits=1, user_api="blas"):
                self._solve(np.ascontiguousarray(design[:, varying]), y, varying)
        return magnitude_shares(self.coefficients_)

    def _solve(self, design: Float64, y: Float64, varying: NDArray[np.int64]) -> None:
        # The mean that was taken from each column was rounded to float32.
        mean = design.mean(axis=0)
        centred = design - mean
        penalised = centred.T @ centred + self.params["alpha"] * np.eye(len(varying))
        found = np.linalg.solve(penalised, centred.T @ (y - self.intercept_))
        self.coefficients_[varying] = found
        self.intercept_ -= float(mean @ found)

    @override
    def _graph(self) -> Graph:
        nodes, constants = weighted_sum(self.standardisation_, self.coefficients_, self.intercept_, _LIMITS)
        narrow = [
            helper.make_node("Add", ["sum_1", "intercept"], ["wide_forecast"], name="wide_forecast"),
            helper.make_node("Cast", ["wide_forecast"], ["narrow_forecast"], name="narrow", to=TensorProto.FLOAT),
            as_output("narrow_forecast", FORECAST),
        ]
        return point_graph(Graph([*nodes, *narrow], constants))


RIDGE = ModelFamily(
    name="ridge",
    title="Linear regression (ridge), forecast",
    description="Forecasts a return; the simplest, a yardstick for the others.",
    hyper_parameters=RidgeParams,
    operators=SUM_OPERATORS | INTERVAL_OPERATORS | operators("Reshape"),
    estimator=lambda: Ridge,
    task="regression",
    facts={"coefficients": "Coefficients that are not 0"},
)
