"""What every estimator of a number shares: it is fitted, calibrated on other rows, and gives an interval."""

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from kurswerk.core.errors import ConflictError
from kurswerk.models._artifact import COLUMN_CONSTANT, FORECAST, Graph, build_artifact
from kurswerk.models._conformal import DEFAULT_COVERAGE, Calibration
from kurswerk.models._estimator import Estimator, Task
from kurswerk.models._matrix import BLOCK_ROWS, Rows, check_targets, row_blocks
from kurswerk.models._session import Session

Values = NDArray[np.float32]


class Forecasts(NamedTuple):
    """What a forecast model gives for some rows; float32 (n,) each, all but the probability in the target's unit.

    ``probability`` is that of a value above 0, ``low`` and ``high`` the ends of the interval.
    """

    probability: Values
    forecast: Values
    low: Values
    high: Values

    @classmethod
    def of(cls, outputs: NDArray[np.float32]) -> Self:
        """Take the columns of a graph's outputs, shape (n, 4)."""
        return cls(*(np.ascontiguousarray(column) for column in outputs.T))


class Regressor(Estimator):
    """An estimator of a number with an interval; `calibrate` it on rows it was not fitted on before it is exported.

    A family implements ``_train`` and ``_graph``; that graph leads to ``forecast`` alone, as `point_graph` makes it.
    """

    task: ClassVar[Task] = "regression"

    calibration_: Calibration | None = None
    _points: Session | None = None

    @override
    @staticmethod
    def _checked(X: NDArray[np.floating], y: NDArray[Any], rows: Rows | None) -> NDArray[Any]:
        return check_targets(X, y, rows)

    @abstractmethod
    def _graph(self) -> Graph:
        """Return the fitted model as ONNX nodes from features to the forecast; see `point_graph`."""

    def calibrate(
        self, X: NDArray[np.floating], y: NDArray[Any], rows: Rows | None = None, coverage: float = DEFAULT_COVERAGE
    ) -> Self:
        """Take the interval from the errors on rows that the model was not fitted on.

        Raises
        ------
        ConflictError
            Before :meth:`fit`.
        DataError
            If shapes disagree, a target is not finite, or there are too few rows for the coverage.
        """
        targets = check_targets(X, y, rows)
        forecasts = [self.points(block) for block in row_blocks(X, rows, BLOCK_ROWS)]
        self.calibration_ = Calibration.of(targets - np.concatenate(forecasts).astype(np.float64), coverage)
        self._session = None
        return self

    def points(self, X: NDArray[np.floating]) -> Values:
        """Return forecasts alone, float32 (n,), which needs no calibration."""
        if self._points is None:
            names = [f"f{column}" for column in range(self._fitted_width())]
            data = build_artifact(self._graph(), self.model_type, names, {})
            self._points = Session(data, threads=self.threads, compile_graph=self._compile_graph())
        return self._points.run(X)

    @override
    def fit(self, *given: Any, **named: Any) -> Self:
        self.calibration_, self._points = None, None
        return super().fit(*given, **named)

    def forecast(self, X: NDArray[np.floating]) -> Forecasts:
        """Return forecast, interval and probability of a rise, from the very graph that is served.

        Raises
        ------
        ConflictError
            Before :meth:`fit` or :meth:`calibrate`.
        DataError
            If the number of columns differs from the one fitted on.
        """
        return Forecasts.of(self._run(X))

    @override
    def predict_proba(self, X: NDArray[np.floating]) -> Values:
        return self.forecast(X).probability

    @override
    def _served_graph(self) -> Graph:
        if self.calibration_ is None:
            raise ConflictError("model.not_calibrated", model_type=self.model_type)
        return self.calibration_.graph(self._graph())


def point_graph(graph: Graph) -> Graph:
    """Return a graph whose nodes lead to ``forecast`` as one that gives it."""
    return Graph(graph.nodes, {**COLUMN_CONSTANT, **graph.constants}, (FORECAST,))
