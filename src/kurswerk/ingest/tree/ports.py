"""What a tree of files needs of the store."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import pyarrow as pa

from kurswerk.ingest.ports import MarketSink
from kurswerk.market import MarketSchema, Panel
from kurswerk.market.series import SeriesOrigin


@dataclass(frozen=True)
class StoredSeries:
    """One series: what a source states of an instrument in bars of one length."""

    instrument: str
    interval: str
    source: str
    adjusted_as_of: date | None
    is_preferred: bool
    rows: int
    first: str
    last: str

    @property
    def origin(self) -> SeriesOrigin:
        """Where its bars come from and what their prices are."""
        return SeriesOrigin(self.source, self.adjusted_as_of)


class TreeStore(Protocol):
    """All that is stored of a market with series, its bars of every length among it."""

    @property
    def markets(self) -> Sequence[MarketSchema]:
        """The markets of its intervals."""
        ...

    def series(self, instruments: Sequence[str] | None) -> list[StoredSeries]:
        """Return the series of instruments (None: all) that have bars, in order."""
        ...

    def months(self, market: MarketSchema, source: str) -> list[str]:
        """Return the months ``YYYY-MM`` in which a source has bars, in order."""
        ...

    def bars(self, market: MarketSchema, source: str, month: str, instruments: Sequence[str]) -> pa.Table:
        """Return the bars of a month as they are stored, in order of instrument and time."""
        ...

    def panel(self, market: MarketSchema, columns: Sequence[str], instruments: Sequence[str]) -> Panel:
        """Return bars as models read them."""
        ...

    def instruments(self, instruments: Sequence[str] | None) -> pa.Table:
        """Return what is known of instruments, in order."""
        ...

    def actions(self, instruments: Sequence[str] | None) -> pa.Table:
        """Return splits and dividends with the moments from which on they were known, in order."""
        ...

    def sink(self, market: MarketSchema, origin: SeriesOrigin) -> MarketSink:
        """Return what stores bars of one source."""
        ...

    def prefer(self, market: MarketSchema, source: str, instruments: Sequence[str]) -> None:
        """Read a source of instruments from now on."""
        ...

    def add_instruments(self, table: pa.Table) -> int:
        """Fill in what is not known of instruments yet; return how many changed."""
        ...

    def add_actions(self, table: pa.Table) -> int:
        """Store actions that are not there, with their moments; return how many."""
        ...
