"""A simulated market that goes on with the clock: coins are born, trade and die while one watches."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kurswerk.core.errors import SpecError
from kurswerk.core.timestamps import MICROSECONDS
from kurswerk.ingest import arrow_schema
from kurswerk.market import COINS, TIMESTAMP
from kurswerk.sources.coin_market import MOST_HOURS, CoinMarket

Int = NDArray[np.int64]

# Of each coin so many rows are kept ready; then its life is simulated again up to the next ones.
_ROWS_AHEAD = 120


@dataclass
class _Ahead:
    """A coin's next rows and their seconds of the market."""

    seconds: Int
    rows: pa.RecordBatch


class LiveMarket:
    """A `CoinMarket` of a year, handed out as its time passes.

    Its clock may go faster than ours: a row that lies ``speed`` seconds behind another one in the market is stamped one
    second later. What a coin does in one interval, and the columns that hold it, stay as they are.

    Parameters
    ----------
    seed
        Decides the coins and their names; another market needs another one.
    births_per_hour
        Coins born in an hour of the market.
    speed
        Seconds of the market in a second of ours.

    Raises
    ------
    SpecError
        If an argument is out of range.
    """

    def __init__(self, seed: int, *, births_per_hour: float = 20.0, speed: float = 1.0) -> None:
        if not 0.0 < births_per_hour <= 10_000.0:
            raise SpecError("simulation.births_out_of_range", births=births_per_hour)
        if not 0.0 < speed <= 10_000.0:
            raise SpecError("simulation.speed_out_of_range", speed=speed)
        self.births_per_hour, self.speed, self.seed = births_per_hour, speed, seed
        self._living: dict[int, _Ahead] = {}
        self._born = 0
        self._second = 0.0
        self._moment_us = 0

    @cached_property
    def _market(self) -> CoinMarket:
        return CoinMarket(max(1, round(self.births_per_hour * MOST_HOURS)), MOST_HOURS, self.seed)

    @property
    def coins(self) -> int:
        """How many coins trade."""
        return len(self._living)

    def begin(self, moment_us: int, hours: float) -> pa.RecordBatch:
        """Let some hours pass at once and return their rows, the last of them before ``moment_us``.

        The market then goes on from that moment; a later call lets more hours pass.
        """
        length = hours * 3600.0
        self._moment_us = moment_us - round(length / self.speed * MICROSECONDS)
        rows = self._pass(self._second + length)
        self._moment_us = moment_us
        return rows

    def until(self, moment_us: int) -> pa.RecordBatch:
        """Return the rows since the last call up to a moment (microseconds UTC), by time; empty if there are none."""
        passed = (moment_us - self._moment_us) / MICROSECONDS * self.speed
        rows = self._pass(max(self._second, self._second + passed))
        self._moment_us = max(self._moment_us, moment_us)
        return rows

    def _pass(self, second: float) -> pa.RecordBatch:
        """Return the rows after the market's present second up to another one, which becomes the present."""
        last_born = int(np.searchsorted(self._market.births, second))
        for coin in range(self._born, last_born):
            self._look_ahead(coin, int(self._market.births[coin]))
        self._born = max(self._born, last_born)
        parts, seconds = [], []
        for coin in list(self._living):
            while (ahead := self._living.get(coin)) and ahead.seconds[0] <= second:
                count = int(np.searchsorted(ahead.seconds, second, "right"))
                parts.append(ahead.rows.slice(0, count))
                seconds.append(ahead.seconds[:count])
                if count < len(ahead.seconds):
                    self._living[coin] = _Ahead(ahead.seconds[count:], ahead.rows.slice(count))
                else:
                    self._look_ahead(coin, int(ahead.seconds[-1]))
        first, self._second = self._second, second
        if not parts:
            return pa.RecordBatch.from_pylist([], schema=arrow_schema(list(COINS.columns), COINS))
        passed = np.concatenate(seconds)
        order = np.argsort(passed, kind="stable")
        rows = pa.Table.from_batches(parts).combine_chunks().to_batches()[0].take(pa.array(order))
        stamps = self._moment_us + np.round((passed[order] - first) / self.speed * MICROSECONDS).astype(np.int64)
        place = rows.schema.get_field_index(TIMESTAMP)
        return rows.set_column(place, rows.schema.field(place), pa.array(stamps).view(rows.schema.field(place).type))

    def _look_ahead(self, coin: int, after: int) -> None:
        """Keep a coin's next rows ready, or forget it if there are none."""
        self._living.pop(coin, None)
        rows = self._market.rows_of([coin])
        stamps = rows.column(TIMESTAMP).view(pa.int64()).to_numpy()
        seconds = (stamps - self._market.start_us) // MICROSECONDS
        places = np.arange(*np.searchsorted(seconds, [after, MOST_HOURS * 3600], "right"))[:_ROWS_AHEAD]
        if len(places):  # copied, so that the rest of the life is not kept
            self._living[coin] = _Ahead(seconds[places], rows.take(pa.array(places)))
