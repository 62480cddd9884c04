"""What ingest needs of a file and of the market store."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kurswerk.market import Kind, MarketSchema

_ARROW_TYPES = {Kind.FLOAT: pa.float64(), Kind.INT: pa.int64(), Kind.BOOL: pa.bool_()}


def arrow_schema(columns: Sequence[str], market: MarketSchema) -> pa.Schema:
    """Return the Arrow schema in which a market's rows travel.

    Parameters
    ----------
    columns
        Columns of the market, in the order wanted.
    market
        Names key and timestamp, and the kinds of the columns.

    Examples
    --------
    >>> from kurswerk.market import COINS
    >>> arrow_schema(["price_close", "num_buys"], COINS).names
    ['mint', 'timestamp', 'price_close', 'num_buys']
    """
    fields = [
        pa.field(market.key, pa.string(), nullable=False),
        pa.field(market.timestamp, pa.timestamp("us", "UTC"), nullable=False),
    ]
    return pa.schema(fields + [pa.field(name, _ARROW_TYPES[market.columns[name].kind]) for name in columns])


@dataclass(frozen=True)
class RawRows:
    """Some rows of a file, cells as they stand there.

    Attributes
    ----------
    cells
        Arrow batch of the columns asked for, under the file's names.
    numbers
        Number of each row in the file, from 1 (the header does not count), shape (n_rows,).
    malformed
        Rows that could not be cut into cells: (number, text).
    fraction
        Share of the file that has been read, in [0, 1].
    """

    cells: pa.RecordBatch
    numbers: NDArray[np.int64]
    malformed: Sequence[tuple[int, str]] = ()
    fraction: float = 0.0


class CandleSource(Protocol):
    """A table of market data that can be read several times, in bounded memory, always in the same order."""

    @property
    def name(self) -> str:
        """Name shown to the user."""
        ...

    @property
    def column_names(self) -> Sequence[str]:
        """All columns as the source names them."""
        ...

    @property
    def decimal_comma(self) -> bool:
        """Whether numbers in text are written ``1,5``."""
        ...

    def rows(self, columns: Sequence[str]) -> Iterator[RawRows]:
        """Read these columns from the first row on.

        Raises
        ------
        DataFileError
            If the source is not of its declared format.
        """
        ...

    def fingerprint(self) -> str:
        """Return a SHA-256 of the content."""
        ...


@dataclass(frozen=True)
class UpsertCount:
    """What became of rows in the store; the three add up to the rows given."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0


class MarketSink(Protocol):
    """Takes rows of a market."""

    def upsert(self, batches: Iterable[pa.RecordBatch]) -> UpsertCount:
        """Insert rows or update those whose (key, timestamp) is there; all or, if anything raises, nothing.

        Parameters
        ----------
        batches
            All of one `arrow_schema`, possibly none at all; no (key, timestamp) stands twice. Columns that the
            schema does not have stay untouched in the store.
        """
        ...
