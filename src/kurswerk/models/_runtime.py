"""How every model is served: from a sealed, inspected artifact, with the bits of ONNX Runtime."""

import json
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # ships no type information
from numpy.typing import NDArray
from onnx import ModelProto

from kurswerk.core.errors import ArtifactCorruptError, ArtifactForeignError, ConflictError, DataError
from kurswerk.models._artifact import FORMAT, INPUT, OUTPUTS_OF_VERSION, SEAL_LENGTH, seal
from kurswerk.models._register import FAMILIES
from kurswerk.models._regressor import Forecasts
from kurswerk.models._session import RUNTIME_ERRORS, Session


class OnnxModel:
    """A trained model as it is served.

    Made by :meth:`load`. Every row's probability depends on that row alone and has the same bits in any batch, alone,
    and with any number of threads: within a row every sum has an order fixed by the graph or its operator. Threads may
    share one instance.

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
        self.is_forecast = FAMILIES[model_type].task == "regression"
        self._shape = (len(feature_names),)
        self._run = Session(data, threads=threads, compile_graph=FAMILIES[model_type].compile_graph).run

    @classmethod
    def load(cls, data: bytes, *, threads: int = 1) -> Self:
        """Load an artifact; nothing in it is ever executed but the few numeric operators of its family.

        Parameters
        ----------
        data
            Bytes made by ``Estimator.to_onnx``.
        threads
            Most threads a large batch may use.

        Raises
        ------
        ArtifactCorruptError
            If the bytes were changed or cut after they were written.
        ArtifactForeignError
            If they are no Kurswerk model: another format, a version or model type not known here, other operators than
            the family's, references to files, or an input that does not fit the feature list.
        """
        properties = _inspect(bytes(data))
        names = tuple(json.loads(properties["feature_names"]))
        try:
            return cls(bytes(data), names, properties["model_type"], json.loads(properties["metadata"]), threads)
        except RUNTIME_ERRORS as error:
            reason = str(error).splitlines()[0]
            raise ArtifactForeignError("artifact.not_runnable", reason=reason) from error

    def forecast(self, X: NDArray[np.floating]) -> Forecasts:
        """Return forecast, interval and probability for every row; X and errors as for `predict_proba`.

        Raises
        ------
        ConflictError
            If the model gives a probability alone.
        """
        if not self.is_forecast:
            raise ConflictError("model.no_forecast", model_type=self.model_type)
        return Forecasts.of(self._outputs(X))

    def predict_proba(self, X: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the probability of the positive class for every row, of a forecast that the value will rise.

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
        found = self._outputs(X)
        return Forecasts.of(found).probability if self.is_forecast else found

    def _outputs(self, X: NDArray[np.floating]) -> NDArray[np.float32]:
        if X.ndim != 2 or X.shape[1:] != self._shape:
            raise DataError("model.features_of_other_width", shape=str(X.shape), width=self._shape[0])
        return self._run(X)


def _inspect(data: bytes) -> dict[str, str]:
    """Return the artifact's properties once every reason to refuse it has been ruled out."""
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        if FORMAT.encode() in data:
            raise ArtifactCorruptError("artifact.damaged") from error
        raise ArtifactForeignError("artifact.no_onnx_model") from error
    properties = {entry.key: entry.value for entry in model.metadata_props}
    sealed = seal(data[:-SEAL_LENGTH]) == data[-SEAL_LENGTH:]
    if not sealed and FORMAT.encode() in data:
        raise ArtifactCorruptError("artifact.bytes_changed")
    if not sealed or properties.get("format") != FORMAT:
        raise ArtifactForeignError("artifact.foreign")
    if properties.get("version") not in OUTPUTS_OF_VERSION:
        version = properties.get("version")
        raise ArtifactForeignError("artifact.unknown_format", version=version, readable=list(OUTPUTS_OF_VERSION))
    _refuse_unfit_properties(model, properties)
    _refuse_foreign_content(model, properties["model_type"])
    return properties


def _refuse_foreign_content(model: ModelProto, model_type: str) -> None:
    if model_type not in FAMILIES:
        raise ArtifactForeignError("artifact.unknown_model_type", model_type=model_type)
    forecast = len(model.graph.output) > 1
    if forecast != (FAMILIES[model_type].task == "regression"):
        raise ArtifactForeignError("artifact.of_other_task", model_type=model_type)
    if model.functions or model.training_info or model.graph.sparse_initializer:
        raise ArtifactForeignError("artifact.forbidden_parts")
    for node in model.graph.node:
        domain = "" if node.domain == "ai.onnx" else node.domain
        if (domain, node.op_type) not in FAMILIES[model_type].operators:
            raise ArtifactForeignError("artifact.forbidden_operator", operator=node.op_type, domain=domain)
        tensors = [attribute.t for attribute in node.attribute]
        if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
            raise ArtifactForeignError("artifact.nested_graph", operator=node.op_type)
        if any(tensor.external_data or tensor.data_location for tensor in tensors):
            raise ArtifactForeignError("artifact.external_data")
    if any(tensor.external_data or tensor.data_location for tensor in model.graph.initializer):
        raise ArtifactForeignError("artifact.external_data")


def _refuse_unfit_properties(model: ModelProto, properties: Mapping[str, str]) -> None:
    try:
        names = json.loads(properties["feature_names"])
        metadata = json.loads(properties["metadata"])
        known = properties["model_type"]
    except (KeyError, ValueError) as error:
        raise ArtifactForeignError("artifact.incomplete_properties", reason=error) from error
    listed = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not listed or not isinstance(metadata, dict) or not known:
        raise ArtifactForeignError("artifact.foreign_properties")
    inputs, outputs = list(model.graph.input), tuple(value.name for value in model.graph.output)
    expected = OUTPUTS_OF_VERSION[properties["version"]]
    if [value.name for value in inputs] != [INPUT] or outputs != expected:
        raise ArtifactForeignError("artifact.other_input_or_output", input=INPUT, output=", ".join(expected))
    dimensions = inputs[0].type.tensor_type.shape.dim
    width = dimensions[1].dim_value if len(dimensions) == 2 else None
    if width != len(names):
        raise ArtifactForeignError("artifact.feature_names_differ", width=width, names=len(names))
