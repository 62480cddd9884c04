"""Model families: estimators that train fast and deterministically, and are served as ONNX."""

from kurswerk.models._conformal import DEFAULT_COVERAGE, Calibration, half_width
from kurswerk.models._estimator import Estimator
from kurswerk.models._family import ModelFamily
from kurswerk.models._hyper_parameters import FormField, HyperParameters
from kurswerk.models._matrix import as_model_input, row_blocks
from kurswerk.models._register import CLASSIFIERS, FAMILIES, MODEL_TYPES, REGRESSORS, create, family_named, model_params
from kurswerk.models._regressor import Forecasts, Regressor
from kurswerk.models._resampling import needs_balance, resample
from kurswerk.models._runtime import OnnxModel

__all__ = [
    "CLASSIFIERS",
    "DEFAULT_COVERAGE",
    "FAMILIES",
    "MODEL_TYPES",
    "REGRESSORS",
    "Calibration",
    "Estimator",
    "Forecasts",
    "FormField",
    "HyperParameters",
    "ModelFamily",
    "OnnxModel",
    "Regressor",
    "as_model_input",
    "create",
    "family_named",
    "half_width",
    "model_params",
    "needs_balance",
    "resample",
    "row_blocks",
]
