"""Features to probabilities, model by model, none able to stop the others."""

import json
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from kurswerk.models import as_model_input
from kurswerk.serving._active_models import ActiveModels, ServedModel
from kurswerk.serving._digest import feature_digests
from kurswerk.serving.ports import Bool, Int, Score

Float = NDArray[np.float64]


def score(
    active: ActiveModels, models: Sequence[ServedModel], features: Float
) -> tuple[Score, Bool, Int, Score | None]:
    """Let every healthy one of some models predict all rows; return scores, which were given, and digests.

    Shape (n, m) each; a model that fails is suspended among the active ones. The last is forecast, low and high of
    forecast models, shape (n, m, 3); None where there are none.
    """
    shape = len(features), len(models)
    scores, given = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.bool_)
    digests = np.zeros(shape, dtype=np.int64)
    forecasts: Score | None = None
    matrix = as_model_input(features)
    cache: dict[bytes, tuple[NDArray[np.float32], Int]] = {}
    for k, served in enumerate(models):
        if served.fault is not None or not len(features):
            continue
        key = served.feature_columns.tobytes()
        if key not in cache:
            X = np.ascontiguousarray(matrix[:, served.feature_columns])
            cache[key] = X, feature_digests(X)
        X, digest = cache[key]
        try:
            scores[:, k], found = served.predict_all(X)
        except Exception as error:  # noqa: BLE001 - one model's fault, whatever it is, must not stop the others
            active.fail(served, error)
        else:
            if found is not None:
                forecasts = np.full((*shape, 3), np.nan, dtype=np.float32) if forecasts is None else forecasts
                forecasts[:, k] = found
            given[:, k], digests[:, k] = True, digest
            served.failures = 0
    return scores, given, digests, forecasts


def score_alone(
    predict: Callable[[NDArray[np.float32]], tuple[Score, Score | None]], features: Float
) -> tuple[Score, Int, Score | None]:
    """Return one model's scores of rows in its own features, and the digests of what it saw, shape (n,) each.

    The last is forecast, low and high of a forecast model, shape (n, 3); None for others.

    The same conversion and digest as in `score`, so that backfill and replay compare bit by bit with live predictions.
    """
    X = as_model_input(features)
    scores, forecasts = predict(X)
    return scores, feature_digests(X), forecasts


def feature_json(served: ServedModel, row: Float) -> bytes:
    """Return a model's features of a row as JSON; what is no number is null."""
    names = served.plan.names if served.plan is not None else ()
    values = row[served.feature_columns].tolist()
    return json.dumps(
        {name: value if np.isfinite(value) else None for name, value in zip(names, values, strict=True)}
    ).encode()
