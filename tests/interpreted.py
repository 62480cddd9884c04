"""Compiled kernels run as plain Python, so that compiled and interpreted results can be compared."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import numpy as np
import pytest


@contextmanager
def interpreted(*modules: ModuleType) -> Iterator[None]:
    """Replace all kernels in these modules by the functions they were compiled from."""
    with pytest.MonkeyPatch.context() as patch, np.errstate(over="ignore"):
        for module in modules:
            for name, value in vars(module).items():
                if hasattr(value, "py_func"):
                    patch.setattr(module, name, value.py_func)
        yield
