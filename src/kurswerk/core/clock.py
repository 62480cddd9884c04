"""What time it is, as a port: the pure zone never asks the system itself."""

from typing import Protocol


class Clock(Protocol):
    """Returns the present moment."""

    def now_us(self) -> int:
        """Return microseconds since 1970-01-01 UTC."""
        ...
