"""Fixtures for all tests, and one cache of compiled kernels for all their processes."""

import os
from pathlib import Path

from hypothesis import settings

from kurswerk.bootstrap.caches import VARIABLE, state_of_sources

# Before any kernel is imported, here and in the processes that tests start.
os.environ.setdefault(VARIABLE, str(Path(__file__).parents[1] / ".cache" / "kernels" / state_of_sources()))

pytest_plugins = ("database",)

# The first example of a test may have to compile a kernel.
settings.register_profile("kurswerk", deadline=None)
settings.load_profile("kurswerk")
