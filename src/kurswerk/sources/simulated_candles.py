"""A simulated market as a source of rows, and as a Parquet file; never whole in memory."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from kurswerk.core.digest import sha256_json
from kurswerk.core.messages import Message
from kurswerk.ingest import RawRows, arrow_schema
from kurswerk.market import COINS
from kurswerk.sources.coin_market import CoinMarket


class SimulatedCandles:
    """A `CoinMarket` as a `CandleSource`: simulated again at each reading, with the same rows."""

    decimal_comma = False

    def __init__(self, market: CoinMarket) -> None:
        self._market = market

    @property
    def name(self) -> str:
        """What the market was simulated from."""
        market = self._market
        return f"simulated-{market.n_coins}-coins-{market.hours:g}-hours-seed-{market.seed}"

    @property
    def column_names(self) -> Sequence[str]:
        """All columns of ``coin_metrics``."""
        return tuple(arrow_schema(list(COINS.columns), COINS).names)

    def fingerprint(self) -> str:
        """Return a SHA-256 of the arguments, which decide every byte."""
        market = self._market
        return sha256_json([market.n_coins, market.hours, market.seed, market.start_us])

    def rows(self, columns: Sequence[str]) -> Iterator[RawRows]:
        """Yield these columns in batches."""
        first, coins_done = 0, 0
        for batch in self._market.batches():
            coins_done += len(batch.column("mint").unique())
            numbers = np.arange(first + 1, first + 1 + batch.num_rows, dtype=np.int64)
            first += batch.num_rows
            yield RawRows(batch.select(list(columns)), numbers, (), min(coins_done / self._market.n_coins, 1.0))


def write_market(market: CoinMarket, path: Path, progress: Callable[[float, Message], None]) -> int:
    """Write the rows of a simulated market to a Parquet file and return their number."""
    written, coins_done = 0, 0
    with pq.ParquetWriter(path, arrow_schema(list(COINS.columns), COINS)) as writer:
        for batch in market.batches():
            writer.write_batch(batch)
            written += batch.num_rows
            coins_done += len(batch.column("mint").unique())
            progress(min(coins_done / market.n_coins, 1.0), Message("progress.rows", count=written))
    return written
