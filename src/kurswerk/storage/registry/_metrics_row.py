"""Metrics to and from the columns of a row."""

import math
from collections.abc import Mapping
from typing import Any

from kurswerk.evaluation import Metrics


def number(value: float | None) -> float | None:
    """Return a number that a column may hold: NaN and infinities become NULL.

    Examples
    --------
    >>> number(0.5), number(float("nan"))
    (0.5, None)
    """
    return None if value is None or not math.isfinite(value) else float(value)


def metrics_json(metrics: Metrics) -> dict[str, Any]:
    """Return metrics as JSON, under the names of the class."""
    return {name: getattr(metrics, name) for name in Metrics.__dataclass_fields__}


def metrics_of(values: Mapping[str, Any]) -> Metrics:
    """Build metrics from JSON made by `metrics_json`."""
    fields: dict[str, Any] = {name: values.get(name) for name in Metrics.__dataclass_fields__}
    return Metrics(**fields)
