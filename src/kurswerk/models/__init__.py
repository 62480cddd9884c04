"""Model families: estimators that train fast and deterministically, and are served as ONNX."""

from kurswerk.models._estimator import Estimator
from kurswerk.models._family import ModelFamily
from kurswerk.models._hyper_parameters import FormField, HyperParameters
from kurswerk.models._matrix import as_model_input, row_blocks
from kurswerk.models._register import FAMILIES, MODEL_TYPES, create, family_named, model_params
from kurswerk.models._resampling import needs_balance, resample
from kurswerk.models._runtime import OnnxModel

__all__ = [
    "FAMILIES",
    "MODEL_TYPES",
    "Estimator",
    "FormField",
    "HyperParameters",
    "ModelFamily",
    "OnnxModel",
    "as_model_input",
    "create",
    "family_named",
    "model_params",
    "needs_balance",
    "resample",
    "row_blocks",
]
