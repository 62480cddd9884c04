"""What training needs of the outside."""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from kurswerk.market import Panel


class MarketStore(Protocol):
    """Reads market data."""

    def columns(self) -> Collection[str]:
        """Return the coin columns that the table has."""
        ...

    def load_panel(
        self,
        columns: Sequence[str],
        *,
        start_us: int | None = None,
        end_us: int | None = None,
        mints: Iterable[str] | None = None,
    ) -> Panel:
        """Return rows from ``start_us`` to ``end_us``, both inclusive."""
        ...


class Progress(Protocol):
    """Hears how far the work has come."""

    def __call__(self, fraction: float, message: str, /) -> None:
        """Take a share in [0, 1] and what is happening."""
        ...


def no_progress(fraction: float, message: str) -> None:
    """Ignore progress."""
