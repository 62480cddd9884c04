"""What predicting needs of the outside."""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from kurswerk.market import Panel


class CoinHistory(Protocol):
    """Reads a coin's stored rows."""

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
