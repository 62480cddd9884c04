"""Artifacts: ONNX files with properties and a seal, the same bytes for the same model."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from kurswerk.core.errors import SpecError

FORMAT = "kurswerk-model"
INPUT, OUTPUT = "features", "probability"
FORECAST, LOW, HIGH = "forecast", "low", "high"
OUTPUTS_OF_VERSION: Mapping[str, tuple[str, ...]] = {"1": (OUTPUT,), "2": (OUTPUT, FORECAST, LOW, HIGH)}
"""Version of the format → what a model of it gives: a probability, or with it a forecast and its interval."""
# A file's last bytes: the SHA-256, in hexadecimal digits, of all bytes before them.
SEAL = "sha256"
SEAL_LENGTH = 64
_OPSETS = {"": 18, "ai.onnx.ml": 5}
_IR_VERSION = 10


@dataclass(frozen=True)
class Graph:
    """A fitted model as ONNX nodes that lead from ``INPUT``, float32 (n, f), to its outputs, float32 (n,) each.

    Attributes
    ----------
    nodes
        In the order of computation.
    constants
        Name → array that the nodes refer to.
    outputs
        What it gives; those of a format in `OUTPUTS_OF_VERSION`, or less in a graph that is not served.
    """

    nodes: Sequence[NodeProto]
    constants: Mapping[str, NDArray[Any]]
    outputs: tuple[str, ...] = (OUTPUT,)


def operators(*names: str, domain: str = "") -> frozenset[tuple[str, str]]:
    """Return operators as a family lists them, (domain, name) each."""
    return frozenset((domain, name) for name in names)


# From a margin to a probability, the formula of XGBoost step by step in float32.
LOGISTIC_OPERATORS = operators("Neg", "Exp", "Add", "Div", "Reshape")


def logistic_nodes(margin: str) -> list[NodeProto]:
    """Return p = 1 / (exp(-margin) + 1) of a float32 value (n, 1); needs `LOGISTIC_CONSTANTS`."""
    return [
        helper.make_node("Neg", [margin], ["negative"], name="negative"),
        helper.make_node("Exp", ["negative"], ["odds"], name="odds"),
        helper.make_node("Add", ["odds", "one"], ["inverse"], name="inverse"),
        helper.make_node("Div", ["one", "inverse"], ["logistic"], name="logistic"),
        as_output("logistic"),
    ]


COLUMN_CONSTANT: Mapping[str, NDArray[Any]] = {"column": np.array([-1], np.int64)}
LOGISTIC_CONSTANTS: Mapping[str, NDArray[Any]] = {**COLUMN_CONSTANT, "one": np.array(1, np.float32)}


def as_output(value: str, output: str = OUTPUT) -> NodeProto:
    """Return the node that makes a value (n, 1) an output (n,); needs `COLUMN_CONSTANT`."""
    return helper.make_node("Reshape", [value, "column"], [output], name=output)


def build_artifact(graph: Graph, model_type: str, feature_names: Sequence[str], metadata: Mapping[str, Any]) -> bytes:
    """Write a fitted model as a sealed ONNX file.

    Parameters
    ----------
    graph
        The model's nodes and constants.
    model_type, feature_names, metadata
        Kept in the file's properties; ``metadata`` must be JSON.

    Returns
    -------
    bytes
        No time stamp, no host, no path in them: the same model gives the same bytes.

    Raises
    ------
    SpecError
        If the metadata is no JSON.
    """
    body = helper.make_graph(
        list(graph.nodes),
        "kurswerk",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, len(feature_names)])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None]) for name in graph.outputs],
        [numpy_helper.from_array(value, name) for name, value in graph.constants.items()],
    )
    domains = {node.domain for node in graph.nodes}
    model = helper.make_model(
        body,
        opset_imports=[helper.make_opsetid(name, version) for name, version in _OPSETS.items() if name in domains],
        ir_version=_IR_VERSION,
        producer_name="kurswerk",
    )
    properties = {
        "format": FORMAT,
        "version": "1" if graph.outputs == (OUTPUT,) else "2",
        "model_type": model_type,
        "feature_names": _json(list(feature_names)),
        "metadata": _json(dict(metadata)),
        SEAL: "0" * SEAL_LENGTH,
    }
    helper.set_model_props(model, properties)
    unsealed: bytes = model.SerializeToString(deterministic=True)[:-SEAL_LENGTH]
    return unsealed + seal(unsealed)


def seal(data: bytes) -> bytes:
    """Return what must follow ``data`` in an undamaged file."""
    return hashlib.sha256(data).hexdigest().encode()


def _json(value: Any) -> str:
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SpecError("model.metadata_not_json", reason=error) from error
