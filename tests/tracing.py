"""Coverage's tracer, kept to the code that it measures.

Before Python 3.12 a tracer slows down every line that runs, whether it is measured or not: collecting the tests takes
twice as long with it, and so do most tests. Here it looks on while our own modules are imported and while tests run,
but not while tests are collected, nor while hypothesis makes up examples, nor in servers that answer a whole browser or
thousands of requests. Of many cases of one test it sees the first to run, and of many examples of a property the first
few: the others go the same ways with other values, and rarely reach a line that no test has reached.
"""

import sys
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import pytest

MEASURED = ("kurswerk", "benchmarks")
# So many cases of a test, and examples of a property, are looked at in each process.
CASES, EXAMPLES = 2, 10
# What they import and takes long to import.
LIBRARIES = (
    "adbc_driver_postgresql.dbapi", "alembic.command", "dash", "dash_ag_grid", "dash_mantine_components", "fastapi",
    "imblearn.over_sampling", "numba", "onnxruntime", "pandas", "plotly.graph_objects", "procrastinate",
    "pyarrow.parquet", "schemathesis", "scipy.stats", "sklearn.ensemble", "sklearnex",
    "sqlalchemy.dialects.postgresql", "xgboost",
)  # fmt: skip


@contextmanager
def tracing_with(tracer: Any) -> Iterator[None]:
    """Let this thread be traced by another tracer, or by none."""
    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        yield
    finally:
        sys.settrace(before)


def import_measured() -> None:
    """Import all modules that are measured, so that what runs when they are imported is."""
    with tracing_with(None):
        for name in LIBRARIES:
            import_module(name)
    for package in map(import_module, MEASURED):
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(".__main__"):
                import_module(module.name)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without the tracer."""
    if sys.gettrace() is None:
        return (yield)
    import_measured()
    with tracing_with(None):
        return (yield)


_cases: Counter[str] = Counter()


def is_looked_at(item: pytest.Item) -> bool:
    """Whether a test that is about to run is neither marked ``untraced`` nor one more case of a test seen before."""
    name = item.nodeid.partition("[")[0]
    _cases[name] += 1
    return item.get_closest_marker("untraced") is None and _cases[name] <= CASES


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Leave the tracer out of tests that are not looked at, of their fixtures, and of threads that they start."""
    if is_looked_at(item):
        return (yield)
    before = threading.gettrace()
    threading.settrace(None)  # type: ignore[arg-type]  # what it begins with
    try:
        with tracing_with(None):
            return (yield)
    finally:
        threading.settrace(before)  # type: ignore[arg-type]  # as above


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Trace the first examples of a property, but not what makes them up."""
    tracer, handle = sys.gettrace(), getattr(pyfuncitem.obj, "hypothesis", None)
    if tracer is None or handle is None:
        return (yield)
    test: Callable[..., None] = handle.inner_test
    examples = iter(range(EXAMPLES))

    @wraps(test)
    def traced(*args: Any, **kwargs: Any) -> None:
        with tracing_with(None if next(examples, None) is None else tracer):
            test(*args, **kwargs)

    handle.inner_test = traced
    try:
        with tracing_with(None):
            return (yield)
    finally:
        handle.inner_test = test
