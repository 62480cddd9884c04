"""Classifiers that train fast, deterministically, and are served as ONNX."""

from kurswerk.models._base import Classifier
from kurswerk.models._create import create, from_scikit_learn
from kurswerk.models._matrix import as_model_input, row_blocks
from kurswerk.models._params import MODEL_TYPES, model_params
from kurswerk.models._resampling import needs_balance, resample
from kurswerk.models._runtime import OnnxModel

__all__ = [
    "MODEL_TYPES",
    "Classifier",
    "OnnxModel",
    "as_model_input",
    "create",
    "from_scikit_learn",
    "model_params",
    "needs_balance",
    "resample",
    "row_blocks",
]
