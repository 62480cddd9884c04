"""What forests and boosting share: trees that are written as ONNX."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto
from typing_extensions import override

from kurswerk.models._artifact import Graph
from kurswerk.models._estimator import Estimator, HeldOut
from kurswerk.models._matrix import Rows
from kurswerk.models._session import BlockFunction
from kurswerk.models.trees._compiled import compile_prediction
from kurswerk.models.trees._ensemble import TreeEnsemble
from kurswerk.models.trees._graph import Link, tree_graph


class TreeClassifier(Estimator):
    """An estimator whose model is a :class:`TreeEnsemble` and the ``link`` from its sum to a probability."""

    link: ClassVar[Link]

    trees_: TreeEnsemble

    @override
    @property
    def facts_(self) -> Mapping[str, int]:
        return {"trees": self.trees_.n_trees}

    @override
    def _train(
        self, X: NDArray[np.floating], y: NDArray[np.int8], rows: Rows | None, held_out: HeldOut | None
    ) -> NDArray[np.float64]:
        self.trees_, importance = self._grow(X, y, rows, held_out)
        return importance

    @abstractmethod
    def _grow(
        self, X: NDArray[np.floating], y: NDArray[np.int8], rows: Rows | None, held_out: HeldOut | None
    ) -> tuple[TreeEnsemble, NDArray[np.float64]]:
        """Return trees and importance; ``y`` holds the chosen rows' labels, ``X`` all rows."""

    @override
    def _compile_graph(self) -> Callable[[ModelProto], BlockFunction | None]:
        return compile_prediction

    @override
    def _graph(self) -> Graph:
        return tree_graph(self.trees_, self.link)
