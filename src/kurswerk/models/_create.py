"""From a model type's name to its classifier."""

from collections.abc import Mapping
from typing import Any

from kurswerk.core.errors import DataError
from kurswerk.models._base import Classifier
from kurswerk.models._params import model_params


def create(model_type: str, params: Mapping[str, Any] | None = None, *, threads: int | None = None) -> Classifier:
    """Make an unfitted classifier.

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
    # The training libraries take seconds to import; a server that only predicts never pays for them.
    if model_type == "random_forest":
        from kurswerk.models._forest import RandomForest  # noqa: PLC0415 - slow to import

        return RandomForest(complete, threads)
    from kurswerk.models._boosting import GradientBoosting  # noqa: PLC0415 - slow to import

    return GradientBoosting(complete, threads)


def from_scikit_learn(forest: Any, *, threads: int | None = None) -> Classifier:
    """Take over a fitted forest of scikit-learn, so that it can be served like any other model.

    Thresholds are rounded down to float32, which decides every float32 value as before; leaf shares are rounded to
    binary fixed point, 18 digits for 100 trees. Missing values go where scikit-learn learned to send them.

    Parameters
    ----------
    forest
        A fitted ``sklearn.ensemble.RandomForestClassifier`` or ``ExtraTreesClassifier`` of one output and classes 0, 1.
    threads
        Threads for large batches, None for all cores.

    Raises
    ------
    DataError
        If the forest's classes are not 0 and 1.
    """
    if list(getattr(forest, "classes_", ())) != [0, 1]:
        raise DataError(
            f"the forest tells {list(getattr(forest, 'classes_', ()))} apart; needed: classes 0 and 1, fitted"
        )
    # As in create: only those who train import it.
    from kurswerk.models._forest import RandomForest  # noqa: PLC0415 - slow to import

    return RandomForest.from_scikit_learn(forest, threads)
