"""Compiled kernels are kept where several processes can write, and never outlive the code they came from."""

import os
from pathlib import Path

import kurswerk
from kurswerk.bootstrap.settings import Settings, read_settings
from kurswerk.core.digest import sha256_bytes
from kurswerk.core.jit import use_kernel_cache


def use_caches(settings: Settings | None = None) -> None:
    """Keep compiled kernels under the data directory unless ``NUMBA_CACHE_DIR`` says otherwise.

    numba notices a change in a kernel's own file, but not in a function that it calls from another one; a directory
    per state of the sources makes a stale kernel impossible.
    """
    if "NUMBA_CACHE_DIR" not in os.environ:
        settings = settings or read_settings(os.environ, Path.cwd())
        use_kernel_cache(settings.kernel_cache_dir / _state_of_sources())


def _state_of_sources() -> str:
    root = Path(kurswerk.__file__).parent
    return sha256_bytes(b"".join(path.read_bytes() for path in sorted(root.rglob("*.py"))))[:16]
