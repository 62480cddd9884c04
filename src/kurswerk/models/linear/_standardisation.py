"""Features in units of their standard deviation, and their weighted sum, as ONNX nodes with one order of addition."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper

from kurswerk.models._artifact import INPUT, operators
from kurswerk.models._matrix import Matrix, Rows, row_blocks

# The bounds of a column come from an even sample; 65 values lie beyond each of them there.
_SAMPLE_ROWS = 1 << 16
_BEYOND = 0.001

Float64 = NDArray[np.float64]

SUM_OPERATORS = operators("IsNaN", "Where", "Max", "Min", "Cast", "Sub", "Div", "Mul", "Pad", "Split", "Add")


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


def standardise(X: NDArray[np.floating], rows: Rows | None, count: int) -> tuple[Standardisation, Float64]:
    """Return the standardisation of the chosen rows, and these in it, float64 (count, f); what is missing is 0."""
    values = _clipped(X, rows, count)
    return _scaled(values.low, values.high, values.design), values.design


def magnitude_shares(coefficients: Float64) -> Float64:
    """Return each coefficient's share of all magnitudes; all 0 where there is none."""
    magnitude = np.abs(coefficients)
    total = magnitude.sum()
    shares: Float64 = magnitude / total if total > 0 else magnitude
    return shares


def weighted_sum(
    found: Standardisation, coefficients: Float64, intercept: float, bounds: tuple[str, str] = ("low", "high")
) -> tuple[list[NodeProto], dict[str, NDArray[Any]]]:
    """Return nodes that lead to the sum of coefficient × standardised feature as ``sum_1``, float64 (n, 1).

    Their constants hold the ``intercept`` too, which is still to be added; ``bounds`` are the names of the limits.
    """
    width = len(coefficients)
    padded = 1 << (width - 1).bit_length()
    constants: dict[str, NDArray[Any]] = {
        "mean": found.mean,
        bounds[0]: found.low,
        bounds[1]: found.high,
        "wide_mean": found.mean.astype(np.float64),
        "scale": found.scale,
        "coefficients": coefficients,
        "padding": np.array([0, 0, 0, padded - width], np.int64),
        "intercept": np.array(intercept, np.float64),
    }
    return [*_standardising_nodes(*bounds), *_sum_nodes("terms", padded)], constants


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


def _scaled(low: Matrix, high: Matrix, design: Float64) -> Standardisation:
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


def _standardising_nodes(low: str, high: str) -> list[NodeProto]:
    """Return coefficient × standardised feature of every value, float64 (n, f).

    All are element-wise, and each result is the exactly rounded one of IEEE 754, whatever stands beside it.
    """
    return [
        helper.make_node("IsNaN", [INPUT], ["missing"], name="missing"),
        helper.make_node("Where", ["missing", "mean", INPUT], ["filled"], name="filled"),
        helper.make_node("Max", ["filled", low], ["not_below"], name="not_below"),
        helper.make_node("Min", ["not_below", high], ["limited"], name="limited"),
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
