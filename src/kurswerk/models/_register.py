"""The register of model families: the only place that lists them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from kurswerk.core.errors import UnknownNameError
from kurswerk.models._estimator import Estimator
from kurswerk.models._family import ModelFamily
from kurswerk.models.linear._logistic_regression import LOGISTIC_REGRESSION
from kurswerk.models.linear._ridge import RIDGE
from kurswerk.models.trees._boosting_family import XGBOOST, XGBOOST_REGRESSOR
from kurswerk.models.trees._forest_family import RANDOM_FOREST, RANDOM_FOREST_REGRESSOR

FAMILIES: Mapping[str, ModelFamily] = MappingProxyType(
    {
        family.name: family
        for family in (
            RANDOM_FOREST,
            XGBOOST,
            LOGISTIC_REGRESSION,
            RANDOM_FOREST_REGRESSOR,
            XGBOOST_REGRESSOR,
            RIDGE,
        )
    }
)
"""Model type → family, in the order in which forms offer them."""

MODEL_TYPES = tuple(FAMILIES)
CLASSIFIERS = tuple(name for name, family in FAMILIES.items() if family.task == "classification")
REGRESSORS = tuple(name for name, family in FAMILIES.items() if family.task == "regression")


def family_named(model_type: str) -> ModelFamily:
    """Return a registered family.

    Raises
    ------
    UnknownNameError
        Names the nearest model type.

    Examples
    --------
    >>> family_named("xgboost").title
    'Gradient boosting (XGBoost)'
    """
    try:
        return FAMILIES[model_type]
    except (KeyError, TypeError):  # TypeError: what JSON may hold and no dict takes as a key
        raise UnknownNameError("model_type.unknown", name=str(model_type), known=MODEL_TYPES) from None


def model_params(model_type: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Complete hyper-parameters with their defaults and check every one of them.

    Parameters
    ----------
    model_type
        One of :data:`MODEL_TYPES`.
    params
        What differs from the defaults; JSON values.

    Returns
    -------
    dict
        Every hyper-parameter of the type, in the order of its declaration.

    Raises
    ------
    UnknownNameError
        For a model type or a parameter nobody knows; names the nearest.
    SpecError
        For a value out of its range; names value and range.

    Examples
    --------
    >>> model_params("xgboost", {"max_depth": 4})["learning_rate"]
    0.1
    >>> model_params("random_forest", {"max_depht": 4})
    Traceback (most recent call last):
    ...
    kurswerk.core.errors.UnknownNameError: unknown parameter of random_forest 'max_depht'; did you mean 'max_depth'?
    """
    return family_named(model_type).hyper_parameters.complete(model_type, params or {}).model_dump()


def create(model_type: str, params: Mapping[str, Any] | None = None, *, threads: int | None = None) -> Estimator:
    """Make an unfitted estimator.

    Parameters
    ----------
    model_type
        One of :data:`kurswerk.models.MODEL_TYPES`.
    params
        Hyper-parameters that differ from the defaults, see :func:`kurswerk.models.model_params`.
    threads
        Threads for fitting and for large batches, None for all cores; changes no bit of the result.

    Raises
    ------
    UnknownNameError, SpecError
        As :func:`kurswerk.models.model_params`.

    Examples
    --------
    >>> import numpy as np
    >>> from kurswerk.models import OnnxModel
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]], dtype=np.float32)
    >>> model = create("random_forest", {"n_estimators": 10}).fit(X, np.array([0, 0, 1, 1]))
    >>> OnnxModel.load(model.to_onnx(["price_close"], {})).predict_proba(X).shape
    (4,)
    """
    complete = model_params(model_type, params)
    return family_named(model_type).estimator()(complete, threads)
