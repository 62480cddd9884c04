"""Fixtures for all tests, and one cache of compiled kernels for all their processes."""

import os
from pathlib import Path

import prometheus_client  # noqa: F401 - now, so that metrics count in this process alone whatever a command sets
import pytest
from hypothesis import settings

from compiled_kernels import compile_in_two_processes
from kurswerk.bootstrap.environment import VARIABLE, let_idle_threads_sleep, state_of_sources

# Before any kernel is imported, here and in the processes that tests start.
os.environ.setdefault(VARIABLE, str(Path(__file__).parents[1] / ".cache" / "kernels" / state_of_sources()))
let_idle_threads_sleep()

pytest_plugins = ("server_folders", "database", "slowest_files", "tracing")
# Tests that take a minute, and would keep one process waiting for another if they came last.
_FIRST = ("tests/golden/", "tests/acceptance/")

# The first example of a test may have to compile a kernel; the same examples are drawn in every run.
settings.register_profile("kurswerk", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("kurswerk")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest tests, whatever their random order."""
    items.sort(key=lambda item: not item.nodeid.startswith(_FIRST))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile kernels before pytest-xdist starts workers."""
    option = session.config.option
    if getattr(option, "numprocesses", None) and not option.collectonly and not hasattr(session.config, "workerinput"):
        compile_in_two_processes()
