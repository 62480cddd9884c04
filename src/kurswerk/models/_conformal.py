"""Split conformal prediction: intervals from the errors on rows that a model has not learnt from.

A model is fitted on some rows, its absolute errors are taken on others, and the interval of a new row is the forecast
plus and minus the quantile of those errors. Rows that are exchangeable with the held-out ones are covered with at least
the nominal probability, whatever the model is worth. Markets change, so how far that holds is measured on later rows.

References
----------
Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005; Lei et al., Distribution-Free Predictive
Inference for Regression, JASA 113, 2018.
"""

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper

from kurswerk.core.errors import DataError
from kurswerk.models._artifact import COLUMN_CONSTANT, FORECAST, HIGH, LOW, OUTPUT, OUTPUTS_OF_VERSION, Graph, operators

Float = NDArray[np.float64]

DEFAULT_COVERAGE = 0.9
# So many quantiles of the errors decide how likely a rise is: steps of a fifth of a per cent.
_GRID = 255

INTERVAL_OPERATORS = operators(
    "Abs", "Add", "Cast", "Div", "Greater", "Mul", "ReduceSum", "Reshape", "Sign", "Sub"
)  # fmt: skip


def half_width(errors: Float, coverage: float) -> float:
    """Return the ceil((n + 1) coverage)-th smallest absolute error of n rows: half of a conformal interval.

    Raises
    ------
    DataError
        If there are too few rows for the coverage.

    Examples
    --------
    >>> half_width(np.array([-3.0, 1.0, 2.0, 0.5]), 0.6)
    2.0
    """
    rank = math.ceil((len(errors) + 1) * coverage)
    if rank > len(errors):
        least = math.ceil(coverage / (1 - coverage))
        raise DataError("training.too_few_rows_to_calibrate", rows=len(errors), coverage=coverage, least=least)
    return float(np.partition(np.abs(errors), rank - 1)[rank - 1])


@dataclass(frozen=True, eq=False)
class Calibration:
    """What the held-out rows' absolute errors leave behind.

    Attributes
    ----------
    coverage
        Nominal share of later values inside the interval.
    rows
        Number of held-out rows.
    half_width
        Half of the interval, in the unit of the forecast; rounded up to float32.
    sizes
        Quantiles of the absolute errors, ascending, float32 (k,), of which a row outside them all is the (k + 1)-th
        part: their ranks are ceil(j (rows + 1) / (k + 1)).
    """

    coverage: float
    rows: int
    half_width: np.float32
    sizes: NDArray[np.float32]

    @classmethod
    def of(cls, errors: Float, coverage: float) -> Self:
        """Calibrate by the errors of held-out rows; errors as for `half_width`."""
        half = half_width(errors, coverage)
        ordered = np.sort(np.abs(errors))
        count = min(len(errors), _GRID)
        ranks = -(-np.arange(1, count + 1) * (len(errors) + 1) // (count + 1))
        sizes = ordered[np.minimum(ranks, len(errors)) - 1]
        return cls(coverage, len(errors), _round_up(half), sizes.astype(np.float32))

    def graph(self, point: Graph) -> Graph:
        """Return a graph that gives the forecast alone with interval and probability beside it.

        The probability of a rise is that of the symmetric distribution of the errors around the forecast f:
        0.5 + sign(f) × share of errors smaller than |f| / 2, where |f| lies in the middle between two of their
        quantiles. So it is at least one half exactly where the forecast is not below zero. Counting adds ones, which is
        exact in any order.
        """
        constants: dict[str, NDArray[Any]] = {
            "half_width": np.array(self.half_width, np.float32),
            "half": np.array(0.5, np.float32),
            "error_sizes": self.sizes[np.newaxis],
            "parts": np.array(len(self.sizes) + 1, np.float32),
            "across": np.array([1], np.int64),
            "as_column": np.array([-1, 1], np.int64),
        }
        return Graph(
            [*point.nodes, *_interval_nodes()],
            {**COLUMN_CONSTANT, **point.constants, **constants},
            OUTPUTS_OF_VERSION["2"],
        )


def _round_up(value: float) -> np.float32:
    nearest = np.float32(value)
    return nearest if float(nearest) >= value else np.nextafter(nearest, np.float32(np.inf))


def _interval_nodes() -> list[NodeProto]:
    node = helper.make_node
    return [
        node("Sub", [FORECAST, "half_width"], [LOW], name=LOW),
        node("Add", [FORECAST, "half_width"], [HIGH], name=HIGH),
        node("Abs", [FORECAST], ["size"], name="size"),
        node("Reshape", ["size", "as_column"], ["size_column"], name="size_column"),
        node("Greater", ["size_column", "error_sizes"], ["larger"], name="larger"),
        node("Cast", ["larger"], ["ones"], name="ones", to=TensorProto.FLOAT),
        node("ReduceSum", ["ones", "across"], ["count"], name="count", keepdims=0),
        node("Add", ["count", "half"], ["rank"], name="rank"),
        node("Div", ["rank", "parts"], ["share"], name="share"),
        node("Mul", ["share", "half"], ["excess_share"], name="excess_share"),
        node("Sign", [FORECAST], ["direction"], name="direction"),
        node("Mul", ["direction", "excess_share"], ["lean"], name="lean"),
        node("Add", ["lean", "half"], [OUTPUT], name=OUTPUT),
    ]
