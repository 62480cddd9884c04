"""Tree ensembles: random forest and gradient boosting, written as one ONNX operator."""

from kurswerk.models.trees._compiled import compile_kernel
from kurswerk.models.trees._import import from_scikit_learn

__all__ = ["compile_kernel", "from_scikit_learn"]
