"""The one runtime every model is served by: ONNX Runtime over a sealed, inspected artifact."""

import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import numpy as np
import onnxruntime
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # ships no type information
from numpy.typing import NDArray
from onnx import ModelProto

from kurswerk.core.errors import ArtifactCorruptError, ArtifactForeignError, DataError
from kurswerk.models._graph import FORMAT, FORMAT_VERSION, INPUT, OPERATORS, OUTPUT, SEAL_LENGTH, seal
from kurswerk.models._matrix import as_model_input

# Under this many rows per thread, handing work over costs more than it saves.
_ROWS_PER_THREAD = 256
# Rows per call of the runtime, so that its scratch memory stays small beside the matrix.
_BLOCK_ROWS = 1 << 16
_ERRORS_ONLY = 3


class OnnxModel:
    """A trained model as it is served.

    Made by :meth:`load`. Every row's probability depends on that row alone and has the same bits in any batch, alone,
    and with any number of threads: within a row trees are summed in their order by one thread. Threads may share one
    instance.

    Parameters
    ----------
    data
        The artifact, already checked; use :meth:`load`.
    feature_names
        Columns in order.
    model_type, metadata
        As stored.
    threads
        Most threads one call may use; a small batch uses one.
    """

    def __init__(
        self, data: bytes, feature_names: tuple[str, ...], model_type: str, metadata: Mapping[str, Any], threads: int
    ) -> None:
        self.feature_names = feature_names
        self.model_type = model_type
        self.metadata = metadata
        self._threads = max(1, threads)
        self._pool: ThreadPoolExecutor | None = None
        self._pool_lock = threading.Lock()
        self._session = _session(data)
        self._shape = (len(feature_names),)
        self._run = self._session.run

    @classmethod
    def load(cls, data: bytes, *, threads: int = 1) -> Self:
        """Load an artifact; nothing in it is ever executed but the few numeric operators a Kurswerk model has.

        Parameters
        ----------
        data
            Bytes made by ``Classifier.to_onnx``.
        threads
            Most threads a large batch may use.

        Raises
        ------
        ArtifactCorruptError
            If the bytes were changed or cut after they were written.
        ArtifactForeignError
            If they are no Kurswerk model: another format, a version not known here, other operators, references to
            files, or an input that does not fit the feature list.
        """
        properties = _inspect(bytes(data))
        names = tuple(json.loads(properties["feature_names"]))
        try:
            return cls(bytes(data), names, properties["model_type"], json.loads(properties["metadata"]), threads)
        except _RUNTIME_ERRORS as error:
            reason = str(error).splitlines()[0]
            raise ArtifactForeignError(f"the model's graph cannot be run: {reason}; train it again") from error

    def predict_proba(self, X: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the probability of the positive class for every row.

        Parameters
        ----------
        X
            Shape (n, f) in the order of ``feature_names``; float32 in C order costs no copy. NaN is a missing value.

        Returns
        -------
        ndarray
            float32 (n,) in [0, 1]; n may be 0.

        Raises
        ------
        DataError
            If the number of columns is not that of ``feature_names``.
        """
        if X.ndim != 2 or X.shape[1:] != self._shape:
            raise DataError(f"features of shape {X.shape} do not fit a model of {self._shape[0]} features")
        return self._predict_block(X) if len(X) <= _ROWS_PER_THREAD else self._predict_blocks(X)

    def _predict_blocks(self, X: NDArray[np.floating]) -> NDArray[np.float32]:
        workers = min(self._threads, -(-len(X) // _ROWS_PER_THREAD))
        size = min(_BLOCK_ROWS, -(-len(X) // workers))
        blocks = [X[start : start + size] for start in range(0, len(X), size)]
        runs = self._workers().map(self._predict_block, blocks) if workers > 1 else map(self._predict_block, blocks)
        return np.concatenate(list(runs))

    def _predict_block(self, X: NDArray[np.floating]) -> NDArray[np.float32]:
        if X.dtype != np.float32 or not X.flags.c_contiguous:
            X = as_model_input(X)
        result: NDArray[np.float32] = self._run(_OUTPUTS, {INPUT: X})[0]
        return result

    def _workers(self) -> ThreadPoolExecutor:
        with self._pool_lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="kurswerk-predict")
            return self._pool


_OUTPUTS = [OUTPUT]
_STATE = onnxruntime.capi.onnxruntime_pybind11_state
_RUNTIME_ERRORS = (
    _STATE.Fail,
    _STATE.InvalidArgument,
    _STATE.InvalidGraph,
    _STATE.InvalidProtobuf,
    _STATE.NotImplemented,
    _STATE.RuntimeException,
)


def _session(data: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    # One thread: a single row costs microseconds, which waking another thread would multiply, and more threads would
    # sum the trees of small batches in another order. Large batches are cut by rows instead (OnnxModel).
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _inspect(data: bytes) -> dict[str, str]:
    """Return the artifact's properties once every reason to refuse it has been ruled out."""
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        if FORMAT.encode() in data:
            raise ArtifactCorruptError("the artifact is damaged: it is no readable ONNX file; train again") from error
        raise ArtifactForeignError("the artifact is no ONNX model; only models trained by Kurswerk load") from error
    properties = {entry.key: entry.value for entry in model.metadata_props}
    sealed = seal(data[:-SEAL_LENGTH]) == data[-SEAL_LENGTH:]
    if not sealed and FORMAT.encode() in data:
        raise ArtifactCorruptError("the artifact's bytes differ from the SHA-256 written at their end; train again")
    if not sealed or properties.get("format") != FORMAT:
        raise ArtifactForeignError("the artifact was not written by Kurswerk; only models trained by it load")
    if properties.get("version") != FORMAT_VERSION:
        version = properties.get("version")
        raise ArtifactForeignError(f"the artifact has format version {version!r}; this Kurswerk reads {FORMAT_VERSION}")
    _refuse_foreign_content(model)
    _refuse_unfit_properties(model, properties)
    return properties


def _refuse_foreign_content(model: ModelProto) -> None:
    if model.functions or model.training_info or model.graph.sparse_initializer:
        raise ArtifactForeignError("the artifact carries functions, training or sparse parts; no Kurswerk model does")
    for node in model.graph.node:
        domain = "" if node.domain == "ai.onnx" else node.domain
        if (domain, node.op_type) not in OPERATORS:
            raise ArtifactForeignError(f"the artifact uses operator '{node.op_type}' of domain '{domain}'; refused")
        tensors = [attribute.t for attribute in node.attribute]
        if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
            raise ArtifactForeignError(f"the artifact nests a graph in operator '{node.op_type}'; refused")
        if any(tensor.external_data or tensor.data_location for tensor in tensors):
            raise ArtifactForeignError("the artifact refers to data outside itself; refused")
    if any(tensor.external_data or tensor.data_location for tensor in model.graph.initializer):
        raise ArtifactForeignError("the artifact refers to data outside itself; refused")


def _refuse_unfit_properties(model: ModelProto, properties: Mapping[str, str]) -> None:
    try:
        names = json.loads(properties["feature_names"])
        metadata = json.loads(properties["metadata"])
        known = properties["model_type"]
    except (KeyError, ValueError) as error:
        raise ArtifactForeignError(f"the artifact's properties are incomplete: {error}") from error
    listed = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not listed or not isinstance(metadata, dict) or not known:
        raise ArtifactForeignError("the artifact's properties are not those of a Kurswerk model")
    inputs, outputs = list(model.graph.input), list(model.graph.output)
    if [value.name for value in inputs] != [INPUT] or [value.name for value in outputs] != [OUTPUT]:
        raise ArtifactForeignError(f"the artifact's graph must map '{INPUT}' to '{OUTPUT}'")
    dimensions = inputs[0].type.tensor_type.shape.dim
    width = dimensions[1].dim_value if len(dimensions) == 2 else None
    if width != len(names):
        raise ArtifactForeignError(f"the artifact takes {width} features but names {len(names)}")
