"""Fetched bars as rows that can be validated, quarantined and stored like those of a file."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kurswerk.core.digest import sha256_arrays
from kurswerk.ingest.fetching._paid import PaidBars
from kurswerk.ingest.fetching.ports import PRICES
from kurswerk.ingest.ports import RawRows


class FetchedRows:
    """Some of the bars of a provider, as a `CandleSource`.

    Parameters
    ----------
    name
        Shown where rows are refused.
    kept
        Which bars, shape (n,).
    """

    decimal_comma = False

    def __init__(self, name: str, bars: PaidBars, kept: NDArray[np.bool_]) -> None:
        self.name = name
        self._ends_us, self._prices, self._volumes = bars.ends_us[kept], bars.prices[:, kept], bars.volumes[kept]

    @property
    def column_names(self) -> Sequence[str]:
        """Time, prices and volume."""
        return ("timestamp", *PRICES, "volume")

    def fingerprint(self) -> str:
        """Return the SHA-256 of the bars."""
        return sha256_arrays([self._ends_us, self._prices, self._volumes], self.name)

    def rows(self, columns: Sequence[str]) -> Iterator[RawRows]:
        """Give these columns of all bars."""
        arrays = [
            pa.array(self._ends_us).view(pa.timestamp("us", "UTC")),
            *(pa.array(values, from_pandas=True) for values in (*self._prices, self._volumes)),
        ]
        cells = dict(zip(self.column_names, arrays, strict=True))
        batch = pa.RecordBatch.from_arrays([cells[name] for name in columns], names=list(columns))
        yield RawRows(batch, np.arange(1, len(self._ends_us) + 1, dtype=np.int64), (), 1.0)
