"""Where the servers that tests start keep their data: in memory, or on the disk where long tests run too.

PostgreSQL copies and removes some six hundred files for each test that gets a database of its own: on a disk that took
0.1 to 0.5 s of processor time, in memory 0.04 s. `make soak`, whose tests write gigabytes, stays on the disk.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")  # Linux: a file system in memory
# What the servers of one run take, many times over.
_LEAST_FREE_BYTES = 2 << 30
_in_memory = False


def pytest_configure(config: pytest.Config) -> None:
    """Choose memory where the run leaves slow tests out and there is room."""
    global _in_memory  # noqa: PLW0603 - one choice for the whole run
    usable = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _LEAST_FREE_BYTES
    _in_memory = usable and "not slow" in config.option.markexpr


def server_folder(prefix: str) -> Path:
    """Make an empty folder for a server's data, with a short path; who asks for it removes it."""
    return Path(tempfile.mkdtemp(prefix=prefix, dir=_MEMORY if _in_memory else None))
