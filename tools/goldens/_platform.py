"""The key under which bits are comparable: versions of the numerical libraries and the processor's instruction set."""

import hashlib
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

# numpy chooses among its kernels by these, and XGBoost, oneDAL and ONNX Runtime by the same instructions.
from numpy._core._multiarray_umath import __cpu_features__ as _cpu_features  # type: ignore[import-not-found]

LIBRARIES = (
    "daal",
    "imbalanced-learn",
    "llvmlite",
    "numba",
    "numpy",
    "onnx",
    "onnxruntime",
    "scikit-learn",
    "scikit-learn-intelex",
    "scipy",
    "xgboost-cpu",
)


def environment() -> dict[str, Any]:
    """Return what the bits of a fitted model depend on beside its data and specification."""
    return {
        "machine": platform.machine(),
        "instructions": sorted(name for name, there in _cpu_features.items() if there),
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def platform_key(found: dict[str, Any] | None = None) -> str:
    """Return a short digest of an environment, this one's by default."""
    text = json.dumps(environment() if found is None else found, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
