"""Hyper-parameters of every model type: names, defaults and allowed ranges."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kurswerk.core.errors import SpecError, UnknownNameError

MODEL_TYPES = ("random_forest", "xgboost")


@dataclass(frozen=True)
class _Number:
    """A number in ``[low, high]`` (``low`` itself excluded where ``open_low``)."""

    default: float | None
    low: float
    high: float
    integer: bool = False
    open_low: bool = False
    nullable: bool = False

    def read(self, name: str, value: Any) -> float | None:
        if value is None and self.nullable:
            return None
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not self._holds(value):
            raise SpecError(f"parameter '{name}' is {value!r}; allowed: {self.allowed}")
        return int(value) if self.integer else float(value)

    def _holds(self, value: float) -> bool:
        if not math.isfinite(value) or (self.integer and value != int(value)):
            return False
        return (self.low < value if self.open_low else self.low <= value) and value <= self.high

    @property
    def allowed(self) -> str:
        kind = "an integer" if self.integer else "a number"
        opening = "(" if self.open_low else "["
        null = " or null" if self.nullable else ""
        return f"{kind} in {opening}{self.low:g}, {self.high:g}]{null}"


@dataclass(frozen=True)
class _Flag:
    """True or false."""

    default: bool

    def read(self, name: str, value: Any) -> bool:
        if not isinstance(value, bool):
            raise SpecError(f"parameter '{name}' is {value!r}; allowed: true or false")
        return value


@dataclass(frozen=True)
class _FeatureShare:
    """How many features a split may choose from: a rule by name, a share of all, or null for all."""

    default: str
    rules: tuple[str, ...] = ("sqrt", "log2")

    def read(self, name: str, value: Any) -> str | float | None:
        if value is None or (isinstance(value, str) and value in self.rules):
            return value
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= 1:
            return float(value)
        raise SpecError(f"parameter '{name}' is {value!r}; allowed: 'sqrt', 'log2', a share in (0, 1] or null for all")


_Field = _Number | _Flag | _FeatureShare

_SEED = _Number(42, 0, 2**31 - 1, integer=True)

_FIELDS: dict[str, dict[str, _Field]] = {
    "random_forest": {
        "n_estimators": _Number(100, 1, 5000, integer=True),
        "max_depth": _Number(10, 1, 64, integer=True, nullable=True),
        "min_samples_split": _Number(2, 2, 2**31 - 1, integer=True),
        "min_samples_leaf": _Number(1, 1, 2**31 - 1, integer=True),
        "max_features": _FeatureShare("sqrt"),
        "bootstrap": _Flag(default=True),
        "max_samples": _Number(None, 0, 1, open_low=True, nullable=True),
        "min_impurity_decrease": _Number(0.0, 0, 1),
        "max_bins": _Number(256, 2, 65535, integer=True),
        "min_bin_size": _Number(1, 1, 2**31 - 1, integer=True),
        "random_state": _SEED,
    },
    "xgboost": {
        "n_estimators": _Number(100, 1, 20000, integer=True),
        "max_depth": _Number(6, 1, 24, integer=True),
        "learning_rate": _Number(0.1, 0, 1, open_low=True),
        "subsample": _Number(1.0, 0, 1, open_low=True),
        "colsample_bytree": _Number(1.0, 0, 1, open_low=True),
        "min_child_weight": _Number(1.0, 0, 1e12),
        "reg_lambda": _Number(1.0, 0, 1e12),
        "reg_alpha": _Number(0.0, 0, 1e12),
        "gamma": _Number(0.0, 0, 1e12),
        "max_delta_step": _Number(0.0, 0, 1e6),
        "max_bin": _Number(256, 2, 65535, integer=True),
        "scale_pos_weight": _Number(1.0, 0, 1e9, open_low=True),
        "early_stopping_rounds": _Number(5, 0, 20000, integer=True),
        "random_state": _SEED,
    },
}


def model_params(model_type: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Complete hyper-parameters with their defaults and check every one of them.

    Parameters
    ----------
    model_type
        One of :data:`MODEL_TYPES`.
    params
        What differs from the defaults; JSON values. ``learning_rate`` and shares are fractions in (0, 1], depths count
        levels of splits, ``max_depth`` null in a forest means unlimited. Boosting grows at most ``n_estimators`` trees
        and ends after ``early_stopping_rounds`` trees without an improvement; 0 never ends early.

    Returns
    -------
    dict
        Every hyper-parameter of the type, in a fixed order.

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
    if model_type not in _FIELDS:
        raise UnknownNameError("model type", str(model_type), MODEL_TYPES)
    fields, given = _FIELDS[model_type], dict(params or {})
    for name in given:
        if name not in fields:
            raise UnknownNameError(f"parameter of {model_type}", str(name), fields)
    return {name: field.read(name, given.get(name, field.default)) for name, field in fields.items()}
