"""The versions of the libraries that take part in a model."""

import platform
from importlib.metadata import version

from kurswerk import __version__

_LIBRARIES = ("numba", "numpy", "onnx", "onnxruntime", "scikit-learn", "scikit-learn-intelex", "xgboost-cpu")


def library_versions() -> dict[str, str]:
    """Return name → version of Kurswerk, Python and every library that can change a model's bits."""
    return {
        "kurswerk": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in (*_LIBRARIES, "imbalanced-learn")},
    }
