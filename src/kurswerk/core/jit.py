"""The one way to compile a kernel: IEEE order kept, GIL released, cached on disk."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function with numba in the mode all kernels share.

    No fast-math: the order of floating-point operations is part of a definition. ``error_model="numpy"`` makes a
    division by zero ±inf or NaN as IEEE 754 defines, instead of an exception.
    """
    compiled: Any = numba.njit(cache=True, nogil=True, fastmath=False, error_model="numpy")(function)
    return cast("Callable[P, R]", compiled)


def inlined_kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a small function that LLVM shall inline into the kernels that call it."""
    compiled: Any = numba.njit(nogil=True, fastmath=False, error_model="numpy", inline="never", forceinline=True)(
        function
    )
    return cast("Callable[P, R]", compiled)
