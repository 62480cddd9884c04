"""JSON as PostgreSQL keeps it."""

import json
import math
from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb


def jsonb(value: Any) -> Jsonb | None:
    """Wrap a value for a jsonb column; None stays NULL, NaN and infinities, which JSON does not have, become null.

    Examples
    --------
    >>> jsonb({"f1": float("nan"), "n": (1, 2)}).obj
    {'f1': None, 'n': [1, 2]}
    """
    return None if value is None else Jsonb(_finite(value), dumps=_dumps)


def _dumps(value: Any) -> str:
    return json.dumps(value, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return value.replace("\0", "�")
    return value
