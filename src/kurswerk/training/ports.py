"""What training needs of the outside."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kurswerk.market import Panel
from kurswerk.registry import ModelStore, ResultStore


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

    def mark_outsiders(self, panel: Panel) -> Panel:
        """Return a panel of all instruments with the rows marked that are no members of their moment."""
        ...


@dataclass(frozen=True)
class Availability:
    """What data there is; times are microseconds UTC, None in an empty table."""

    first_us: int | None
    last_us: int | None
    rows: int
    coins: int


class MarketSurvey(MarketStore, Protocol):
    """Reports what market data there is, without reading it all."""

    def instruments(self) -> Sequence[str]:
        """Return the names of all instruments."""
        ...

    def has_rows(
        self, *, start_us: int, end_us: int, mints: Sequence[str] | None = None, phases: Sequence[int] | None = None
    ) -> bool:
        """Return whether there is a row in a period, both ends inclusive."""
        ...

    def estimated_rows(self, *, end_us: int, mints: Sequence[str] | None = None) -> int:
        """Return about how many rows there are up to a moment, at once however large the table."""
        ...

    def availability(self) -> Availability:
        """Return what there is altogether; reads much of the table."""
        ...


@dataclass(frozen=True)
class TrainingStores:
    """What trainings, tests, comparisons and certificates work with, all of one database.

    Attributes
    ----------
    markets
        Name of a registered market → its rows; a specification names its market.
    memory_budget_bytes
        What one of them may take; None is unlimited.
    """

    markets: Mapping[str, MarketSurvey]
    models: ModelStore
    results: ResultStore
    memory_budget_bytes: int | None = None
