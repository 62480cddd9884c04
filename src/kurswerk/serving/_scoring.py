"""Features to probabilities, model by model, none able to stop the others."""

import json

import numpy as np
from numpy.typing import NDArray

from kurswerk.models import as_model_input
from kurswerk.serving._digest import feature_digests
from kurswerk.serving._fleet import Fleet, Member
from kurswerk.serving.ports import Bool, Int, Score

Float = NDArray[np.float64]


def score(fleet: Fleet, features: Float) -> tuple[Score, Bool, Int]:
    """Let every healthy member predict all rows; return scores, which were given, and digests, shape (n, m)."""
    shape = len(features), len(fleet.members)
    scores, given = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.bool_)
    digests = np.zeros(shape, dtype=np.int64)
    matrix = as_model_input(features)
    cache: dict[bytes, tuple[NDArray[np.float32], Int]] = {}
    for k, member in enumerate(fleet.members):
        if member.fault is not None or not len(features):
            continue
        key = member.places.tobytes()
        if key not in cache:
            X = np.ascontiguousarray(matrix[:, member.places])
            cache[key] = X, feature_digests(X)
        X, digest = cache[key]
        try:
            scores[:, k] = member.predict(X)
        except Exception as error:  # noqa: BLE001 - one model's fault, whatever it is, must not stop the others
            fleet.fail(member, error)
        else:
            given[:, k], digests[:, k] = True, digest
            member.failures = 0
    return scores, given, digests


def feature_json(member: Member, row: Float) -> bytes:
    """Return a model's features of a row as JSON; what is no number is null."""
    names = member.plan.names if member.plan is not None else ()
    values = row[member.places].tolist()
    return json.dumps(
        {name: value if np.isfinite(value) else None for name, value in zip(names, values, strict=True)}
    ).encode()
