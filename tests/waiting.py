"""How tests wait for what another thread or process does."""

import time
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], seconds: float = 300.0, *, what: str = "") -> Any:
    """Wait until a condition gives something true, and return that; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain" + (f": {what}" if what else "")
        time.sleep(0.02)
    return found
