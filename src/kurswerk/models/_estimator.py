"""What every estimator shares: fit, predict, export as an artifact."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numba
import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from kurswerk.core.errors import ConflictError, DataError, SpecError
from kurswerk.models._artifact import Graph, build_artifact
from kurswerk.models._matrix import Rows, check_training
from kurswerk.models._session import BlockFunction, Session

HeldOut = tuple[NDArray[np.floating], NDArray[Any]]
Task = Literal["classification", "regression"]


class Estimator(ABC):
    """A binary classifier over a feature matrix; made by :func:`kurswerk.models.create`.

    Fitting is deterministic: the same rows, parameters and ``random_state`` give the same artifact bytes, with any
    number of threads. A family implements :meth:`_train` and :meth:`_graph`.

    Parameters
    ----------
    params
        Complete hyper-parameters, see :func:`kurswerk.models.model_params`.
    threads
        Threads for fitting and for large batches; None takes all cores.

    Attributes
    ----------
    feature_importance_
        float64 (f,), shares that sum to 1; all 0 when no feature is informative.
    n_features_
        Number of columns fitted on.
    """

    model_type: ClassVar[str]
    task: ClassVar[Task] = "classification"

    feature_importance_: NDArray[np.float64]
    n_features_: int

    def __init__(self, params: Mapping[str, Any], threads: int | None = None) -> None:
        self.params = dict(params)
        self.threads = int(numba.config.NUMBA_NUM_THREADS) if threads is None else max(1, threads)
        self._session: Session | None = None

    @property
    def stops_early(self) -> bool:
        """Whether :meth:`fit` asks for rows held out to find its end."""
        return False

    @property
    def facts_(self) -> Mapping[str, int]:
        """Numbers that describe the fitted model, such as how many trees it has; titles in the family's ``facts``."""
        return {}

    def fit(
        self,
        X: NDArray[np.floating],
        y: NDArray[Any],
        rows: Rows | None = None,
        *,
        held_out: HeldOut | None = None,
    ) -> Self:
        """Train on a feature matrix.

        Parameters
        ----------
        X
            Shape (n, f), float32 or float64, any memory order; NaN is a missing value, ±inf is limited to the largest
            float32. Never changed.
        y
            Shape (n,), 0 or 1 in the rows trained on.
        rows
            int64 indexes of the rows to train on, None for all. Cheaper than ``fit(X[rows], y[rows])``, same result.
        held_out
            X and y of other rows, of both classes, for an estimator that ``stops_early``; the others have no use for
            them.

        Raises
        ------
        DataError
            If shapes disagree, labels are not 0 or 1, nothing is left to train on, or only one class occurs.
        """
        labels = self._checked(X, y, rows)
        if held_out is not None:
            self._checked(*held_out, None)
        self._session = None
        self.n_features_ = X.shape[1]
        self.feature_importance_ = self._train(X, labels, rows, held_out)
        return self

    @staticmethod
    def _checked(X: NDArray[np.floating], y: NDArray[Any], rows: Rows | None) -> NDArray[Any]:
        """Refuse what the family cannot learn from, and return what it is to learn of the chosen rows."""
        return check_training(X, y, rows)

    @abstractmethod
    def _train(
        self, X: NDArray[np.floating], y: NDArray[Any], rows: Rows | None, held_out: HeldOut | None
    ) -> NDArray[np.float64]:
        """Fit and return the importance; ``y`` holds the chosen rows' labels, ``X`` all rows."""

    @abstractmethod
    def _graph(self) -> Graph:
        """Return the fitted model as ONNX nodes from features to probability."""

    def _compile_graph(self) -> Callable[[ModelProto], BlockFunction | None] | None:
        """Return the family's faster way to compute a graph, if it has one."""
        return None

    def predict_proba(self, X: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the probability of the positive class, float32 (n,), from the very graph that is served.

        Raises
        ------
        ConflictError
            Before :meth:`fit`.
        DataError
            If the number of columns differs from the one fitted on.
        """
        return self._run(X)

    def _run(self, X: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return all outputs of the graph that is served."""
        width = self._fitted_width()
        if X.ndim != 2 or X.shape[1] != width:
            raise DataError("model.features_of_other_width", shape=str(X.shape), width=width)
        if self._session is None:
            data = self.to_onnx([f"f{column}" for column in range(width)], {})
            self._session = Session(data, threads=self.threads, compile_graph=self._compile_graph())
        return self._session.run(X)

    def to_onnx(self, feature_names: Sequence[str], metadata: Mapping[str, Any]) -> bytes:
        """Export the fitted model.

        Parameters
        ----------
        feature_names
            One name per column, in order.
        metadata
            JSON kept with the model, e.g. hashes of the features' definitions.

        Returns
        -------
        bytes
            ONNX, ended by the SHA-256 of what stands before; read by :class:`OnnxModel`.

        Raises
        ------
        ConflictError
            Before :meth:`fit`.
        SpecError
            If names do not match the columns, or metadata is no JSON.
        """
        width = self._fitted_width()
        names = list(feature_names)
        if len(names) != width or len(set(names)) != len(names):
            raise SpecError("model.feature_names_differ", names=len(set(names)), width=width)
        return build_artifact(self._served_graph(), self.model_type, names, metadata)

    def _served_graph(self) -> Graph:
        """Return the graph with everything that is served beside the model itself."""
        return self._graph()

    def _fitted_width(self) -> int:
        if not hasattr(self, "feature_importance_"):
            raise ConflictError("model.not_fitted", model_type=self.model_type)
        return self.n_features_
