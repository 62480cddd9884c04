"""A period of time."""

from dataclasses import dataclass

from kurswerk.core.errors import SpecError
from kurswerk.core.timestamps import format_timestamp


@dataclass(frozen=True)
class Period:
    """A stretch of time in microseconds UTC, both ends inclusive.

    Raises
    ------
    SpecError
        If it is empty or reversed.
    """

    start_us: int
    end_us: int

    def __post_init__(self) -> None:
        if self.start_us >= self.end_us:
            raise SpecError("period.reversed", start=format_timestamp(self.start_us), end=format_timestamp(self.end_us))

    def as_request(self) -> dict[str, str]:
        """Return the fields by which requests state a period."""
        return {"test_start": format_timestamp(self.start_us), "test_end": format_timestamp(self.end_us)}
