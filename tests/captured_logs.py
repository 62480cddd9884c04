"""What a module logs, whatever tests before have made of the process's logging."""

from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
from structlog.testing import capture_logs

from kurswerk.observability import get_logger


@contextmanager
def logged_by(module: ModuleType) -> Iterator[Sequence[MutableMapping[str, Any]]]:
    """Collect the lines of a module.

    A logger keeps the settings of its first line, and those may be of a test that has configured logging; so the module
    has a new one for as long as it is listened to.
    """
    with capture_logs() as lines, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "log", get_logger(module.__name__))
        yield lines
